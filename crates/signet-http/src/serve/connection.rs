use std::{
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    Limits, Place,
    alarm::Alarm,
    drain::LINGER,
    incoming::Incoming,
    outgoing::{Begins, Outgoing},
    refusing::Refusing,
};
use crate::Shared;

/// How many bytes of requests to come are kept while one is answered; then the client has to wait.
const MOST_AHEAD: usize = 16 * 1024;

/// How many bytes a client must take each time that it could be given up for not reading.
const LEAST_TAKEN: u64 = 64 * 1024;

/// Where the bytes of a client come from.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection that shows the protocol above one request at a time, and watches how long the client takes.
///
/// actix reads ahead: it decodes a next request while it answers one, and then frames the answer by the wrong request
/// where one of the two is `HEAD`, or serves it though the answer says that it was the last. It never sees a next request
/// here before the one is answered.
///
/// It closes by claiming that the client did: the protocol above ends such a connection in good order.
pub(super) struct Connection {
    stream: Stream,
    shared: Arc<Shared>,
    limits: Limits,
    incoming: Incoming,
    outgoing: Outgoing,
    /// What has come of the next requests.
    ahead: Vec<u8>,
    /// Since when what is waited for is waited for: a head, an answer, a next request; and when that takes too long.
    since: Instant,
    deadline: Instant,
    stalled: Option<Stalled>,
    refusing: Option<Refusing>,
    alarm: Box<Alarm>,
    _place: Place,
}

/// The client has not taken all that was written for it.
#[derive(Clone, Copy)]
struct Stalled {
    since: Instant,
    /// How many bytes it took since then.
    taken: u64,
}

impl Connection {
    pub(super) fn new(stream: Stream, limits: Limits, shared: &Arc<Shared>, place: Place) -> Self {
        let since = Instant::now();
        let deadline = since + limits.head;
        Self {
            stream,
            shared: Arc::clone(shared),
            limits,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            ahead: Vec::new(),
            since,
            deadline,
            stalled: None,
            refusing: None,
            alarm: Box::new(Alarm::new(deadline, &shared.drain)),
            _place: place,
        }
    }

    /// Takes what belongs to the request, moves the deadline, and returns how much it was.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let (was_idle, had_head) = (self.incoming.is_idle(), self.incoming.has_head());
        let taken = self.incoming.take(bytes);
        if !had_head && self.incoming.has_head() {
            self.expect_within(self.limits.request);
        } else if was_idle {
            self.expect_within(self.limits.head);
        }
        taken
    }

    fn expect_within(&mut self, limit: Duration) {
        self.since = Instant::now();
        self.deadline = self.since + limit;
    }

    /// Goes on to the next request if this one is there and answered.
    fn turn(&mut self, context: &mut Context<'_>) {
        let is_there = self.incoming.is_complete() || self.incoming == Incoming::Open;
        if !is_there || !self.outgoing.is_complete() {
            return;
        }
        self.incoming = Incoming::default();
        self.outgoing = Outgoing::default();
        if self.ahead.is_empty() {
            self.expect_within(self.limits.idle);
            // Nobody may look at this connection again before its deadline.
            self.alarm.is_past(self.deadline, context);
        } else {
            self.expect_within(self.limits.head);
            context.waker().wake_by_ref();
        }
    }

    /// What came early belongs to the request that is served now.
    fn catch_up(&mut self, buffer: &mut ReadBuf<'_>) {
        let ahead = mem::take(&mut self.ahead);
        let room = ahead.len().min(buffer.remaining());
        let taken = self.take(&ahead[..room]);
        buffer.put_slice(&ahead[..taken]);
        self.ahead = ahead[taken..].to_vec();
    }

    /// Reads what comes while a request is answered, to notice when the client is gone.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < MOST_AHEAD {
            let mut space = [const { MaybeUninit::uninit() }; 2048];
            let mut buffer = ReadBuf::uninit(&mut space);
            match self.stream.reader().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => self.ahead.extend_from_slice(buffer.filled()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        self.waits(context)
    }

    /// What to do while the client sends nothing.
    fn waits(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stalled.is_some() {
            return self.stalls(context).map(Err);
        }
        let deadline = match self.alarm.closes_idle_at() {
            Some(closes_at) if self.incoming.is_idle() => self.deadline.min(closes_at.max(self.since + LINGER)),
            _ => self.deadline,
        };
        if self.alarm.is_past(deadline, context) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// What to do while the client does not take its answer. There is no good order to end in.
    fn stalls(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut stalled = *self.stalled.get_or_insert(Stalled { since: Instant::now(), taken: 0 });
        if self.alarm.is_past(stalled.since + self.limits.write_stall, context) {
            if stalled.taken < LEAST_TAKEN {
                self.stream.give_up();
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            // It is slow, and it reads.
            stalled = Stalled { since: Instant::now(), taken: 0 };
            self.stalled = Some(stalled);
            self.alarm.is_past(stalled.since + self.limits.write_stall, context);
        }
        Poll::Pending
    }

    fn has_written(&mut self, written: usize, wanted: usize) {
        self.outgoing.advance(written);
        self.stalled = if written < wanted {
            let stalled = self.stalled.unwrap_or(Stalled { since: Instant::now(), taken: 0 });
            Some(Stalled { taken: stalled.taken + u64::try_from(written).unwrap_or_default(), ..stalled })
        } else {
            None
        };
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.incoming.is_complete() {
            return this.look_ahead(context);
        }
        if !this.ahead.is_empty() {
            this.catch_up(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match this.stream.reader().poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let taken = this.take(&buffer.filled()[before..]);
                this.ahead.extend_from_slice(&buffer.filled()[before + taken..]);
                buffer.set_filled(before + taken);
                // The rest of a body that was answered before it came.
                this.turn(context);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.waits(context),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.refusing.is_none() {
            let (begins, bytes) = match this.outgoing.look(bytes, this.incoming.is_head_request()) {
                Begins::Foreign(0, head) => (Some(head), bytes),
                Begins::Foreign(ours, _) => (None, &bytes[..ours]),
                Begins::Ours => (None, bytes),
            };
            let Some(head) = begins else {
                return match this.stream.writer().poll_write(context, bytes) {
                    Poll::Ready(Ok(written)) => {
                        this.has_written(written, bytes.len());
                        Poll::Ready(Ok(written))
                    }
                    Poll::Pending => this.stalls(context).map(Err),
                    failed @ Poll::Ready(Err(_)) => failed,
                };
            };
            this.refusing = Some(Refusing::new(&this.shared, &head));
        }
        let Some(refusing) = &mut this.refusing else { return Poll::Pending };
        let deadline = refusing.deadline;
        let refused = refusing.poll(&mut this.stream, context).map_ok(|()| bytes.len());
        if refused.is_pending() && this.alarm.is_past(deadline, context) {
            return Poll::Ready(Ok(bytes.len()));
        }
        refused
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refusing.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = this.stream.writer().poll_flush(context);
        if flushed.is_pending() {
            return this.stalls(context).map(Err);
        }
        this.stalled = None;
        this.turn(context);
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.stream.writer().poll_shutdown(context) {
            Poll::Pending => this.stalls(context).map(Err),
            done @ Poll::Ready(_) => done,
        }
    }
}

impl Stream {
    pub(super) fn reader(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin)> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }

    /// Has the kernel throw away what it still holds for the client, when the stream is closed, and not offer it for
    /// minutes.
    fn give_up(&self) {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // One that is closed already holds nothing.
        drop(stream.set_zero_linger());
    }

    pub(super) fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

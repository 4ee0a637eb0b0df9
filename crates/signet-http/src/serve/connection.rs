use std::{
    io,
    mem::{self, MaybeUninit},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    Limits,
    alarm::Alarm,
    body_signal::BodySignal,
    connections::ConnectionPermit,
    drain::LINGER,
    incoming::Incoming,
    lingering::Lingering,
    outgoing::{Begins, Outgoing},
    refusing::{Refusing, Rejection},
};
use crate::{Shared, connection_events::ConnectionEvent};

/// How many bytes of requests to come are kept while one is answered; then the client has to wait.
const MOST_AHEAD: usize = 16 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

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
    /// Bytes that have come and that actix has not seen: the head of a request until it is whole, and the next requests.
    ahead: Vec<u8>,
    /// How many of them, from the first one on, actix may see now.
    released: usize,
    body_signal: BodySignal,
    /// What is left to write of `100 Continue`.
    interim: &'static [u8],
    /// Since when what is waited for is waited for: a head, an answer, a next request; and when that takes too long.
    since: Instant,
    deadline: Instant,
    stalled: Option<Stalled>,
    refusing: Option<Refusing>,
    /// Whether the client may still send something, and lose a response by the reset that this would cause.
    lingers: bool,
    lingering: Option<Lingering>,
    alarm: Box<Alarm>,
    permit: ConnectionPermit,
    client: Option<SocketAddr>,
}

/// The client has not taken all that was written for it.
#[derive(Clone, Copy)]
struct Stalled {
    since: Instant,
    /// How many bytes it took since then.
    taken: u64,
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        limits: Limits,
        shared: &Arc<Shared>,
        permit: ConnectionPermit,
        client: Option<SocketAddr>,
    ) -> Self {
        permit.is_idle();
        let since = Instant::now();
        let deadline = since + limits.head;
        Self {
            stream,
            shared: Arc::clone(shared),
            limits,
            incoming: Incoming::default(),
            outgoing: Outgoing::default(),
            ahead: Vec::new(),
            released: 0,
            body_signal: BodySignal::default(),
            interim: &[],
            since,
            deadline,
            stalled: None,
            refusing: None,
            lingers: false,
            lingering: None,
            alarm: Box::new(Alarm::new(deadline, &shared.drain)),
            permit,
            client,
        }
    }

    /// For the handlers of the requests on this connection.
    pub(super) fn body_signal(&self) -> &BodySignal {
        &self.body_signal
    }

    /// Takes what belongs to the request, moves the deadline, and returns how many bytes actix may see.
    fn take(&mut self, bytes: &mut [u8]) -> usize {
        let (was_idle, had_head) = (self.incoming.is_idle(), self.incoming.has_head());
        let taken = match self.incoming.take(bytes, &self.body_signal) {
            Ok(taken) => taken,
            Err(rejection) => {
                self.reject(rejection);
                return 0;
            }
        };
        if !had_head && self.incoming.has_head() {
            self.permit.is_busy();
            self.expect_within(self.limits.request);
        } else if was_idle {
            self.permit.is_incomplete();
            self.expect_within(self.limits.head);
        }
        taken
    }

    fn count(&self, event: ConnectionEvent) {
        self.shared.connection_event(event, self.client.map(|client| client.ip()));
    }

    fn reject(&mut self, rejection: Rejection) {
        self.ahead = Vec::new();
        self.lingers = false;
        self.refusing = Some(Refusing::new(&self.shared, rejection));
    }

    /// Writes the answer to what cannot be served. Ready when the connection can be closed.
    fn refuse(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(refusing) = &mut self.refusing else { return Poll::Ready(()) };
        let deadline = refusing.deadline;
        if refusing.poll(&mut self.stream, context).is_ready() || self.alarm.is_past(deadline, context) {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn expect_within(&mut self, limit: Duration) {
        self.since = Instant::now();
        self.deadline = self.since + limit;
    }

    /// Goes on to the next request if this one is there and answered.
    fn turn(&mut self, context: &mut Context<'_>) {
        let is_there = self.incoming.is_complete() && self.released == 0;
        if !is_there || !self.outgoing.is_complete() {
            return;
        }
        self.incoming = Incoming::default();
        self.outgoing = Outgoing::default();
        if self.ahead.is_empty() {
            self.expect_within(self.limits.idle);
            self.permit.is_idle();
            // Nobody may look at this connection again before one of these wakes it.
            self.alarm.is_past(self.deadline, context);
            if self.permit.is_evicted(context.waker()) {
                context.waker().wake_by_ref();
            }
        } else {
            self.expect_within(self.limits.head);
            context.waker().wake_by_ref();
        }
    }

    /// Shows actix bytes that came before it could see them.
    fn release(&mut self, buffer: &mut ReadBuf<'_>) {
        let length = self.released.min(buffer.remaining());
        buffer.put_slice(&self.ahead[..length]);
        self.ahead.drain(..length);
        self.released -= length;
        if self.ahead.is_empty() {
            // An idle connection holds no buffer.
            self.ahead = Vec::new();
        }
    }

    /// Takes bytes that came early for the request that is served now, or for the head of it that is being collected.
    fn catch_up(&mut self) {
        let mut ahead = mem::take(&mut self.ahead);
        self.released = self.take(&mut ahead);
        if self.refusing.is_none() {
            self.ahead = ahead;
        }
    }

    /// Takes bytes that were read into the buffer of actix. Those that it may not see yet are moved out of it.
    fn take_read(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        let bytes = &mut buffer.filled_mut()[before..];
        // Behind bytes that wait, these wait, too.
        let taken = if self.ahead.is_empty() { self.take(bytes) } else { 0 };
        if self.refusing.is_none() {
            self.ahead.extend_from_slice(&bytes[taken..]);
        }
        buffer.set_filled(before + taken);
    }

    /// Reads what comes while a request is answered, to notice when the client is gone.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < MOST_AHEAD {
            let mut space = [const { MaybeUninit::uninit() }; 2048];
            let mut buffer = ReadBuf::uninit(&mut space);
            match self.stream.reader().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.ahead.extend_from_slice(buffer.filled()),
                Poll::Ready(ended) => return self.ends(ended),
                Poll::Pending => break,
            }
        }
        self.waits(context)
    }

    /// The client sends nothing more, by an end of its stream or by an error.
    fn ends(&mut self, ended: io::Result<()>) -> Poll<io::Result<()>> {
        self.lingers = false;
        Poll::Ready(ended)
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
        let is_past = self.alarm.is_past(deadline, context);
        let is_evicted = !self.incoming.has_head() && self.permit.is_evicted(context.waker());
        if !is_past && !is_evicted {
            return Poll::Pending;
        }
        if !is_evicted && !self.incoming.has_head() && !self.incoming.is_idle() {
            self.count(ConnectionEvent::HeadTimedOut);
        }
        // Where no request has begun, there is no response that could be lost.
        self.lingers &= self.incoming.has_head();
        Poll::Ready(Ok(()))
    }

    /// Asks for the body once the handler wants it.
    fn poll_continue(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.body_signal.take_continue() {
            self.interim = CONTINUE;
        }
        while !self.interim.is_empty() {
            match self.stream.writer().poll_write(context, self.interim) {
                Poll::Ready(Ok(written)) => self.interim = &self.interim[written..],
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.stalls(context).map(Err),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What to do while the client does not take its answer. There is no good order to end in.
    fn stalls(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut stalled = *self.stalled.get_or_insert(Stalled { since: Instant::now(), taken: 0 });
        if self.alarm.is_past(stalled.since + self.limits.write_stall, context) {
            if stalled.taken < LEAST_TAKEN {
                self.count(ConnectionEvent::SlowReader);
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
        self.lingers = true;
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
        let before = buffer.filled().len();
        loop {
            if this.refusing.is_some() {
                return this.refuse(context).map(Ok);
            }
            if this.released > 0 {
                this.release(buffer);
                this.turn(context);
                return Poll::Ready(Ok(()));
            }
            if this.incoming.takes_no_more() {
                return this.look_ahead(context);
            }
            if this.incoming.has_unsearched(this.ahead.len()) {
                this.catch_up();
                continue;
            }
            match this.stream.reader().poll_read(context, buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > before => this.take_read(buffer, before),
                Poll::Ready(ended) => return this.ends(ended),
                Poll::Pending => return this.waits(context),
            }
            if buffer.filled().len() > before {
                // This may be the rest of a body that was answered before it came.
                this.turn(context);
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.refusing.is_none() {
            ready!(this.poll_continue(context))?;
            let bytes = match this.outgoing.look(bytes, this.incoming.is_head_request()) {
                Begins::Foreign(0, head) => {
                    this.reject(Rejection::of_actix(&head));
                    &[]
                }
                Begins::Foreign(ours, _) => &bytes[..ours],
                Begins::Ours => bytes,
            };
            if !bytes.is_empty() {
                return match this.stream.writer().poll_write(context, bytes) {
                    Poll::Ready(Ok(written)) => {
                        this.has_written(written, bytes.len());
                        Poll::Ready(Ok(written))
                    }
                    Poll::Pending => this.stalls(context).map(Err),
                    failed @ Poll::Ready(Err(_)) => failed,
                };
            }
        }
        this.refuse(context).map(|()| Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.refusing.is_some() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_continue(context))?;
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
        let lingering = match &mut this.lingering {
            Some(lingering) => lingering,
            None => match this.stream.writer().poll_shutdown(context) {
                Poll::Pending => return this.stalls(context).map(Err),
                Poll::Ready(Ok(())) if this.lingers => {
                    this.permit.is_incomplete();
                    this.lingering.insert(Lingering::begin())
                }
                done @ Poll::Ready(_) => return done,
            },
        };
        let deadline = lingering.deadline;
        let is_over = lingering.poll(&mut this.stream, context).is_ready()
            || this.alarm.is_past(deadline, context)
            || this.permit.is_evicted(context.waker());
        if is_over { Poll::Ready(Ok(())) } else { Poll::Pending }
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

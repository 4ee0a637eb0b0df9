use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::futures::OwnedNotified,
    time::Sleep,
};
use tokio_rustls::server::TlsStream;

use super::{Limits, Place, drain::Drain, head::HeadEnd};

/// Where the bytes of a client come from.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A client's connection that watches how long the client takes.
///
/// It closes by claiming that the client did: the protocol above ends such a connection in good order.
pub(super) struct Connection {
    stream: Stream,
    limits: Limits,
    phase: Phase,
    /// When the phase has lasted too long.
    deadline: Instant,
    /// Since when the client has not taken all that was written for it.
    stalled_since: Option<Instant>,
    alarm: Box<Alarm>,
    _place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of a next request has come.
    Idle,
    /// A head has begun and has not ended.
    Head(HeadEnd),
    /// A request is being read further and answered; the flag tells that an answer has begun.
    Busy { answering: bool },
}

impl Phase {
    /// Whether nothing of a request has come.
    fn is_idle(self) -> bool {
        self == Self::Idle || self == Self::Head(HeadEnd::default())
    }
}

/// Wakes the task of the connection for its deadlines and for the end of the server.
///
/// Deadlines move with every request and rarely come, so a timer is only ever moved forward when it goes off too early,
/// and backward where it would go off too late.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// `None` once it has come.
    stop: Option<Pin<Box<OwnedNotified>>>,
    drain: Arc<Drain>,
    /// The task that both of them know.
    waker: Option<Waker>,
}

impl Connection {
    pub(super) fn new(stream: Stream, limits: Limits, drain: &Arc<Drain>, place: Place) -> Self {
        let deadline = Instant::now() + limits.head;
        let alarm = Alarm {
            sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
            stop: Some(Box::pin(drain.notified())),
            drain: Arc::clone(drain),
            waker: None,
        };
        let phase = Phase::Head(HeadEnd::default());
        Self { stream, limits, phase, deadline, stalled_since: None, alarm: Box::new(alarm), _place: place }
    }

    fn enter(&mut self, phase: Phase, limit: Duration) {
        self.phase = phase;
        self.deadline = Instant::now() + limit;
    }

    fn has_read(&mut self, bytes: &[u8]) {
        match &mut self.phase {
            Phase::Busy { .. } => {}
            Phase::Idle => {
                self.enter(Phase::Head(HeadEnd::default()), self.limits.head);
                self.has_read(bytes);
            }
            Phase::Head(end) => {
                if end.see(bytes) {
                    self.enter(Phase::Busy { answering: false }, self.limits.request);
                }
            }
        }
    }

    fn has_written(&mut self, bytes: &[u8], written: usize) {
        self.stalled_since = if written < bytes.len() { self.stalled_since.or(Some(Instant::now())) } else { None };
        // `100 Continue` asks for the body and answers nothing yet.
        if !bytes.starts_with(b"HTTP/1.1 100") {
            self.phase = Phase::Busy { answering: true };
        }
    }

    /// What to do while the client sends nothing.
    fn waits(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stalled_since.is_some() {
            return self.stalls(context).map(Err);
        }
        let deadline = match self.alarm.drain.closes_idle_at() {
            Some(closes_at) if self.phase.is_idle() => self.deadline.min(closes_at),
            _ => self.deadline,
        };
        if self.alarm.is_past(deadline, context) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// What to do while the client does not take its answer. There is no good order to end in.
    fn stalls(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let since = *self.stalled_since.get_or_insert_with(Instant::now);
        if self.alarm.is_past(since + self.limits.write_stall, context) {
            Poll::Ready(io::ErrorKind::TimedOut.into())
        } else {
            Poll::Pending
        }
    }
}

impl Alarm {
    /// Whether `deadline` has passed; else the task is woken when it does, or when the server stops.
    fn is_past(&mut self, deadline: Instant, context: &mut Context<'_>) -> bool {
        let known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !known {
            self.waker = Some(context.waker().clone());
        }
        if let Some(stop) = &mut self.stop
            && (!known || self.drain.is_draining())
            && stop.as_mut().poll(context).is_ready()
        {
            self.stop = None;
        }
        let wake_at = self.sleep.deadline().into_std();
        if known && wake_at <= deadline && !self.sleep.is_elapsed() {
            return false;
        }
        if Instant::now() >= deadline {
            return true;
        }
        if wake_at > deadline || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(deadline.into());
        }
        // Past already, if it came between these lines.
        self.sleep.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match this.stream.reader().poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                this.has_read(&buffer.filled()[before..]);
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
        let written = this.stream.writer().poll_write(context, bytes);
        match &written {
            Poll::Ready(Ok(written)) => this.has_written(bytes, *written),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return this.stalls(context).map(Err),
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = this.stream.writer().poll_flush(context);
        if flushed.is_pending() {
            return this.stalls(context).map(Err);
        }
        this.stalled_since = None;
        if this.phase == (Phase::Busy { answering: true }) {
            this.enter(Phase::Idle, this.limits.idle);
            // Nobody may look at this connection again before its deadline.
            this.alarm.is_past(this.deadline, context);
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream.writer().poll_shutdown(context)
    }
}

impl Stream {
    fn reader(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin)> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Self::Plain(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(&mut **stream),
        }
    }
}

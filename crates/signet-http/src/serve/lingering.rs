use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::ReadBuf;

use super::connection::Stream;

/// For how long, and for how many bytes, a closed connection still reads.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

/// Reads and drops what a client still sends after its last response. A socket that is closed with unread bytes sends a
/// reset, and a client that gets a reset loses what it has not read of the response (RFC 9112, section 9.6).
pub(super) struct Lingering {
    left: usize,
    /// When it ends, whatever the client does.
    pub(super) deadline: Instant,
}

impl Lingering {
    /// Begins, once the write side of the connection is shut down.
    pub(super) fn begin() -> Self {
        Self { left: LINGER_BYTES, deadline: Instant::now() + LINGER_TIME }
    }

    /// Ready when the connection can be closed.
    pub(super) fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut space = [0; 4096];
            let mut buffer = ReadBuf::new(&mut space);
            match stream.reader().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.left > 0 => {
                    self.left = self.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

use std::{
    io,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::ReadBuf;

use super::connection::Stream;
use crate::{
    Shared,
    envelope::refusal_json,
    error::{Code, Detail, Failure},
    observe,
};

/// For how long, and for how many bytes, what still comes is thrown away after a refusal.
const LINGER: Duration = Duration::from_secs(2);
const MOST_THROWN_AWAY: usize = 1024 * 1024;

const MESSAGE: &str = "The request is not valid HTTP/1.1.";
const RULE: &str = "must be HTTP/1.1: a URL in which everything but ASCII letters, digits and a few signs is \
                    percent-encoded, one Host, one Content-Length or Transfer-Encoding, at most 96 headers and 128 KiB";

/// The end of a connection whose bytes are no request: the answer that the protocol has for it, put into the envelope
/// that every answer comes in, and then the orderly close that keeps the kernel from taking the answer back with a
/// reset (RFC 9112, section 9.6).
pub(super) struct Refusing {
    text: Vec<u8>,
    written: usize,
    is_shut: bool,
    thrown_away: usize,
    /// When it ends, whatever the client does.
    pub(super) deadline: Instant,
}

impl Refusing {
    /// `head` is the head of the protocol's own answer.
    pub(super) fn new(shared: &Shared, head: &str) -> Self {
        let (failure, status) = if head.starts_with("HTTP/1.1 5") {
            (Failure::new(Code::InternalError), "500 Internal Server Error")
        } else {
            let details = vec![Detail::new("request", RULE)];
            (Failure { message: MESSAGE.into(), ..Failure::validation(details) }, "400 Bad Request")
        };
        let request_id = shared.api.ids.request_id();
        let json = refusal_json(&failure, &request_id);
        let date = head.lines().find(|line| line.starts_with("date:")).map(|line| format!("{line}\r\n"));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\nx-request-id: {request_id}\r\nconnection: close\r\n{}\r\n",
            json.len(),
            date.unwrap_or_default()
        );
        observe::no_request(shared, &request_id, failure.code);
        let text = [head.into_bytes(), json].concat();
        Self { text, written: 0, is_shut: false, thrown_away: 0, deadline: Instant::now() + LINGER }
    }

    /// Ready when the connection can be closed.
    pub(super) fn poll(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.text.len() {
            match stream.writer().poll_write(context, &self.text[self.written..]) {
                Poll::Ready(Ok(written)) if written > 0 => self.written += written,
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if !self.is_shut {
            match stream.writer().poll_shutdown(context) {
                Poll::Ready(Ok(())) => self.is_shut = true,
                not_yet_or_never => return not_yet_or_never,
            }
        }
        loop {
            let mut space = [0; 4096];
            let mut buffer = ReadBuf::new(&mut space);
            match stream.reader().poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.thrown_away < MOST_THROWN_AWAY => {
                    self.thrown_away += buffer.filled().len();
                }
                Poll::Ready(done) => return Poll::Ready(done),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

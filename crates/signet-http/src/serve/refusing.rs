use std::{
    io,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use actix_web::http::header::HttpDate;

use super::{
    connection::Stream,
    lingering::{LINGER_TIME, Lingering},
};
use crate::{
    Shared,
    connection_events::ConnectionEvent,
    envelope::refusal_json,
    error::{Code, Detail, Failure},
    observe,
};

const MESSAGE: &str = "The request is not valid HTTP/1.1.";
const RULE: &str = "must be HTTP/1.1: a URL in which everything but ASCII letters, digits and a few signs is \
                    percent-encoded, one Host, one Content-Length or Transfer-Encoding, at most 96 headers and 32 KiB";
const ALL_METHODS: &str = "GET, HEAD, POST, PATCH, DELETE";

/// Why a connection ends before any handler sees the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// It is not valid HTTP/1.1.
    Malformed,
    /// Its head is larger than a connection holds.
    HeadTooLarge,
    /// `CONNECT` makes a tunnel of all that follows, so nothing that follows can be a request.
    Connect,
    /// It is not TLS, and must be.
    PlainHttp,
    /// actix itself failed.
    Internal,
}

impl Rejection {
    /// The reason for an answer that actix made itself, by the head of that answer.
    pub(super) fn of_actix(head: &str) -> Self {
        if head.starts_with("HTTP/1.1 5") { Self::Internal } else { Self::Malformed }
    }

    fn failure(self) -> Failure {
        match self {
            Self::Malformed => invalid(MESSAGE),
            Self::HeadTooLarge => invalid("The request line and headers are larger than 32 KiB."),
            Self::Connect => {
                Failure { message: "CONNECT is not supported.".into(), ..Failure::method_not_allowed(ALL_METHODS) }
            }
            Self::PlainHttp => Failure::saying(Code::ValidationFailed, "This port speaks HTTPS, not plain HTTP."),
            Self::Internal => Failure::new(Code::InternalError),
        }
    }

    fn event(self) -> Option<ConnectionEvent> {
        match self {
            Self::Malformed => Some(ConnectionEvent::Malformed),
            Self::HeadTooLarge => Some(ConnectionEvent::HeadTooLarge),
            Self::Connect => Some(ConnectionEvent::Connect),
            Self::PlainHttp => Some(ConnectionEvent::PlainHttp),
            Self::Internal => None,
        }
    }
}

fn invalid(message: &'static str) -> Failure {
    Failure { details: vec![Detail::new("request", RULE)], ..Failure::saying(Code::ValidationFailed, message) }
}

/// The end of a connection whose bytes are no request that could be served: an answer in the envelope that every answer
/// comes in, and then a close that the client can read it before.
pub(super) struct Refusing {
    text: Vec<u8>,
    written: usize,
    lingering: Option<Lingering>,
    /// When it ends, whatever the client does.
    pub(super) deadline: Instant,
}

impl Refusing {
    pub(super) fn new(shared: &Shared, rejection: Rejection) -> Self {
        let failure = rejection.failure();
        let status = failure.code.status();
        let request_id = shared.api.ids.request_id();
        let json = refusal_json(&failure, &request_id);
        let advice = failure.header.as_deref();
        let advice = advice.and_then(|(name, value)| Some(format!("{name}: {}\r\n", value.to_str().ok()?)));
        #[expect(clippy::disallowed_methods, reason = "Date is the real time")]
        let date = HttpDate::from(SystemTime::now());
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\nx-request-id: {request_id}\r\nconnection: close\r\n{advice}\
             date: {date}\r\n\r\n",
            json.len(),
            advice = advice.unwrap_or_default(),
        );
        // The line of the request says the rest.
        if let Some(event) = rejection.event() {
            shared.metrics.connections.count(event);
        }
        observe::no_request(shared, &request_id, failure.code);
        let text = [head.into_bytes(), json].concat();
        Self { text, written: 0, lingering: None, deadline: Instant::now() + LINGER_TIME }
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
        let lingering = match &mut self.lingering {
            Some(lingering) => lingering,
            None => match stream.writer().poll_shutdown(context) {
                Poll::Ready(Ok(())) => self.lingering.insert(Lingering::begin()),
                not_yet_or_never => return not_yet_or_never,
            },
        };
        lingering.poll(stream, context).map(Ok)
    }
}

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    error::PayloadError,
    http::header::CONTENT_LENGTH,
    web::{Bytes, BytesMut, Payload},
};

use crate::{
    error::{Code, Detail, Failure},
    exchange::Exchange,
    gzip,
    media_type::{self, MediaType},
    response_memory::HeldBytes,
};

/// The most bytes a body may have, before and after it is decompressed.
const MAX_BYTES: usize = 64 * 1024;

/// Reads the whole body, which may be empty, and decompresses it. A body that is too large is rejected before it is read.
/// The media type is checked afterwards, so `413` comes before `415`.
pub(crate) async fn read(exchange: &Exchange, accepted: &[MediaType]) -> Result<Bytes, Failure> {
    let declared = exchange.http.headers().get(CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > MAX_BYTES)) {
        return Err(Failure::new(Code::PayloadTooLarge));
    }
    // A client that asks before it sends the body is not told to send one that is refused whatever it is.
    let headers = exchange.http.headers();
    if exchange.awaits_continue() {
        media_type::check(headers, accepted)?;
        gzip::is_used(headers)?;
    }
    // From the head on, so that what came before the reading does not put off the blame until it is the service's.
    let deadline = exchange.begun + exchange.shared.options.body_deadline;
    let body = tokio::time::timeout_at(deadline.into(), collect(exchange))
        .await
        .map_err(|_elapsed| Failure::saying(Code::MalformedJson, "The request body did not arrive in time."))??;
    if body.is_empty() {
        return Ok(body);
    }
    media_type::check(headers, accepted)?;
    if gzip::is_used(headers)? { gzip::decompress(&body, MAX_BYTES) } else { Ok(body) }
}

async fn collect(exchange: &Exchange) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = exchange.next_chunk().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::EncodingCorrupted => Failure {
                details: vec![Detail::new("body", "must be valid chunks (RFC 9112, section 7.1)")],
                ..Failure::saying(Code::ValidationFailed, "The request body is not validly chunked.")
            },
            _ => Failure::saying(Code::MalformedJson, "The request body is incomplete."),
        })?;
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Failure::new(Code::PayloadTooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Whether the server copies this answer piece by piece, and returns its length then.
pub(crate) fn large(answer: &BoxBody) -> Option<usize> {
    let BodySize::Sized(length) = answer.size() else { return None };
    usize::try_from(length).ok().filter(|length| *length > PIECE)
}

/// The body of an answer, which the server copies piece by piece. Its memory is held until it is dropped.
pub(crate) fn in_pieces(answer: BoxBody, held: Option<HeldBytes>) -> BoxBody {
    match answer.try_into_bytes() {
        Ok(bytes) if bytes.len() > PIECE => {
            let held = held.map(|mut held| {
                held.shrink_to(bytes.len());
                held
            });
            Pieces { total: bytes.len(), rest: bytes, _held: held }.boxed()
        }
        Ok(bytes) => bytes.boxed(),
        Err(other) => other,
    }
}

/// How much of an answer the server copies for a client at a time.
const PIECE: usize = 16 * 1024;

/// A long body, handed over piece by piece: whoever reads it slowly holds one piece of it, and not megabytes.
struct Pieces {
    total: usize,
    rest: Bytes,
    _held: Option<HeldBytes>,
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.total).unwrap_or(u64::MAX))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let length = self.rest.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.rest.split_to(length))))
    }
}

/// The body of an answer to a request whose own body was not read to its end.
///
/// Where the reader of a chunked body is dropped, the server goes on reading it for as long as the client sends. Where
/// it is still there when the answer is out, the server closes the connection.
pub(crate) struct Unread {
    answer: BoxBody,
    _request: Payload,
}

impl Unread {
    pub(crate) fn new(answer: BoxBody, request: Payload) -> Self {
        Self { answer, _request: request }
    }
}

impl MessageBody for Unread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

//! Compresses answers for clients that accept gzip (RFC 9110, section 12.5.3). Whole bodies, because the server finds the
//! end of an answer by its `Content-Length`.

use std::io::Write;

use actix_web::{
    HttpRequest, HttpResponse,
    body::MessageBody,
    http::header::{
        ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, Encoding, Header, HeaderValue, Preference, Quality, VARY,
    },
    web::Bytes,
};
use flate2::{Compression, write::GzEncoder};
use tokio::{sync::Semaphore, task::spawn_blocking};

/// A smaller answer fits into a packet or two as it is.
const MIN_BYTES: usize = 1024;

/// A larger answer is compressed on another thread: a worker would keep its other clients waiting for milliseconds.
const MAX_BYTES_ON_WORKER: usize = 64 * 1024;

/// How many large answers may be compressed at once. One more is sent as it is, rather than waiting.
static BACKGROUND: Semaphore = Semaphore::const_new(2);

pub(crate) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// What the client accepts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Everything but gzip, or gzip less than no coding.
    Identity,
    Gzip,
    /// Gzip, and nothing that is not compressed.
    GzipAlone,
}

impl Accepted {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let accepted = AcceptEncoding::parse(request).map(|accepted| accepted.0).unwrap_or_default();
        let quality = |coding: Encoding| {
            let named = accepted.iter().find(|given| given.item == Preference::Specific(coding.clone()));
            named.or_else(|| accepted.iter().find(|given| given.item == Preference::Any)).map(|given| given.quality)
        };
        let gzip = quality(Encoding::gzip()).unwrap_or(Quality::ZERO);
        match quality(Encoding::identity()) {
            _ if gzip == Quality::ZERO => Self::Identity,
            Some(Quality::ZERO) => Self::GzipAlone,
            Some(identity) if identity > gzip => Self::Identity,
            _ => Self::Gzip,
        }
    }
}

/// Compresses the body of an answer if the client accepts that and it is worth it.
pub(crate) async fn compress(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().append(VARY, HeaderValue::from(ACCEPT_ENCODING));
    let min_bytes = match Accepted::of(request) {
        Accepted::Identity => return response,
        Accepted::Gzip => MIN_BYTES,
        Accepted::GzipAlone => 1,
    };
    if response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut response, body) = response.into_parts();
    let plain = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return response.set_body(body),
    };
    if plain.len() >= min_bytes
        && let Some(compressed) = compressed(&plain).await
    {
        response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        return response.set_body(compressed.boxed());
    }
    response.set_body(plain.boxed())
}

async fn compressed(plain: &Bytes) -> Option<Bytes> {
    if plain.len() <= MAX_BYTES_ON_WORKER {
        return Some(gzip(plain));
    }
    let permit = BACKGROUND.try_acquire().ok()?;
    let plain = plain.clone();
    // The permit goes along: work that was begun is done to its end, whether or not the client still waits.
    let work = spawn_blocking(move || {
        let _permit = permit;
        gzip(&plain)
    });
    work.await.ok()
}

/// Fast, because most of what can be saved is saved at the first level.
pub(crate) fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("a vector takes all that is written").into()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use actix_web::{http::StatusCode, test::TestRequest};
    use flate2::read::GzDecoder;

    use super::*;

    fn asking(lines: &[&'static str]) -> HttpRequest {
        let request = TestRequest::default();
        lines.iter().fold(request, |request, line| request.append_header((ACCEPT_ENCODING, *line))).to_http_request()
    }

    #[test]
    fn what_the_client_accepts_is_read_with_its_weights() {
        for (lines, accepted) in [
            (&[][..], Accepted::Identity),
            (&[""], Accepted::Identity),
            (&["gzip"], Accepted::Gzip),
            (&["GZIP"], Accepted::Gzip),
            (&["gzip, deflate, br"], Accepted::Gzip),
            (&["deflate", "gzip;q=0.1"], Accepted::Gzip),
            (&["gzip;q=0"], Accepted::Identity),
            (&["gzip;q=0, *"], Accepted::Identity),
            (&["gzip;q=0.0, identity;q=0"], Accepted::Identity),
            (&["br, deflate"], Accepted::Identity),
            (&["*"], Accepted::Gzip),
            (&["*;q=0"], Accepted::Identity),
            (&["*;q=0, gzip"], Accepted::GzipAlone),
            (&["gzip, identity;q=0"], Accepted::GzipAlone),
            (&["*, identity;q=0"], Accepted::GzipAlone),
            (&["identity, gzip;q=0.5"], Accepted::Identity),
            (&["identity;q=0.5, gzip;q=1.0"], Accepted::Gzip),
            (&["identity;q=0.5, *;q=0.5"], Accepted::Gzip),
            (&["nonsense;q=x, \"gzip"], Accepted::Identity),
        ] {
            assert_eq!(Accepted::of(&asking(lines)), accepted, "{lines:?}");
        }
    }

    async fn sent(lines: &[&'static str], bytes: usize) -> (Option<&'static str>, Bytes) {
        let answer = HttpResponse::with_body(StatusCode::OK, Bytes::from(vec![b'x'; bytes]).boxed());
        let answer = compress(&asking(lines), answer).await;
        let vary = answer.headers().get(VARY).map(HeaderValue::as_bytes);
        assert_eq!(vary, Some(&b"accept-encoding"[..]), "whatever the client accepts");
        let coding = answer.headers().get(CONTENT_ENCODING).map(|_| "gzip");
        (coding, answer.into_body().try_into_bytes().expect("a whole body"))
    }

    #[actix_web::test]
    async fn answers_from_1_kib_on_are_compressed() {
        for (lines, bytes, coding) in [
            (&["gzip"][..], 1023, None),
            (&["gzip"], 1024, Some("gzip")),
            (&["gzip"], MAX_BYTES_ON_WORKER + 1, Some("gzip")),
            (&["gzip"], 2_000_000, Some("gzip")),
            (&["identity"], 2_000_000, None),
            (&["gzip, identity;q=0"], 1, Some("gzip")),
            (&["gzip, identity;q=0"], 0, None),
        ] {
            let (found, body) = sent(lines, bytes).await;
            assert_eq!(found, coding, "{lines:?} {bytes}");
            let mut plain = Vec::new();
            match found {
                Some(_) => _ = GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("gzip"),
                None => plain = body.to_vec(),
            }
            assert!(plain.len() == bytes && plain.iter().all(|byte| *byte == b'x'), "{lines:?} {bytes}");
        }

        let permits = BACKGROUND.acquire_many(2).await.expect("not closed");
        assert_eq!(sent(&["gzip"], MAX_BYTES_ON_WORKER + 1).await.0, None, "a large one does not wait");
        assert_eq!(sent(&["gzip"], MAX_BYTES_ON_WORKER).await.0, Some("gzip"));
        drop(permits);
    }
}

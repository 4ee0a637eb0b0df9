//! The content codings of request bodies: gzip, or none (RFC 9110, section 8.4).

use std::io::{self, ErrorKind, Read};

use actix_web::{
    http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue},
    web::Bytes,
};
use flate2::bufread::MultiGzDecoder;

use crate::error::{Code, Failure};

/// Whether the body of a request is compressed. Any coding but one gzip is refused.
pub(crate) fn is_used(headers: &HeaderMap) -> Result<bool, Failure> {
    let lines = headers.get_all(CONTENT_ENCODING).map(|line| String::from_utf8_lossy(line.as_bytes()));
    let codings = lines.collect::<Vec<_>>().join(",");
    let mut codings = codings.split(',').map(str::trim).filter(|coding| !is_one_of(coding, &["", "identity"]));
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if is_one_of(coding, &["gzip", "x-gzip"]) => Ok(true),
        (Some(_), None) => Err(unsupported("The content coding of the request body is not supported.")),
        (Some(_), Some(_)) => Err(unsupported("The request body has more than one content coding.")),
    }
}

fn is_one_of(coding: &str, names: &[&str]) -> bool {
    names.iter().any(|name| coding.eq_ignore_ascii_case(name))
}

fn unsupported(problem: &str) -> Failure {
    let message = format!("{problem} Send it with Content-Encoding: gzip, or without a Content-Encoding.");
    let failure = Failure::saying(Code::UnsupportedMediaType, message);
    failure.with_header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
}

/// The decompressed bytes, all members of them (RFC 1952, section 2.2). Holds no more than `limit` of them.
pub(crate) fn decompress(compressed: &[u8], limit: usize) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(compressed).take(one_more).read_to_end(&mut bytes).map_err(|error| not_gzip(&error))?;
    if bytes.len() > limit { Err(Failure::new(Code::PayloadTooLarge)) } else { Ok(bytes.into()) }
}

fn not_gzip(error: &io::Error) -> Failure {
    let message = if error.kind() == ErrorKind::UnexpectedEof {
        "The request body is not valid gzip: it is cut short."
    } else {
        "The request body is not valid gzip: it is damaged, is something else, or has something else after its end."
    };
    Failure::saying(Code::MalformedJson, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_web::http::header::HeaderName;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const LIMIT: usize = 64 * 1024;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn codings(lines: &[&'static str]) -> Result<bool, Option<(HeaderName, HeaderValue)>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(line));
        }
        is_used(&headers).map_err(|failure| {
            assert!(failure.code == Code::UnsupportedMediaType && failure.message.contains("gzip"), "{failure:?}");
            failure.header.map(|header| *header)
        })
    }

    #[test]
    fn gzip_alone_is_accepted_in_any_spelling() {
        for none in [&[][..], &[""], &["identity"], &["Identity, IDENTITY"], &["identity", ""]] {
            assert_eq!(codings(none), Ok(false), "{none:?}");
        }
        for gzip in [&["gzip"][..], &["GZip"], &["x-gzip"], &[" gzip ,"], &["identity, gzip"], &["identity", "gzip"]] {
            assert_eq!(codings(gzip), Ok(true), "{gzip:?}");
        }
        for other in [&["br"][..], &["deflate"], &["zstd"], &["gzip, gzip"], &["gzip", "gzip"], &["gzip;q=1"], &["*"]] {
            assert_eq!(codings(other), Err(Some((ACCEPT_ENCODING, HeaderValue::from_static("gzip")))), "{other:?}");
        }
    }

    fn outcome(compressed: &[u8]) -> Result<usize, Code> {
        decompress(compressed, LIMIT).map(|bytes| bytes.len()).map_err(|failure| failure.code)
    }

    #[test]
    fn the_limit_is_that_of_the_decompressed_bytes() {
        assert_eq!(outcome(&compress(&vec![b' '; LIMIT])), Ok(LIMIT));
        assert_eq!(outcome(&compress(&vec![b' '; LIMIT + 1])), Err(Code::PayloadTooLarge));
        let bomb = compress(&vec![0; 50_000_000]);
        assert!(bomb.len() < LIMIT);
        assert_eq!(outcome(&bomb), Err(Code::PayloadTooLarge));
        let half = compress(&vec![b' '; LIMIT / 2]);
        assert_eq!(outcome(&[&half[..], &half].concat()), Ok(LIMIT), "two members");
        assert_eq!(outcome(&[&half[..], &half, &compress(b" ")].concat()), Err(Code::PayloadTooLarge));
    }

    #[test]
    fn what_is_not_gzip_is_malformed() {
        let whole = compress(br#"{"name":"John"}"#);
        for end in 0..whole.len() {
            assert_eq!(outcome(&whole[..end]), Err(Code::MalformedJson), "{end} bytes");
        }
        assert_eq!(outcome(&[&whole[..], b"garbage"].concat()), Err(Code::MalformedJson));
        assert_eq!(outcome(&[&whole[..], &[0; 8]].concat()), Err(Code::MalformedJson));
        assert_eq!(outcome(br#"{"name":"John"}"#), Err(Code::MalformedJson));
        let mut damaged = whole.clone();
        damaged[whole.len() - 8] ^= 1;
        assert_eq!(outcome(&damaged), Err(Code::MalformedJson), "another checksum");
        let cut_short = decompress(&whole[..whole.len() - 1], LIMIT).expect_err("a refusal");
        assert_eq!(cut_short.message, "The request body is not valid gzip: it is cut short.");
    }
}

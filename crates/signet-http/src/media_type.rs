//! The media types that a request body may have. A refusal says what was wrong and what is accepted, and repeats nothing
//! that the client sent.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use mime::Mime;

use crate::error::{Code, Failure};

/// A media type, without parameters.
pub(crate) type MediaType = &'static str;

pub(crate) const JSON: MediaType = "application/json";
/// RFC 7396.
pub(crate) const MERGE_PATCH: MediaType = "application/merge-patch+json";

/// Rejects a body whose `Content-Type` is none of the accepted ones, or whose charset is not UTF-8.
pub(crate) fn check(headers: &HeaderMap, accepted: &[MediaType]) -> Result<(), Failure> {
    let refused = |problem: &str| {
        let message = format!("{problem} Send it as Content-Type: {}, in UTF-8.", accepted.join(" or "));
        Err(Failure::saying(Code::UnsupportedMediaType, message))
    };
    let mut lines = headers.get_all(CONTENT_TYPE);
    let Some(line) = lines.next().filter(|line| !line.as_bytes().trim_ascii().is_empty()) else {
        return refused("The request body has no Content-Type.");
    };
    if lines.next().is_some() {
        return refused("The request body has more than one Content-Type.");
    }
    let Some(media_type) = line.to_str().ok().and_then(parse) else {
        return refused("The Content-Type of the request body is not a media type.");
    };
    let essence = media_type.essence_str();
    if !accepted.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted)) {
        return refused("The media type of the request body is not supported here.");
    }
    let mut charsets = media_type.params().filter(|(name, _)| *name == mime::CHARSET).map(|(_, charset)| charset);
    if charsets.all(|charset| is_utf8(charset.as_str())) {
        Ok(())
    } else {
        refused("The charset of the request body is not supported.")
    }
}

/// Blanks around a semicolon, and nothing after one, are allowed (RFC 9110, section 5.6.6), but not by `mime`.
fn parse(line: &str) -> Option<Mime> {
    let parts: Vec<&str> = line.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join(";").parse().ok()
}

/// Any spelling: `UTF-8`, `utf8`, `utf_8`, in single quotes too.
fn is_utf8(charset: &str) -> bool {
    let letters: String = charset.chars().filter(|character| !matches!(character, '-' | '_' | '\'')).collect();
    letters.eq_ignore_ascii_case("utf8")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn outcome(lines: &[&'static [u8]], accepted: &[MediaType]) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CONTENT_TYPE, HeaderValue::from_bytes(line).expect("a header"));
        }
        check(&headers, accepted).map_err(|failure| {
            assert_eq!(failure.code, Code::UnsupportedMediaType);
            failure.message.into_owned()
        })
    }

    #[test]
    fn json_in_any_spelling_of_utf_8_is_accepted() {
        for line in [
            &b"application/json"[..],
            b"APPLICATION/JSON",
            b"application/json;charset=utf-8",
            b"application/json; charset=UTF-8",
            b"application/json; charset=utf8",
            b"application/json; charset=Utf8",
            b"application/json; charset=\"utf-8\"",
            b"application/json; charset=\"UTF8\"",
            b"application/json; charset='utf-8'",
            b"application/json; CHARSET=utf_8",
            b"application/json ; charset=utf-8 ;",
            b" application/json;profile=\"a;b\"; charset=utf-8",
            b"application/json; odata.metadata=minimal",
        ] {
            assert_eq!(outcome(&[line], &[JSON]), Ok(()), "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(outcome(&[b"application/merge-patch+json; charset=utf8"], &[JSON, MERGE_PATCH]), Ok(()));
        assert_eq!(outcome(&[b"application/json"], &[JSON, MERGE_PATCH]), Ok(()));
    }

    #[test]
    fn a_refusal_says_what_was_wrong_and_what_is_accepted() {
        const SEND: &str = "Send it as Content-Type: application/json, in UTF-8.";
        for (lines, problem) in [
            (&[][..], "The request body has no Content-Type."),
            (&[&b""[..]], "The request body has no Content-Type."),
            (&[b"  "], "The request body has no Content-Type."),
            (&[b";"], "The Content-Type of the request body is not a media type."),
            (&[b"json"], "The Content-Type of the request body is not a media type."),
            (&[b"\xff/json"], "The Content-Type of the request body is not a media type."),
            (&[b"application/json, application/json"], "The Content-Type of the request body is not a media type."),
            (&[b"application/json", b"application/json"], "The request body has more than one Content-Type."),
            (&[b"text/json"], "The media type of the request body is not supported here."),
            (&[b"*/*"], "The media type of the request body is not supported here."),
            (&[b"application/x-www-form-urlencoded"], "The media type of the request body is not supported here."),
            (&[b"multipart/form-data; boundary=x"], "The media type of the request body is not supported here."),
            (&[b"Application/Merge-Patch+JSON"], "The media type of the request body is not supported here."),
            (&[b"application/json; charset=latin1"], "The charset of the request body is not supported."),
            (&[b"application/json; charset=utf-16"], "The charset of the request body is not supported."),
            (
                &[b"application/json; charset=utf-8; charset=latin1"],
                "The charset of the request body is not supported.",
            ),
            (
                &[b"text/signet_live_0123456789abcdef_ABCDEFGHIJKLMNOPQRSTUVWXYZ012345ABCDEF"],
                "The media type of the request body is not supported here.",
            ),
        ] {
            assert_eq!(outcome(lines, &[JSON]), Err(format!("{problem} {SEND}")));
        }
        let message = outcome(&[b"text/plain"], &[JSON, MERGE_PATCH]).expect_err("a refusal");
        assert!(message.contains("application/json or application/merge-patch+json"), "{message}");
    }
}

use actix_web::http::header::{AUTHORIZATION, HeaderMap};

use crate::error::{Code, Failure};

/// The API key in `Authorization: Bearer <key>` (RFC 6750, section 2.1; the scheme in any case, RFC 9110, section 11.1).
///
/// The key itself is judged by the use case. Two headers are refused, not chosen from: a proxy in front may have
/// looked at the other one.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let line = lines.next().ok_or_else(|| Failure::new(Code::MissingCredentials))?;
    let malformed = || Failure::new(Code::MalformedCredentials);
    if lines.next().is_some() {
        return Err(malformed());
    }
    let text = line.to_str().map_err(|_opaque| malformed())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim_matches(' ')) } else { Err(malformed()) }
}

/// Whether an API key stands in the text, whole or with a typing error.
pub(crate) fn looks_like_key(text: &str) -> bool {
    ["signet_live_", "signet_test_"].iter().any(|start| text.contains(start))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn outcome(lines: &[&'static [u8]]) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line).expect("a header"));
        }
        bearer(&headers).map(str::to_owned).map_err(|failure| failure.code)
    }

    #[test]
    fn one_bearer_line_is_taken_and_nothing_else() {
        for good in [&b"Bearer key"[..], b"bearer key", b"BEARER  key "] {
            assert_eq!(outcome(&[good]), Ok("key".to_owned()), "{good:?}");
        }
        assert_eq!(outcome(&[]), Err(Code::MissingCredentials));
        for bad in [&b""[..], b"key", b"Bearer", b"Basic key", b"Bearer\tkey", b"Bearer k\xc3\xa9"] {
            assert_eq!(outcome(&[bad]), Err(Code::MalformedCredentials), "{bad:?}");
        }
        assert_eq!(outcome(&[b"Bearer key", b"Bearer key"]), Err(Code::MalformedCredentials));
    }
}

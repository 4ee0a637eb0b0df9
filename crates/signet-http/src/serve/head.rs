use std::{mem::MaybeUninit, ops::Range};

use memchr::memchr;

use super::refusing::Rejection;

/// The most headers that actix reads.
pub(super) const MAX_HEADERS: usize = 96;

/// The most bytes of a request line and its headers.
pub(super) const MAX_HEAD: usize = 32 * 1024;

/// Finds the empty line that ends a request head, in bytes that come in pieces (RFC 9112, section 2.1; a lone LF counts
/// as a line end, as section 2.2 lets a recipient do).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadEnd {
    /// How many bytes were searched so far.
    pub(super) searched: usize,
    /// How those bytes end.
    tail: Tail,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// At the beginning: empty lines before a request are skipped (RFC 9112, section 2.2).
    #[default]
    Start,
    Text,
    LineEnd,
    LineEndCr,
}

impl HeadEnd {
    /// Returns the length of the head if it ends within `bytes`, which are all bytes of the request so far. Rejects a head
    /// as soon as it can no longer become a valid one.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Rejection> {
        let length = self.search(bytes);
        if length.unwrap_or(bytes.len()) > MAX_HEAD {
            return Err(Rejection::HeadTooLarge);
        }
        // Something else than HTTP, such as TLS, may never send an empty line.
        let first = bytes.iter().find(|byte| !matches!(byte, b'\r' | b'\n'));
        if length.is_none() && first.is_some_and(|byte| !byte.is_ascii_graphic()) {
            return Err(Rejection::Malformed);
        }
        Ok(length)
    }

    fn search(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = self.searched;
        self.searched = bytes.len();
        while at < bytes.len() {
            if self.tail == Tail::Text {
                at += memchr(b'\n', &bytes[at..])?;
            }
            self.tail = match (self.tail, bytes[at]) {
                (Tail::Start, b'\r' | b'\n') => Tail::Start,
                (Tail::Text, b'\n') => Tail::LineEnd,
                (Tail::LineEnd, b'\r') => Tail::LineEndCr,
                (Tail::LineEnd | Tail::LineEndCr, b'\n') => return Some(at + 1),
                _ => Tail::Text,
            };
            at += 1;
        }
        None
    }
}

/// What follows a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes.
    Sized(u64),
    /// Chunks, up to the last one.
    Chunked,
}

/// What the connection must know about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) body: Body,
    /// Whether the method is `HEAD`: the response has no body then.
    pub(super) asks_head_alone: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) awaits_continue: bool,
}

/// Reads a whole head, and blanks the values in it that actix must not act on: `Upgrade`, the option `upgrade` of
/// `Connection`, and `Expect`. A server may ignore an offer to upgrade (RFC 9110, section 7.8), and `100 Continue` is sent
/// by the connection.
pub(super) fn read(head: &mut [u8]) -> Result<Head, Rejection> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    if !matches!(request.parse_with_uninit_headers(head, &mut headers), Ok(httparse::Status::Complete(_))) {
        return Err(Rejection::Malformed);
    }
    if request.method == Some("CONNECT") {
        return Err(Rejection::Connect);
    }
    let (mut body, mut expects_continue, mut blanks) = (Body::Sized(0), false, Vec::new());
    for header in &*request.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("transfer-encoding") {
            // actix rejects any other value.
            body = Body::Chunked;
        } else if is("content-length") && body != Body::Chunked {
            body = Body::Sized(number(header.value).ok_or(Rejection::Malformed)?);
        } else if is("upgrade") {
            blanks.push(range_in(head, header.value));
        } else if is("connection") {
            let upgrade = members(header.value).filter(|member| member.eq_ignore_ascii_case(b"upgrade"));
            blanks.extend(upgrade.map(|member| range_in(head, member)));
        } else if is("expect") {
            expects_continue |= members(header.value).any(|member| member.eq_ignore_ascii_case(b"100-continue"));
            blanks.push(range_in(head, header.value));
        }
    }
    let awaits_continue = expects_continue && request.version == Some(1) && body != Body::Sized(0);
    let asks_head_alone = request.method == Some("HEAD");
    for blank in blanks {
        head[blank].fill(b' ');
    }
    Ok(Head { body, asks_head_alone, awaits_continue })
}

/// The members of a list (RFC 9110, section 5.6.1).
fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Digits alone: a sign is none of them.
fn number(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Where `part` is in `whole`, which it is a part of.
fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_pieces_of_any_size() {
        for head in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\n\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n"] {
            let followed = format!("{head}GET / HTTP/1.1\r\n\r\n");
            for size in 1..=followed.len() {
                let mut end = HeadEnd::default();
                let mut lengths = (size..followed.len() + size).step_by(size).map(|length| length.min(followed.len()));
                let found = lengths.find_map(|length| {
                    let found = end.find(&followed.as_bytes()[..length]).expect("valid");
                    assert!(found.is_some() || length < head.len(), "{head:?} in pieces of {size}");
                    found
                });
                assert_eq!(found, Some(head.len()), "{head:?} in pieces of {size}");
            }
        }
        assert_eq!(HeadEnd::default().find(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(None));
    }

    #[test]
    fn a_head_that_cannot_become_valid_is_rejected_before_its_end() {
        let long = |length| format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(length)).into_bytes();
        let filled = MAX_HEAD - long(0).len();
        assert_eq!(HeadEnd::default().find(&long(filled)), Ok(None));
        assert_eq!(HeadEnd::default().find(&long(filled + 1)), Err(Rejection::HeadTooLarge));
        let whole = |length| [&long(length)[..], b"\r\n\r\nGET"].concat();
        assert_eq!(HeadEnd::default().find(&whole(filled - 4)), Ok(Some(MAX_HEAD)));
        assert_eq!(HeadEnd::default().find(&whole(filled - 3)), Err(Rejection::HeadTooLarge));
        assert_eq!(HeadEnd::default().find(b"\x16\x03\x01"), Err(Rejection::Malformed));
    }

    #[test]
    fn a_head_tells_what_follows() {
        let judged = |lines: &str| {
            let mut head = format!("{lines}\r\nHost: a\r\n\r\n").into_bytes();
            read(&mut head).map(|head| (head.body, head.asks_head_alone, head.awaits_continue))
        };
        for (lines, expected) in [
            ("GET / HTTP/1.1", Ok((Body::Sized(0), false, false))),
            ("HEAD / HTTP/1.1", Ok((Body::Sized(0), true, false))),
            ("\r\nPOST / HTTP/1.1\r\nContent-Length: 7", Ok((Body::Sized(7), false, false))),
            ("POST / HTTP/1.1\r\ncontent-length: 7\r\nTransfer-Encoding: chunked", Ok((Body::Chunked, false, false))),
            ("HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0", Ok((Body::Chunked, true, false))),
            ("POST / HTTP/1.1\r\nContent-Length: seven", Err(Rejection::Malformed)),
            ("POST / HTTP/1.1\r\nContent-Length: +7", Err(Rejection::Malformed)),
            ("POST / HTTP/1.1\r\nContent-Length:", Err(Rejection::Malformed)),
            ("POST / HTTP/1.1\r\nUpgrade: WebSocket \r\nContent-Length: 7", Ok((Body::Sized(7), false, false))),
            ("POST / HTTP/1.1\r\nExpect: x, 100-Continue\r\nContent-Length: 7", Ok((Body::Sized(7), false, true))),
            ("POST / HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked", Ok((Body::Chunked, false, true))),
            ("POST / HTTP/1.1\r\nExpect: 100-continue", Ok((Body::Sized(0), false, false))),
            ("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 7", Ok((Body::Sized(7), false, false))),
            ("POST / HTTP/1.1\r\nExpect: the-worst\r\nContent-Length: 7", Ok((Body::Sized(7), false, false))),
            ("CONNECT a:1 HTTP/1.1", Err(Rejection::Connect)),
            ("CONNECT a:1 HTTP/1.0\r\nContent-Length: 7", Err(Rejection::Connect)),
            ("CONNECT a:1 HTTP/1.1\r\nTransfer-Encoding: chunked", Err(Rejection::Connect)),
            ("GET /\u{e9} HTTP/1.1", Ok((Body::Sized(0), false, false))),
            ("nonsense", Err(Rejection::Malformed)),
            ("PRI * HTTP/2.0", Err(Rejection::Malformed)),
        ] {
            assert_eq!(judged(lines), expected, "{lines}");
        }
    }

    #[test]
    fn what_actix_would_act_on_is_blanked_and_nothing_else() {
        for (line, expected) in [
            ("Upgrade: h2c", "Upgrade:    "),
            ("Connection: Upgrade, HTTP2-Settings", "Connection:        , HTTP2-Settings"),
            ("connection:close ,upgrade", "connection:close ,       "),
            ("Connection: keep-alive", "Connection: keep-alive"),
            ("X-Upgrade: upgrade", "X-Upgrade: upgrade"),
            ("Expect: 100-continue", "Expect:             "),
        ] {
            let whole = |line: &str| format!("POST /upgrade HTTP/1.1\r\n{line}\r\nHost: upgrade\r\n\r\n");
            let mut head = whole(line).into_bytes();
            read(&mut head).expect("valid");
            assert_eq!(String::from_utf8_lossy(&head), whole(expected));
        }
    }
}

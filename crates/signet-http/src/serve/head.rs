use std::mem::MaybeUninit;

use memchr::memchr;

/// The most headers that actix reads.
pub(super) const MAX_HEADERS: usize = 96;

/// Finds the empty line that ends a request head, in bytes that come in pieces (RFC 9112, section 2.1; a lone LF counts
/// as a line end, as section 2.2 lets a recipient do).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadEnd {
    /// How the bytes seen so far end.
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
    /// How many of these bytes belong to the head, if it ends among them.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
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
    /// As many as the protocol above finds: the head is one that only that can judge.
    Unknown,
}

/// What a whole head tells about the rest of the exchange: what follows it, and whether it asks for a head alone.
pub(super) fn judge(head: &[u8]) -> (Body, bool) {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    if !matches!(request.parse_with_uninit_headers(head, &mut headers), Ok(httparse::Status::Complete(_))) {
        return (Body::Unknown, false);
    }
    let mut body = Body::Sized(0);
    for header in &*request.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("transfer-encoding") {
            // It is refused where it says anything but that.
            body = Body::Chunked;
            break;
        } else if is("upgrade") && header.value.trim_ascii().eq_ignore_ascii_case(b"websocket") {
            body = Body::Unknown;
        } else if is("content-length") && body == Body::Sized(0) {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            body = length.map_or(Body::Unknown, Body::Sized);
        }
    }
    match request.method {
        Some("CONNECT") => (Body::Unknown, false),
        method => (body, method == Some("HEAD")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_in_pieces_of_any_size() {
        for head in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\n\n", "\r\n\r\nGET / HTTP/1.1\r\n\r\n"] {
            for size in 1..=head.len() {
                let mut end = HeadEnd::default();
                let pieces: Vec<_> = head.as_bytes().chunks(size).map(|piece| (piece.len(), end.see(piece))).collect();
                let ((length, last), before) = pieces.split_last().expect("not empty");
                assert_eq!(*last, Some(*length), "{head:?} in pieces of {size}");
                assert!(before.iter().all(|(_, found)| found.is_none()), "{head:?} in pieces of {size}");
            }
            let followed = [head.as_bytes(), b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(HeadEnd::default().see(&followed), Some(head.len()));
        }
        assert_eq!(HeadEnd::default().see(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
    }

    #[test]
    fn a_head_tells_what_follows() {
        let judged = |lines: &str| judge(format!("{lines}\r\nHost: a\r\n\r\n").as_bytes());
        for (lines, expected) in [
            ("GET / HTTP/1.1", (Body::Sized(0), false)),
            ("HEAD / HTTP/1.1", (Body::Sized(0), true)),
            ("\r\nPOST / HTTP/1.1\r\nContent-Length: 7", (Body::Sized(7), false)),
            ("POST / HTTP/1.1\r\ncontent-length: 7\r\nTransfer-Encoding: chunked", (Body::Chunked, false)),
            ("HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0", (Body::Chunked, true)),
            ("POST / HTTP/1.1\r\nContent-Length: seven", (Body::Unknown, false)),
            ("GET / HTTP/1.1\r\nUpgrade: h2c", (Body::Sized(0), false)),
            ("POST / HTTP/1.1\r\nUpgrade: WebSocket \r\nContent-Length: 7", (Body::Unknown, false)),
            ("POST / HTTP/1.1\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked", (Body::Chunked, false)),
            ("CONNECT a:1 HTTP/1.1", (Body::Unknown, false)),
            ("GET /\u{e9} HTTP/1.1", (Body::Sized(0), false)),
            ("nonsense", (Body::Unknown, false)),
            ("PRI * HTTP/2.0", (Body::Unknown, false)),
        ] {
            assert_eq!(judged(lines), expected, "{lines}");
        }
    }
}

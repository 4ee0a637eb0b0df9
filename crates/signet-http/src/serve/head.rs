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
    /// Tells whether the head is complete after these bytes.
    pub(super) fn see(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            self.tail = match (self.tail, byte) {
                (Tail::Start, b'\r' | b'\n') => Tail::Start,
                (Tail::Text, b'\n') => Tail::LineEnd,
                (Tail::LineEnd, b'\r') => Tail::LineEndCr,
                (Tail::LineEnd | Tail::LineEndCr, b'\n') => return true,
                _ => Tail::Text,
            };
        }
        false
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
                let pieces: Vec<bool> = head.as_bytes().chunks(size).map(|piece| end.see(piece)).collect();
                let (last, before) = pieces.split_last().expect("not empty");
                assert!(last, "{head:?} in pieces of {size}");
                assert!(before.iter().all(|found| !found), "{head:?} in pieces of {size}");
            }
        }
        assert!(!HeadEnd::default().see(b"GET / HTTP/1.1\r\nHost: a\r\n"));
    }
}

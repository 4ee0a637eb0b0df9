use super::{
    chunks::{Chunks, ChunksEnd},
    head::{Body, HeadEnd, judge},
};

/// How far the request has come that is being served. What comes after it belongs to the next one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Its head is still to end; what there is of it, unless nothing has come at all.
    Head { end: HeadEnd, begun: Vec<u8> },
    /// This many bytes of its body are still to come.
    Body { left: u64, is_head: bool },
    /// Its body is chunked, and some chunks are still to come.
    Chunks { end: ChunksEnd, is_head: bool },
    /// Everything that comes is taken for its body, until it is answered.
    Open,
    /// It is all there.
    Complete { is_head: bool },
}

impl Default for Incoming {
    fn default() -> Self {
        Self::Head { end: HeadEnd::default(), begun: Vec::new() }
    }
}

impl Incoming {
    /// Takes those of the bytes that belong to the request and returns how many they are: none only where it is
    /// complete or there are none.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Head { end, begun } => {
                let Some(length) = end.see(bytes) else {
                    begun.extend_from_slice(bytes);
                    return bytes.len();
                };
                let (body, is_head) = if begun.is_empty() {
                    judge(&bytes[..length])
                } else {
                    begun.extend_from_slice(&bytes[..length]);
                    judge(begun)
                };
                *self = match body {
                    Body::Sized(0) => Self::Complete { is_head },
                    Body::Sized(left) => Self::Body { left, is_head },
                    Body::Chunked => Self::Chunks { end: ChunksEnd::default(), is_head },
                    Body::Unknown => Self::Open,
                };
                length + self.take(&bytes[length..])
            }
            Self::Body { left, is_head } => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= u64::try_from(taken).unwrap_or_default();
                if *left == 0 {
                    *self = Self::Complete { is_head: *is_head };
                }
                taken
            }
            Self::Chunks { end, is_head } => match end.see(bytes) {
                Chunks::GoOn => bytes.len(),
                Chunks::End(length) => {
                    *self = Self::Complete { is_head: *is_head };
                    length
                }
                Chunks::Nonsense => {
                    *self = Self::Open;
                    bytes.len()
                }
            },
            Self::Open => bytes.len(),
            Self::Complete { .. } => 0,
        }
    }

    /// Whether nothing of it has come.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Head { begun, .. } if begun.is_empty())
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }

    /// Whether its head has ended.
    pub(super) fn has_head(&self) -> bool {
        !matches!(self, Self::Head { .. })
    }

    /// Whether it asks for the head of an answer alone.
    pub(super) fn is_head_request(&self) -> bool {
        matches!(
            self,
            Self::Body { is_head: true, .. } | Self::Chunks { is_head: true, .. } | Self::Complete { is_head: true }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken at once, in pieces of that size, and what is left of the bytes.
    fn taken(bytes: &[u8], size: usize) -> (Incoming, usize) {
        let mut incoming = Incoming::default();
        let mut taken = 0;
        for piece in bytes.chunks(size) {
            let of_piece = incoming.take(piece);
            taken += of_piece;
            if of_piece < piece.len() {
                break;
            }
        }
        (incoming, bytes.len() - taken)
    }

    #[test]
    fn a_request_is_told_from_the_next_one() {
        for size in 1..100 {
            for (request, expected) in [
                ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Incoming::Complete { is_head: false }),
                ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", Incoming::Complete { is_head: true }),
                ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", Incoming::Complete { is_head: false }),
                (
                    "HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
                    Incoming::Complete { is_head: true },
                ),
            ] {
                let next = "GET / HTTP/1.1\r\n";
                assert_eq!(taken(format!("{request}{next}").as_bytes(), size), (expected, next.len()), "{request}");
            }
        }
        let half = taken(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 7);
        assert_eq!(half, (Incoming::Body { left: 3, is_head: false }, 0));
        let odd = taken(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\nGET", 7);
        assert_eq!(odd, (Incoming::Open, 0));
    }
}

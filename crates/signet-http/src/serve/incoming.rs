use super::{
    body_signal::BodySignal,
    chunks::{Chunks, ChunksEnd},
    head::{self, Body, HeadEnd},
    refusing::Rejection,
};

/// How far the request has come that is being served. What comes after it belongs to the next one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Its head is still to end.
    Head(HeadEnd),
    /// This many bytes of its body are still to come.
    Body { left: u64, is_head: bool },
    /// Its body is chunked, and some chunks are still to come.
    Chunks { end: ChunksEnd, is_head: bool },
    /// Its body is not valid, so its end cannot be known.
    Malformed { is_head: bool },
    /// It is all there.
    Complete { is_head: bool },
}

impl Default for Incoming {
    fn default() -> Self {
        Self::Head(HeadEnd::default())
    }
}

impl Incoming {
    /// Takes those of the bytes that belong to the request and returns how many they are. Until the head is whole it takes
    /// none: the next call must give the same bytes again, with more behind them.
    pub(super) fn take(&mut self, bytes: &mut [u8], signal: &BodySignal) -> Result<usize, Rejection> {
        match self {
            Self::Head(end) => {
                let Some(length) = end.find(bytes)? else { return Ok(0) };
                let (head, body) = bytes.split_at_mut(length);
                let head = head::read(head)?;
                let is_head = head.asks_head_alone;
                *self = match head.body {
                    Body::Sized(0) => Self::Complete { is_head },
                    Body::Sized(left) => Self::Body { left, is_head },
                    Body::Chunked => Self::Chunks { end: ChunksEnd::default(), is_head },
                };
                signal.begin(head.awaits_continue);
                Ok(length + self.take_body(body, signal))
            }
            _ => Ok(self.take_body(bytes, signal)),
        }
    }

    fn take_body(&mut self, bytes: &[u8], signal: &BodySignal) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        match self {
            Self::Body { left, is_head } => {
                signal.body_arrives();
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= u64::try_from(taken).unwrap_or_default();
                if *left == 0 {
                    *self = Self::Complete { is_head: *is_head };
                }
                taken
            }
            Self::Chunks { end, is_head } => {
                signal.body_arrives();
                match end.see(bytes) {
                    Chunks::GoOn => bytes.len(),
                    Chunks::End(length) => {
                        *self = Self::Complete { is_head: *is_head };
                        length
                    }
                    Chunks::Malformed => {
                        *self = Self::Malformed { is_head: *is_head };
                        signal.body_is_malformed();
                        0
                    }
                }
            }
            Self::Head(_) | Self::Malformed { .. } | Self::Complete { .. } => 0,
        }
    }

    /// Whether nothing of it has come.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Head(end) if end.searched == 0)
    }

    /// Whether these are more bytes of its head than were searched for the end.
    pub(super) fn has_unsearched(&self, length: usize) -> bool {
        matches!(self, Self::Head(end) if end.searched < length)
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. })
    }

    /// Whether no more bytes belong to it, as far as that can be known.
    pub(super) fn takes_no_more(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Malformed { .. })
    }

    /// Whether its head has ended.
    pub(super) fn has_head(&self) -> bool {
        !matches!(self, Self::Head(_))
    }

    /// Whether it asks for the head of an answer alone.
    pub(super) fn is_head_request(&self) -> bool {
        match self {
            Self::Head(_) => false,
            Self::Body { is_head, .. }
            | Self::Chunks { is_head, .. }
            | Self::Malformed { is_head }
            | Self::Complete { is_head } => *is_head,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const COMPLETE: Incoming = Incoming::Complete { is_head: false };

    /// Gives the bytes as a connection does, in pieces that end at these places. Returns the state at the end, and the
    /// bytes that were not taken.
    fn taken(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> (Incoming, Vec<u8>) {
        let (mut incoming, signal) = (Incoming::default(), BodySignal::default());
        let (mut from, mut waiting) = (0, Vec::new());
        for end in ends.into_iter().chain([bytes.len()]) {
            waiting.extend_from_slice(&bytes[from..end]);
            from = end;
            let taken = incoming.take(&mut waiting, &signal).expect("valid");
            waiting.drain(..taken);
        }
        (incoming, waiting)
    }

    fn in_pieces_of(size: usize, bytes: &[u8]) -> (Incoming, Vec<u8>) {
        taken(bytes, (0..bytes.len()).step_by(size))
    }

    const REQUESTS: [(&str, Incoming); 5] = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", COMPLETE),
        ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", Incoming::Complete { is_head: true }),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", COMPLETE),
        ("POST / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 5\r\n\r\nabcde", COMPLETE),
        (
            "HEAD / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
            Incoming::Complete { is_head: true },
        ),
    ];

    #[test]
    fn a_request_is_told_from_the_next_one() {
        let next = "GET / HTTP/1.1\r\n";
        for size in 1..100 {
            for (request, expected) in REQUESTS {
                let found = in_pieces_of(size, format!("{request}{next}").as_bytes());
                assert_eq!(found, (expected, next.as_bytes().to_vec()), "{request}");
            }
        }
        let half = in_pieces_of(7, b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab");
        assert_eq!(half, (Incoming::Body { left: 3, is_head: false }, Vec::new()));
        let (odd, _) = in_pieces_of(7, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\nGET");
        assert_eq!(odd, Incoming::Malformed { is_head: false });
    }

    proptest! {
        #[test]
        fn pieces_of_any_sizes_give_the_same_request(
            which in 0..REQUESTS.len(), filler in 0..2_000_usize, mut ends in vec(0..2_200_usize, 0..20)
        ) {
            let (request, _) = &REQUESTS[which];
            let request = request.replacen("\r\n", &format!("\r\nX: {}\r\n", "a".repeat(filler)), 1);
            let bytes = format!("{request}GET / HTTP/1.1\r\n");
            ends.retain(|end| *end < bytes.len());
            ends.sort_unstable();
            prop_assert_eq!(taken(bytes.as_bytes(), ends), taken(bytes.as_bytes(), []));
        }
    }
}

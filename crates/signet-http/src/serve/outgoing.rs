use std::mem::MaybeUninit;

use httparse::ParserConfig;
use memchr::memmem;

use super::head::MAX_HEADERS;

/// How far the answer to the request has gone that is being served.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// How many bytes of it are still to be written.
    left: u64,
    /// Whether its head was there.
    has_begun: bool,
}

/// What begins among the bytes to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// Nothing, or an answer of ours.
    Ours,
    /// After that many bytes an answer that the protocol gives by itself to what is no request, with its head.
    Foreign(usize, String),
}

impl Outgoing {
    /// Looks at all that is to be written, which may go on with an answer or begin one.
    pub(super) fn look(&mut self, bytes: &[u8], to_head_request: bool) -> Begins {
        while let Some(begun) = usize::try_from(self.left).ok().filter(|begun| *begun < bytes.len()) {
            let more = &bytes[begun..];
            let head = memmem::find(more, b"\r\n\r\n").map(|at| &more[..at + 4]);
            let Some(head) = head else {
                // The protocol writes heads whole.
                self.left = u64::MAX;
                break;
            };
            let length = u64::try_from(head.len()).unwrap_or(u64::MAX);
            self.has_begun = true;
            let Some(body) = length_of_ours(head) else {
                return Begins::Foreign(begun, String::from_utf8_lossy(head).into_owned());
            };
            let body = if to_head_request { 0 } else { body };
            self.left = self.left.saturating_add(length).saturating_add(body);
        }
        Begins::Ours
    }

    /// That many bytes were written.
    pub(super) fn advance(&mut self, written: usize) {
        self.left = self.left.saturating_sub(u64::try_from(written).unwrap_or(u64::MAX));
    }

    /// Whether all of the answer was written.
    pub(super) fn is_complete(&self) -> bool {
        self.has_begun && self.left == 0
    }
}

/// How long the body is that this head of an answer announces, if the answer is one of ours.
fn length_of_ours(head: &[u8]) -> Option<u64> {
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut []);
    ParserConfig::default().parse_response_with_uninit_headers(&mut answer, head, &mut headers).ok()?;
    let value = |wanted: &str| {
        answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(wanted)).map(|header| header.value)
    };
    value("x-request-id")?;
    let Some(length) = value("content-length") else { return Some(0) };
    Some(std::str::from_utf8(length).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-request-id: 1\r\n\r\n";

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let whole = format!("{OURS}abcde");
        for size in 1..whole.len() {
            let mut outgoing = Outgoing::default();
            let mut rest = whole.as_bytes();
            while !rest.is_empty() {
                assert!(!outgoing.is_complete());
                // All that waits is offered, and some of it taken.
                assert_eq!(outgoing.look(rest, false), Begins::Ours);
                let written = size.min(rest.len());
                outgoing.advance(written);
                rest = &rest[written..];
            }
            assert!(outgoing.is_complete(), "in pieces of {size}");
        }
    }

    #[test]
    fn an_answer_in_parts_is_waited_for() {
        let mut outgoing = Outgoing::default();
        for part in [OURS, "abc", "de"] {
            assert!(!outgoing.is_complete());
            assert_eq!(outgoing.look(part.as_bytes(), false), Begins::Ours);
            outgoing.advance(part.len());
        }
        assert!(outgoing.is_complete());
    }

    #[test]
    fn the_answer_to_head_has_no_body() {
        let mut outgoing = Outgoing::default();
        assert_eq!(outgoing.look(OURS.as_bytes(), true), Begins::Ours);
        outgoing.advance(OURS.len());
        assert!(outgoing.is_complete());
    }

    #[test]
    fn the_protocol_s_own_answer_is_recognised() {
        let foreign = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(Outgoing::default().look(foreign.as_bytes(), false), Begins::Foreign(0, foreign.to_owned()));
        let after = format!("{OURS}abcde{foreign}");
        let ours = after.len() - foreign.len();
        assert_eq!(Outgoing::default().look(after.as_bytes(), false), Begins::Foreign(ours, foreign.to_owned()));
    }
}

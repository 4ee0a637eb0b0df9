use std::fmt;

use serde::{Serialize, Serializer};

use crate::Invalid;

/// Names one request in its response, its log lines and its audit entry: 1 to 128 of `[A-Za-z0-9._-]`.
///
/// The narrow alphabet keeps a client's own id from forging a log line or a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The most characters one may have.
    pub const MAX_CHARS: usize = 128;

    /// Reads an id that a client chose.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(sane) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new("must be 1 to 128 letters, digits, dots, underscores or hyphens"))
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_forge_a_line_is_a_request_id() {
        assert!(RequestId::parse("0197f-A.b_c").is_ok());
        assert!(RequestId::parse(&"a".repeat(128)).is_ok());
        for bad in ["", "a b", "a\nb", "é", "a\u{1b}[0m", &"a".repeat(129)] {
            assert!(RequestId::parse(bad).is_err(), "{bad:?}");
        }
    }
}

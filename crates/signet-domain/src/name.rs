use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Invalid, text};

/// The display name of a user, a partner or an API key: 1 to 200 characters once trimmed and brought to
/// Unicode NFC, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// The most characters (Unicode scalar values) a name may have.
    pub const MAX_CHARS: usize = 200;

    /// Trims, normalizes and checks.
    pub fn parse(input: &str) -> Result<Self, Invalid> {
        let name = text::canonical(input);
        if name.chars().any(char::is_control) {
            return Err(Invalid::new("must not contain control characters"));
        }
        if name.is_empty() || name.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(Invalid::new("must be 1 to 200 characters"));
        }
        Ok(Self(name))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bounds_count_characters_after_trimming_and_nfc() {
        assert!(Name::parse(&format!("  {}  ", "ä".repeat(200))).is_ok());
        assert!(Name::parse(&"a\u{308}".repeat(200)).is_ok(), "200 once composed");
        for bad in ["", "   ", "\u{3000}", "a\u{0}b", "a\nb", "a\u{7f}", "a\u{85}b", &"a".repeat(201)] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Name::parse(" Jose\u{301} ").expect("valid").as_str(), "José");
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(input in any::<String>()) {
            if let Ok(name) = Name::parse(&input) {
                prop_assert_eq!(&Name::parse(name.as_str()).expect("canonical"), &name);
                prop_assert!(!name.as_str().contains('\0'));
            }
        }
    }
}

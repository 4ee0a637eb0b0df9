use std::fmt;

use serde::{Serialize, Serializer};

use crate::{Invalid, text, unicode::is_invisible};

/// The display name of a user, a partner or an API key: 1 to 200 characters once trimmed and brought to
/// Unicode NFC, none of them a control character, at least one of them visible.
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
        if name.chars().all(is_invisible) {
            return Err(Invalid::new("must have at least one visible character"));
        }
        Ok(Self(name))
    }

    /// Takes a name as a store holds it, unchecked: a rule that came later must not make a stored user unreadable.
    /// For adapters; [`parse`](Self::parse) is for everything that comes from outside.
    #[must_use]
    pub const fn from_stored(name: String) -> Self {
        Self(name)
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

    #[test]
    fn name_needs_a_visible_character() {
        for good in ["x", "👩\u{200d}👩\u{200d}👧", "نامه\u{200c}ای", "a\u{3164}", "\u{feff}", "é"] {
            assert_eq!(Name::parse(good).is_ok(), good != "\u{feff}", "{good:?}");
        }
        for bad in
            "\u{ad}\u{34f}\u{115f}\u{1160}\u{200b}\u{200d}\u{2060}\u{2800}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{e0041}"
                .chars()
        {
            assert!(Name::parse(&format!("{bad} {bad}")).is_err(), "U+{:04X}", u32::from(bad));
        }
    }

    #[test]
    fn leading_byte_order_mark_is_dropped() {
        for given in ["\u{feff}Jane", " \u{feff} Jane ", "\u{feff}\u{feff}Jane"] {
            assert_eq!(Name::parse(given).expect("valid").as_str(), "Jane", "{given:?}");
        }
        assert_eq!(Name::parse("Ja\u{feff}ne").expect("valid").as_str(), "Ja\u{feff}ne");
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

use std::fmt;

use email_address::{EmailAddress as AddrSpec, Options};
use serde::{Serialize, Serializer};

use crate::{Invalid, text};

/// An e-mail address: an addr-spec (RFC 5322, section 3.4.1, with the UTF-8 of RFC 6532) of at most 254 bytes.
///
/// It is kept as given, trimmed and in Unicode NFC, and carries the [key](Self::key) by which two addresses count as
/// the same one. The key is computed here and nowhere else, so uniqueness never depends on a database's collation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress {
    address: String,
    key: String,
}

impl EmailAddress {
    /// The most bytes of UTF-8 an address may have (RFC 5321, section 4.5.3.1.3, less the angle brackets).
    pub const MAX_BYTES: usize = 254;

    /// Trims, normalizes and checks.
    pub fn parse(input: &str) -> Result<Self, Invalid> {
        let address = text::canonical(input);
        if address.len() > Self::MAX_BYTES {
            return Err(Invalid::new("must be at most 254 bytes"));
        }
        let options = Options::default().without_display_text();
        let is_addr_spec = AddrSpec::parse_with_options(&address, options).is_ok();
        if !is_addr_spec || address.chars().any(char::is_control) {
            return Err(Invalid::new("must be an e-mail address, such as john.doe@example.com"));
        }
        let key = caseless(&address);
        Ok(Self { address, key })
    }

    /// The address as it was given, trimmed and in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// What all spellings of the same address share, whatever case they are in: the address in lower case, in NFC.
    ///
    /// Letters that one case does not tell apart are one letter: `ß` is `ss`, and `ς` is `σ`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Changing the case of a text, to upper or to lower, does not change this.
///
/// Lower case alone would not do: `Σ` becomes `σ` or `ς` by its place in a word, and `ß` becomes `SS` but never comes
/// back. So each character goes down, which takes the capitals that have no way up along (`ẞ`), up, where the variants
/// of one letter meet (`ς` and `σ`, `ſ` and `s`), and down again.
fn caseless(address: &str) -> String {
    if address.is_ascii() {
        return address.to_ascii_lowercase();
    }
    let upper = address.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    text::nfc(&upper.flat_map(char::to_lowercase).collect::<String>())
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.address)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_kept_as_given_and_compared_without_case() {
        let given = EmailAddress::parse(" Johasdn.Doe@Example.COM ").expect("valid");
        assert_eq!(given.as_str(), "Johasdn.Doe@Example.COM");
        assert_eq!(given.key(), "johasdn.doe@example.com");
        let composed = EmailAddress::parse("JOSÉ@example.com").expect("valid");
        let decomposed = EmailAddress::parse("jose\u{301}@example.com").expect("valid");
        assert_eq!(composed.key(), decomposed.key());
        let (upper, lower) = ("ΝΙΚΟΣ.ΠΑΠΑΣ@example.com", "νικος.παπας@example.com");
        assert_eq!(key_of(upper), key_of(lower));
        assert_eq!(key_of(lower), "νικοσ.παπασ@example.com");
    }

    fn key_of(address: &str) -> String {
        EmailAddress::parse(address).expect(address).key
    }

    /// In upper and in lower case, where that is an address: some letters become one with a mark, which is in none.
    fn in_other_cases(given: &EmailAddress) -> impl Iterator<Item = EmailAddress> {
        let others = [given.as_str().to_uppercase(), given.as_str().to_lowercase()];
        others.into_iter().filter_map(|other| EmailAddress::parse(&other).ok())
    }

    /// Some characters become several, or others than they came from: İ, ß, ẞ, ŉ, ﬁ, ᾼ, ς, ſ, ı, K (Kelvin), ͅ …
    #[test]
    fn no_letter_of_any_script_escapes_by_its_case() {
        let mut letters = 0;
        let has_cases =
            |letter: &char| letter.to_uppercase().chain(letter.to_lowercase()).any(|other| other != *letter);
        for letter in ('\0'..=char::MAX).filter(has_cases) {
            let Ok(given) = EmailAddress::parse(&format!("a{letter}b@example.com")) else { continue };
            for other in in_other_cases(&given) {
                assert_eq!(other.key(), given.key(), "U+{:04X} and {other}", u32::from(letter));
            }
            letters += 1;
        }
        assert!(letters > 2_500, "{letters}");
    }

    #[test]
    fn what_is_not_an_addr_spec_is_refused() {
        let long = format!("{}@example.com", "a".repeat(64 + 200));
        for bad in [
            "",
            " ",
            "john",
            "john@",
            "@example.com",
            "a b@example.com",
            "John <john@example.com>",
            "a@b@c",
            "a\0@b.c",
            "\"a\nb\"@c.d",
            &long,
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_so_is_the_key(input in "\\PC{1,20}@[a-zA-Z]{1,10}\\.[a-z]{2,3}") {
            if let Ok(email) = EmailAddress::parse(&input) {
                prop_assert_eq!(&EmailAddress::parse(email.as_str()).expect("canonical"), &email);
                prop_assert_eq!(caseless(email.key()), email.key());
            }
        }

        #[test]
        fn an_address_in_another_case_is_the_same(
            local in "[a-zA-Zß-ſΑ-ώἀ-ῼıẞİŉﬀ-ﬆ\u{300}-\u{345}]{1,8}", domain in "[a-zß-ÿα-ω]{1,5}"
        ) {
            if let Ok(email) = EmailAddress::parse(&format!("{local}@{domain}.com")) {
                for other in in_other_cases(&email) {
                    prop_assert_eq!(other.key(), email.key(), "{} and {}", email, other);
                }
            }
        }
    }
}

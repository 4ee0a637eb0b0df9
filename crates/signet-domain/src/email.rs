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
        let key = text::nfc(&address.to_lowercase());
        Ok(Self { address, key })
    }

    /// The address as it was given, trimmed and in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// What two spellings of the same address share: the address in lower case, in NFC.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
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
                prop_assert_eq!(text::nfc(&email.key().to_lowercase()), email.key());
            }
        }
    }
}

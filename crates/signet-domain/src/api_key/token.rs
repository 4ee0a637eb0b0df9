use std::fmt;

use super::{ApiKeyId, BASE62, KeyMode, is_base62};
use crate::Invalid;

const CHECKSUM_CHARS: usize = 6;

/// The secret part of an API key: 32 base62 characters, 190 bits. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// How many characters it has.
    pub const CHARS: usize = 32;

    /// Reads the 32 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() == Self::CHARS && is_base62(text) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new("must be 32 letters and digits"))
        }
    }

    /// The secret in clear: for hashing and for showing it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// A whole API key as a partner holds it: `signet_<live|test>_<key id>_<secret><checksum>`.
///
/// The checksum is the CRC-32 (ISO-HDLC) of everything before it as 6 base62 digits: secret scanners recognise a
/// leaked key by it, and a typo is refused without any I/O. Its `Debug` does not show the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyToken {
    /// Production or test.
    pub mode: KeyMode,
    /// Finds the key.
    pub id: ApiKeyId,
    /// Proves that the holder may use it.
    pub secret: Secret,
}

/// The text is no API key: cut short, mistyped, or something else altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key of the form signet_<live|test>_<key id>_<secret><checksum>")]
pub struct MalformedToken;

impl ApiKeyToken {
    /// Reads a key and checks its checksum.
    pub fn parse(text: &str) -> Result<Self, MalformedToken> {
        Self::read(text).ok_or(MalformedToken)
    }

    /// The key in clear, to be shown once.
    #[must_use]
    pub fn expose(&self) -> String {
        let body = format!("signet_{}_{}_{}", self.mode.as_str(), self.id.as_str(), self.secret.expose());
        let checksum = checksum(&body);
        body + &checksum
    }

    fn read(text: &str) -> Option<Self> {
        let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_CHARS)?)?;
        let mut parts = body.split('_');
        if parts.next()? != "signet" {
            return None;
        }
        let token = Self {
            mode: KeyMode::parse(parts.next()?).ok()?,
            id: ApiKeyId::parse(parts.next()?).ok()?,
            secret: Secret::parse(parts.next()?).ok()?,
        };
        (parts.next().is_none() && checksum(body) == sum).then_some(token)
    }
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(rest % 62).unwrap_or_default();
        *digit = char::from(BASE62[index]);
        rest /= 62;
    }
    digits.iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> ApiKeyToken {
        ApiKeyToken {
            mode: KeyMode::Test,
            id: ApiKeyId::parse("0123456789abcdef").expect("valid"),
            secret: Secret::parse("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345").expect("valid"),
        }
    }

    #[test]
    fn the_text_is_stable() {
        // The checksum comes from another implementation (Python's zlib.crc32): other tools recognise keys by this form.
        assert_eq!(token().expose(), "signet_test_0123456789abcdef_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123451lBh5l");
    }

    #[test]
    fn debug_never_shows_the_secret() {
        assert!(!format!("{:?}", token()).contains("ABCDEFGH"));
        assert_eq!(format!("{:?}", token().secret), "Secret(..)");
    }

    #[test]
    fn a_secret_is_32_letters_and_digits() {
        let secret = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        assert_eq!(Secret::parse(secret).expect("valid").expose(), secret);
        for bad in ["", &secret[1..], &format!("{secret}6"), &secret.replace('Z', "_"), &secret.replace("YZ", "é")] {
            assert!(Secret::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_key_reads_back_and_no_typo_passes(
            live in any::<bool>(), id in "[0-9A-Za-z]{16}", secret in "[0-9A-Za-z]{32}", at in 0_usize..67, with in "[0-9A-Za-z_]"
        ) {
            let token = ApiKeyToken {
                mode: if live { KeyMode::Live } else { KeyMode::Test },
                id: ApiKeyId::parse(&id).expect("valid"),
                secret: Secret::parse(&secret).expect("valid"),
            };
            let text = token.expose();
            prop_assert_eq!(ApiKeyToken::parse(&text), Ok(token));
            let mut typo = text.clone();
            typo.replace_range(at..=at, &with);
            prop_assert_eq!(ApiKeyToken::parse(&typo).is_ok(), typo == text);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            prop_assert_eq!(ApiKeyToken::parse(&text), Err(MalformedToken));
        }
    }
}

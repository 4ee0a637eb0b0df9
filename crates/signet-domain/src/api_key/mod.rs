//! API keys: the record that is stored, and the text that a partner holds.

mod token;

use serde::{Serialize, Serializer};

pub use token::{ApiKeyToken, MalformedToken, Secret};

use crate::{Invalid, Name, PartnerId, Timestamp};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public part of an API key: 16 base62 characters. It finds the key and names it in logs and the audit trail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId(Box<str>);

impl ApiKeyId {
    /// How many characters it has.
    pub const CHARS: usize = 16;

    /// Reads the 16 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() == Self::CHARS && is_base62(text) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new("must be the 16 letters and digits of a key id"))
        }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ApiKeyId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for ApiKeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Whether a key is for production or for trying things out; it shows in the key's text and changes nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words speak for themselves")]
pub enum KeyMode {
    Live,
    Test,
}

impl KeyMode {
    /// Reads the exact word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "live" => Ok(Self::Live),
            "test" => Ok(Self::Test),
            _ => Err(Invalid::new("must be live or test")),
        }
    }

    /// The word used in the key's text and in the databases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyScope {
    /// Get and list only.
    ReadOnly,
    /// Everything.
    ReadWrite,
}

impl KeyScope {
    /// Reads the exact word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "read_only" => Ok(Self::ReadOnly),
            "read_write" => Ok(Self::ReadWrite),
            _ => Err(Invalid::new("must be read_only or read_write")),
        }
    }

    /// The word used in the databases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::ReadWrite => "read_write",
        }
    }
}

/// The Argon2id hash of a key's secret as a PHC string. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash(Box<str>);

impl SecretHash {
    /// Wraps the PHC string that a hasher made.
    #[must_use]
    pub fn new(phc: String) -> Self {
        Self(phc.into())
    }

    /// Reads one back from a store.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.starts_with("$argon2id$") {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new("must be the PHC string of an Argon2id hash"))
        }
    }

    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretHash(..)")
    }
}

/// What is stored of an API key. The secret itself is shown once and never stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Finds the key.
    pub id: ApiKeyId,
    /// The partner that the key speaks for.
    pub partner_id: PartnerId,
    /// What the partner calls it.
    pub name: Name,
    /// Production or test.
    pub mode: KeyMode,
    /// What it may do.
    pub scope: KeyScope,
    /// Verifies the secret.
    pub secret_hash: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was. One that was refused because its time was over has the end of that time here:
    /// no clock that goes backwards revives it.
    pub revoked_at: Option<Timestamp>,
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_16_letters_and_digits() {
        let id = ApiKeyId::parse("GqprOV1yRqPyoUWc").expect("valid");
        assert_eq!((id.as_str(), id.to_string().as_str()), ("GqprOV1yRqPyoUWc", "GqprOV1yRqPyoUWc"));
        for bad in
            ["", "GqprOV1yRqPyoUW", "GqprOV1yRqPyoUWcc", "GqprOV1yRqPyoU_c", "GqprOV1yRqPyoU c", "GqprOV1yRqPyoUé"]
        {
            assert!(ApiKeyId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_and_scopes_correspond() {
        for (scope, word) in [(KeyScope::ReadOnly, "read_only"), (KeyScope::ReadWrite, "read_write")] {
            assert_eq!((KeyScope::parse(word), scope.as_str()), (Ok(scope), word));
        }
        assert!(KeyScope::parse("Read_Only").is_err());
    }

    #[test]
    fn a_hash_is_kept_and_not_shown() {
        let phc = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
        let hash = SecretHash::parse(phc).expect("valid");
        assert_eq!(hash.as_str(), phc);
        assert_eq!(format!("{hash:?}"), "SecretHash(..)");
        assert!(SecretHash::parse("$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA").is_err());
    }
}

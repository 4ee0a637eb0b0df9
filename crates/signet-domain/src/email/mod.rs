mod key;
mod local_part;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Serialize, Serializer};

use crate::{
    Invalid, UserId, text,
    unicode::{ZWJ, ZWNJ, is_invisible},
};

/// An e-mail address of at most 254 bytes, in any script (RFC 6531).
///
/// - The local part has at most 64 bytes: the characters of `atext` (RFC 5322), and letters, marks and digits of the
///   General Security Profile of UTS #39, with dots between words; or a quoted string of these and of printable ASCII.
///   A zero width joiner or non-joiner is allowed only where its script needs it (IDNA's CONTEXTJ).
/// - The domain is valid by IDNA (UTS #46, non-transitional). An address literal such as `[192.0.2.1]` is not a domain.
///
/// It is kept as given, trimmed and in Unicode NFC, and carries the [key](Self::key) by which two addresses count as
/// the same one. The key is computed here and nowhere else, so uniqueness never depends on a database's collation.
///
/// Two values are equal if their addresses are, whatever their keys: a stored address may have an older key.
#[derive(Debug, Clone)]
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
        let Some((local, domain)) = address.rsplit_once('@') else {
            return Err(Invalid::new("must contain an @, as in john.doe@example.com"));
        };
        let local = local_part::check(local)?;
        check_characters_of_domain(&address, domain)?;
        let Some(domain) = key::ascii_domain(domain) else {
            return Err(Invalid::new("must have a valid domain name after the @"));
        };
        let mut key = String::with_capacity(address.len());
        key::push_caseless(&mut key, &local);
        key.push('@');
        key.push_str(&domain);
        Ok(Self { address, key })
    }

    /// Takes an address and its key as a store holds them, unchecked: a rule that came later must not make a stored
    /// user unreadable. For adapters; [`parse`](Self::parse) is for everything that comes from outside.
    #[must_use]
    pub const fn from_stored(address: String, key: String) -> Self {
        Self { address, key }
    }

    /// The key that a stored address has by the rule of this version, also if the rule would refuse the address.
    #[must_use]
    pub fn key_of_stored(address: &str) -> String {
        if let Ok(valid) = Self::parse(address) {
            return valid.key;
        }
        let (local, domain) = address.rsplit_once('@').map_or((address, None), |(local, domain)| (local, Some(domain)));
        let mut key = String::with_capacity(address.len());
        key::push_caseless(&mut key, &local_part::check(local).unwrap_or(local.into()));
        if let Some(domain) = domain {
            key.push('@');
            match key::ascii_domain(domain) {
                Some(ascii) => key.push_str(&ascii),
                None => key::push_caseless(&mut key, domain),
            }
        }
        key
    }

    /// The stored key of a user whose address belongs to another user by a rule that came later. It is no address, so
    /// that it is nobody else's key.
    #[must_use]
    pub fn key_of_collision(key: &str, user_id: UserId) -> String {
        format!("{key} {user_id}")
    }

    /// The address as it was given, trimmed and in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// What all spellings of the same address share: the local part without regard to case and without needless quotes,
    /// and the domain in ASCII.
    ///
    /// Letters that one case does not tell apart are one letter: `ß` is `ss`, and `ς` is `σ`. In the domain they are
    /// two, as they are in IDNA.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Names the character that no domain can hold, which UTS #46 would pass over in silence.
fn check_characters_of_domain(address: &str, domain: &str) -> Result<(), Invalid> {
    if domain.is_ascii() {
        return Ok(());
    }
    let is_bad = |character: char| match character {
        ZWNJ | ZWJ => false,                          // IDNA looks at what is around them.
        '\u{3002}' | '\u{FF0E}' | '\u{FF61}' => true, // Full stops of East Asian scripts.
        other => is_invisible(other),
    };
    let first = address.chars().count() - domain.chars().count() + 1;
    let bad = (first..).zip(domain.chars()).find(|(_, character)| is_bad(*character));
    bad.map_or(Ok(()), |(position, character)| Err(forbidden(character, position)))
}

fn forbidden(character: char, position: usize) -> Invalid {
    let code = u32::from(character);
    let what = match character {
        ZWNJ | ZWJ => "a joiner out of place",
        space if space.is_whitespace() => "a space",
        invisible if is_invisible(invisible) => "an invisible character",
        _ => "a character that no address can have there",
    };
    Invalid::new(format!("must not contain U+{code:04X}, {what} (character {position})"))
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for EmailAddress {}

impl Hash for EmailAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address.hash(state);
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

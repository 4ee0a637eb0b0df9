use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::Invalid;

/// Reads the hyphenated form in any case, and no other: braces, `urn:uuid:` and the bare 32 digits are refused,
/// since two spellings of one id are two cache keys, two log searches and one surprise (RFC 9562, section 4).
fn parse_hyphenated(text: &str) -> Result<Uuid, Invalid> {
    let rule = || Invalid::new("must be a UUID in its hyphenated form, such as 1a123288-24e8-4c6d-a847-501bab184f5a");
    if text.len() != uuid::fmt::Hyphenated::LENGTH {
        return Err(rule());
    }
    text.parse().map_err(|_error| rule())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID; new ones come from [`IdGenerator`](crate::ports::IdGenerator).
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Reads the hyphenated form, in any case.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse_hyphenated(text).map(Self)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }
    };
}

id! {
    /// Identifies a user within its partner; UUID version 7 when made by this service.
    UserId
}
id! {
    /// Identifies a business partner, the tenant that owns users and API keys.
    PartnerId
}
id! {
    /// Identifies one entry of the audit trail.
    AuditEntryId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let text = "1A123288-24e8-4c6d-a847-501bab184f5a";
        assert_eq!(UserId::parse(text).expect("valid").to_string(), text.to_lowercase());
        for other in [
            "",
            "1a12328824e84c6da847501bab184f5a",
            "{1a123288-24e8-4c6d-a847-501bab184f5a}",
            "urn:uuid:1a123288-24e8-4c6d-a847-501bab184f5a",
            "1a123288-24e8-4c6d-a847-501bab184f5g",
            " 1a123288-24e8-4c6d-a847-501bab184f5a",
            "1a12328824e84c6da847501bab184f5a0000",
        ] {
            assert!(UserId::parse(other).is_err(), "{other}");
        }
    }
}

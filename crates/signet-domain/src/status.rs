use std::fmt;

use serde::{Serialize, Serializer};

use crate::Invalid;

/// Whether a user may be verified. Any of the three may follow any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The state every user starts in.
    Active,
    /// Switched off; also the state of a removed user.
    Inactive,
    /// Barred for the time being.
    Suspended,
}

impl Status {
    /// Every status, in the order of the specification.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::Suspended];

    /// Reads the exact lower-case word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| Invalid::new("must be active, inactive or suspended"))
    }

    /// The word used in JSON and in the databases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Suspended => "suspended",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_statuses_correspond() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Ok(status));
            assert_eq!(status.to_string(), status.as_str());
        }
        for bad in ["", "Active", "removed", "active "] {
            assert!(Status::parse(bad).is_err(), "{bad:?}");
        }
    }
}

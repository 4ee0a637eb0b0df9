use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Invalid;

/// An instant in UTC with a precision of one millisecond, in the years 0001 to 9999.
///
/// Its text is RFC 3339 with exactly three fractional digits and `Z`: `2025-09-30T15:01:53.188Z`.
/// What is finer than a millisecond is cut off when the value is made, so that no database can round it
/// to something else later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Cuts `instant` to the millisecond. Fails outside the years 0001 to 9999.
    pub fn new(instant: DateTime<Utc>) -> Result<Self, Invalid> {
        Self::from_unix_millis(instant.timestamp_millis())
    }

    /// The instant `millis` milliseconds after 1970-01-01T00:00:00Z. Fails outside the years 0001 to 9999.
    pub fn from_unix_millis(millis: i64) -> Result<Self, Invalid> {
        DateTime::from_timestamp_millis(millis)
            .filter(|instant| (1..=9999).contains(&instant.year()))
            .map(Self)
            .ok_or_else(|| Invalid::new("must be an instant in the years 0001 to 9999"))
    }

    /// Reads RFC 3339 text, in any offset.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match DateTime::parse_from_rfc3339(text) {
            Ok(instant) => Self::new(instant.to_utc()),
            Err(_) => Err(Invalid::new("must be an RFC 3339 timestamp")),
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// The same instant as chrono's type.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        self.0
    }

    /// This instant plus `duration`, or `None` past the year 9999.
    #[must_use]
    pub fn checked_add(self, duration: std::time::Duration) -> Option<Self> {
        let millis = i64::try_from(duration.as_millis()).ok()?;
        Self::from_unix_millis(self.unix_millis().checked_add(millis)?).ok()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_exactly_three_fractional_digits() {
        let whole = Timestamp::from_unix_millis(1_759_244_513_000).expect("in range");
        assert_eq!(whole.to_string(), "2025-09-30T15:01:53.000Z");
        assert_eq!(
            Timestamp::parse("2025-09-30T17:01:53.188999999+02:00").expect("valid").to_string(),
            "2025-09-30T15:01:53.188Z"
        );
    }

    #[test]
    fn years_that_rfc_3339_cannot_write_are_refused() {
        assert!(Timestamp::from_unix_millis(i64::MAX).is_err());
        assert!(Timestamp::from_unix_millis(253_402_300_800_000).is_err());
    }
}

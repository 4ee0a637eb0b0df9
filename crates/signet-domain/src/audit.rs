use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::{ApiKeyId, AuditEntryId, Invalid, Name, PartnerId, RequestId, Timestamp, UserId, UserState, Version};

/// What happened to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The user came to be.
    Registered,
    /// One field or more changed.
    Updated,
    /// The user was soft-deleted.
    Removed,
    /// A removed user came back.
    Restored,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Updated, Self::Removed, Self::Restored];

    /// Reads the exact word.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| Invalid::new("must be user.registered, user.updated, user.removed or user.restored"))
    }

    /// The word used in JSON and in the databases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "user.registered",
            Self::Updated => "user.updated",
            Self::Removed => "user.removed",
            Self::Restored => "user.restored",
        }
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Who made a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A partner, through one of its API keys.
    ApiKey {
        /// The public part of the key.
        id: ApiKeyId,
        /// What the key was called at that time.
        name: Name,
    },
}

/// The circumstances of a change, which the domain cannot know by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContext {
    /// The partner that asks.
    pub partner_id: PartnerId,
    /// The id for the entry of the change.
    pub entry_id: AuditEntryId,
    /// Who asks.
    pub actor: Actor,
    /// The request that asks.
    pub request_id: RequestId,
    /// Where the request came from.
    pub ip_address: Option<IpAddr>,
    /// The time by the service's clock.
    pub at: Timestamp,
}

/// A field that an audit entry can tell about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is the field of User with the same name")]
pub enum Field {
    Name,
    Email,
    Status,
    Metadata,
    RemovedAt,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 5] = [Self::Name, Self::Email, Self::Status, Self::Metadata, Self::RemovedAt];

    pub(crate) fn of(self, user: &UserState) -> Value {
        match self {
            Self::Name => Value::from(user.name.as_str()),
            Self::Email => Value::from(user.email.as_str()),
            Self::Status => Value::from(user.status.as_str()),
            Self::Metadata => Value::Object(user.metadata.to_object()),
            Self::RemovedAt => user.removed_at.map_or(Value::Null, |at| Value::from(at.to_string())),
        }
    }

    fn same(self, one: &UserState, other: &UserState) -> bool {
        match self {
            Self::Name => one.name == other.name,
            Self::Email => one.email == other.email,
            Self::Status => one.status == other.status,
            Self::Metadata => one.metadata == other.metadata,
            Self::RemovedAt => one.removed_at == other.removed_at,
        }
    }
}

/// The value of a field before and after; `null` where there was or is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Before.
    pub from: Value,
    /// After.
    pub to: Value,
}

/// The fields that a change touched. Complete: replaying all entries of a user from nothing rebuilds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Changes(BTreeMap<Field, FieldChange>);

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The change of one field, if it changed.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&FieldChange> {
        self.0.get(&field)
    }

    /// The fields that changed, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Field, &FieldChange)> {
        self.0.iter().map(|(field, change)| (*field, change))
    }

    pub(crate) fn record(&mut self, field: Field, from: Option<&UserState>, to: Option<&UserState>) {
        if let (Some(from), Some(to)) = (from, to)
            && field.same(from, to)
        {
            return;
        }
        let value = |user: Option<&UserState>| user.map_or(Value::Null, |user| field.of(user));
        self.0.insert(field, FieldChange { from: value(from), to: value(to) });
    }
}

/// One line of the audit trail. Written with its change, never altered, never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Identifies the entry.
    pub id: AuditEntryId,
    /// The partner whose user changed.
    pub partner_id: PartnerId,
    /// The user that changed.
    pub user_id: UserId,
    /// The version of the user that the change made.
    pub version: Version,
    /// What happened.
    pub action: Action,
    /// Who did it.
    pub actor: Actor,
    /// What it changed.
    pub changes: Changes,
    /// The request that did it.
    pub request_id: RequestId,
    /// Where that request came from.
    pub ip_address: Option<IpAddr>,
    /// When; equals the `updated_at` it gave the user.
    pub occurred_at: Timestamp,
}

/// Where an entry stands in the trail: newest first is descending in this order.
///
/// The version comes before the id, so that two changes of one user in one millisecond stay in the order of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPosition {
    /// When the change happened.
    pub occurred_at: Timestamp,
    /// The version it made.
    pub version: Version,
    /// Its entry.
    pub entry_id: AuditEntryId,
}

impl AuditEntry {
    /// Where the entry stands in the trail.
    #[must_use]
    pub fn position(&self) -> AuditPosition {
        AuditPosition { occurred_at: self.occurred_at, version: self.version, entry_id: self.id }
    }
}

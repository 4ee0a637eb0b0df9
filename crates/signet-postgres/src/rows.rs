//! Rows as the database returns them. They never leave this crate: a row that breaks an invariant becomes
//! [`StoreError::Corrupt`], which names its column and its key.

use chrono::{DateTime, Utc};
use diesel::{
    Insertable, Queryable, Selectable,
    sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use signet_domain::{
    Action, Actor, ApiKey, ApiKeyId, AuditEntry, AuditEntryId, Changes, EmailAddress, Invalid, KeyMode, KeyScope,
    Metadata, Name, Partner, PartnerId, RequestId, SecretHash, Status, Timestamp, User, UserId, UserState, Version,
    ports::{CommitError, EmailHolder, StoreError},
};
use uuid::Uuid;

use crate::schema::{api_keys, partners};

/// Tells which row a broken value was found in; by a text that is made only for that error.
struct Reader<K> {
    table: &'static str,
    key: K,
}

impl<K: Fn() -> String> Reader<K> {
    fn check<T>(&self, column: &'static str, value: Result<T, Invalid>) -> Result<T, StoreError> {
        // The rule that was broken is in the schema's documentation; the value stays in the database.
        value.map_err(|_broken| self.corrupt(column))
    }

    fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, key: (self.key)() }
    }

    /// Whatever a statement found: no row leaves for a partner that does not own it.
    fn owner(&self, held: Uuid, asked: PartnerId) -> Result<PartnerId, StoreError> {
        if held == asked.uuid() { Ok(asked) } else { Err(self.corrupt("partner_id")) }
    }

    fn instant(&self, column: &'static str, value: DateTime<Utc>) -> Result<Timestamp, StoreError> {
        self.check(column, Timestamp::new(value))
    }

    fn optional_instant(
        &self,
        column: &'static str,
        value: Option<DateTime<Utc>>,
    ) -> Result<Option<Timestamp>, StoreError> {
        value.map(|value| self.instant(column, value)).transpose()
    }
}

/// The columns of `users` in the order of [`UserRow`], and their types.
pub(crate) const USER_COLUMNS: &str =
    "partner_id, user_id, name, email, email_key, status, metadata, registered_at, updated_at, removed_at, version";

pub(crate) type UserColumns =
    (SqlUuid, SqlUuid, Text, Text, Text, Text, Text, Timestamptz, Timestamptz, Nullable<Timestamptz>, BigInt);

#[derive(Queryable)]
pub(crate) struct UserRow {
    partner_id: Uuid,
    user_id: Uuid,
    name: String,
    email: String,
    email_key: String,
    status: String,
    metadata: String,
    registered_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    removed_at: Option<DateTime<Utc>>,
    version: i64,
}

impl UserRow {
    /// The user, which must be that partner's: a batch mixes partners.
    pub(crate) fn into_user(self, asked: PartnerId) -> Result<User, StoreError> {
        let (partner_id, user_id) = (self.partner_id, self.user_id);
        let row = Reader { table: "users", key: || format!("{partner_id}/{user_id}") };
        let state = UserState {
            partner_id: row.owner(self.partner_id, asked)?,
            id: UserId::new(self.user_id),
            name: Name::from_stored(self.name),
            email: EmailAddress::from_stored(self.email, self.email_key),
            status: row.check("status", Status::parse(&self.status))?,
            metadata: row.check("metadata", Metadata::from_stored(self.metadata))?,
            registered_at: row.instant("registered_at", self.registered_at)?,
            updated_at: row.instant("updated_at", self.updated_at)?,
            removed_at: row.optional_instant("removed_at", self.removed_at)?,
            version: row.check("version", Version::new(self.version))?,
        };
        if state.updated_at < state.registered_at {
            return Err(row.corrupt("updated_at"));
        }
        row.check("removed_at", User::from_stored(state))
    }
}

/// The user that has an address: the columns `partner_id`, `user_id`, `status` and `removed_at` of `users`.
#[derive(Queryable)]
pub(crate) struct HolderRow {
    partner_id: Uuid,
    user_id: Uuid,
    status: String,
    removed_at: Option<DateTime<Utc>>,
}

pub(crate) type HolderColumns = (SqlUuid, SqlUuid, Text, Nullable<Timestamptz>);

impl HolderRow {
    /// That the address is taken, by a user which must be that partner's.
    pub(crate) fn into_refusal(self, asked: PartnerId) -> CommitError {
        let row = Reader { table: "users", key: || format!("{}/{}", self.partner_id, self.user_id) };
        let holder = || {
            row.owner(self.partner_id, asked)?;
            Ok(EmailHolder {
                id: UserId::new(self.user_id),
                status: row.check("status", Status::parse(&self.status))?,
                removed_at: row.optional_instant("removed_at", self.removed_at)?,
            })
        };
        match holder() {
            Ok(holder) => CommitError::EmailTaken { partner_id: asked, holder },
            Err::<_, StoreError>(error) => error.into(),
        }
    }
}

/// How many users there are: the columns `partner_id` and `user_count` of `partners`.
#[derive(Queryable)]
pub(crate) struct CountRow {
    partner_id: Uuid,
    user_count: i64,
}

pub(crate) type CountColumns = (SqlUuid, BigInt);

impl CountRow {
    /// The total, which must be that partner's.
    pub(crate) fn into_total(self, asked: PartnerId) -> Result<u64, StoreError> {
        let row = Reader { table: "partners", key: || self.partner_id.to_string() };
        row.owner(self.partner_id, asked)?;
        u64::try_from(self.user_count).map_err(|_negative| row.corrupt("user_count"))
    }
}

/// The columns of `audit_entries` in the order of [`AuditRow`], and their types.
pub(crate) const AUDIT_COLUMNS: &str = "partner_id, user_id, version, entry_id, action, actor_type, actor_id, \
    actor_name, changes, request_id, ip_address, occurred_at";

pub(crate) type AuditColumns =
    (SqlUuid, SqlUuid, BigInt, SqlUuid, Text, Text, Text, Text, Text, Text, Nullable<Text>, Timestamptz);

#[derive(Queryable)]
pub(crate) struct AuditRow {
    partner_id: Uuid,
    user_id: Uuid,
    version: i64,
    entry_id: Uuid,
    action: String,
    actor_type: String,
    actor_id: String,
    actor_name: String,
    changes: String,
    request_id: String,
    ip_address: Option<String>,
    occurred_at: DateTime<Utc>,
}

impl AuditRow {
    /// The entry, which must be that partner's.
    pub(crate) fn into_entry(self, asked: PartnerId) -> Result<AuditEntry, StoreError> {
        let (partner_id, user_id, version) = (self.partner_id, self.user_id, self.version);
        let row = Reader { table: "audit_entries", key: || format!("{partner_id}/{user_id}/{version}") };
        let partner_id = row.owner(self.partner_id, asked)?;
        if self.actor_type != "api_key" {
            return Err(row.corrupt("actor_type"));
        }
        let changes: Changes = serde_json::from_str(&self.changes).map_err(|_error| row.corrupt("changes"))?;
        let ip_address = self.ip_address.map(|text| text.parse()).transpose();
        Ok(AuditEntry {
            id: AuditEntryId::new(self.entry_id),
            partner_id,
            user_id: UserId::new(self.user_id),
            version: row.check("version", Version::new(self.version))?,
            action: row.check("action", Action::parse(&self.action))?,
            actor: Actor::ApiKey {
                id: row.check("actor_id", ApiKeyId::parse(&self.actor_id))?,
                name: Name::from_stored(self.actor_name),
            },
            changes,
            request_id: row.check("request_id", RequestId::parse(&self.request_id))?,
            ip_address: ip_address.map_err(|_error| row.corrupt("ip_address"))?,
            occurred_at: row.instant("occurred_at", self.occurred_at)?,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = partners)]
pub(crate) struct PartnerRow {
    partner_id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
}

impl From<&Partner> for PartnerRow {
    fn from(partner: &Partner) -> Self {
        Self {
            partner_id: partner.id.uuid(),
            name: partner.name.as_str().to_owned(),
            created_at: partner.created_at.to_datetime(),
            disabled_at: partner.disabled_at.map(Timestamp::to_datetime),
        }
    }
}

impl TryFrom<PartnerRow> for Partner {
    type Error = StoreError;

    fn try_from(partner: PartnerRow) -> Result<Self, StoreError> {
        let row = Reader { table: "partners", key: || partner.partner_id.to_string() };
        Ok(Self {
            id: PartnerId::new(partner.partner_id),
            name: Name::from_stored(partner.name),
            created_at: row.instant("created_at", partner.created_at)?,
            disabled_at: row.optional_instant("disabled_at", partner.disabled_at)?,
        })
    }
}

/// The columns of `api_keys` in the order of [`ApiKeyRow`], and their types.
pub(crate) const API_KEY_COLUMNS: &str = "api_keys.partner_id, api_keys.key_id, api_keys.name, api_keys.mode, \
    api_keys.scope, api_keys.secret_hash, api_keys.created_at, api_keys.expires_at, api_keys.revoked_at";

pub(crate) type ApiKeyColumns =
    (SqlUuid, Text, Text, Text, Text, Text, Timestamptz, Nullable<Timestamptz>, Nullable<Timestamptz>);

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys)]
pub(crate) struct ApiKeyRow {
    partner_id: Uuid,
    key_id: String,
    name: String,
    mode: String,
    scope: String,
    secret_hash: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<&ApiKey> for ApiKeyRow {
    fn from(key: &ApiKey) -> Self {
        Self {
            partner_id: key.partner_id.uuid(),
            key_id: key.id.as_str().to_owned(),
            name: key.name.as_str().to_owned(),
            mode: key.mode.as_str().to_owned(),
            scope: key.scope.as_str().to_owned(),
            secret_hash: key.secret_hash.as_str().to_owned(),
            created_at: key.created_at.to_datetime(),
            expires_at: key.expires_at.map(Timestamp::to_datetime),
            revoked_at: key.revoked_at.map(Timestamp::to_datetime),
        }
    }
}

impl ApiKeyRow {
    /// The key, which must be that partner's.
    pub(crate) fn into_key(self, asked: PartnerId) -> Result<ApiKey, StoreError> {
        let row = Reader { table: "api_keys", key: || format!("{}/{}", self.partner_id, self.key_id) };
        row.owner(self.partner_id, asked)?;
        self.try_into()
    }
}

/// For whoever asks by the id of a key, and so for the partner that it belongs to.
impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(key: ApiKeyRow) -> Result<Self, StoreError> {
        let row = Reader { table: "api_keys", key: || format!("{}/{}", key.partner_id, key.key_id) };
        Ok(Self {
            id: row.check("key_id", ApiKeyId::parse(&key.key_id))?,
            partner_id: PartnerId::new(key.partner_id),
            name: Name::from_stored(key.name),
            mode: row.check("mode", KeyMode::parse(&key.mode))?,
            scope: row.check("scope", KeyScope::parse(&key.scope))?,
            secret_hash: row.check("secret_hash", SecretHash::parse(&key.secret_hash))?,
            created_at: row.instant("created_at", key.created_at)?,
            expires_at: row.optional_instant("expires_at", key.expires_at)?,
            revoked_at: row.optional_instant("revoked_at", key.revoked_at)?,
        })
    }
}

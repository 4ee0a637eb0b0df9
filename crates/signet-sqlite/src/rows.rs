//! Rows as they lie in the tables, and what the domain makes of them.

use std::convert::Infallible;

use diesel::{
    Queryable, Selectable,
    deserialize::{self, FromSql, FromSqlRow},
    sql_types::{Binary, Text},
    sqlite::{Sqlite, SqliteValue},
};
use signet_domain::{
    Action, Actor, ApiKey, ApiKeyId, AuditEntry, AuditEntryId, EmailAddress, KeyMode, KeyScope, Metadata, Name,
    Partner, PartnerId, RequestId, SecretHash, Status, Timestamp, User, UserId, UserState, Version,
    ports::{CommitError, EmailHolder, StoreError},
};
use uuid::Uuid;

use crate::schema::{api_keys, audit_entries, partners, users};

/// Text as it lies in the file. `SQLite` takes any bytes for text, and where they are no UTF-8 Diesel would make another
/// text of them, in silence.
#[derive(FromSqlRow)]
pub(crate) struct Stored(Vec<u8>);

impl FromSql<Text, Sqlite> for Stored {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        FromSql::<Binary, Sqlite>::from_sql(value).map(Self)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Sqlite))]
pub(crate) struct UserRow {
    partner_id: Vec<u8>,
    user_id: Vec<u8>,
    name: Stored,
    email: Stored,
    email_key: Stored,
    status: Stored,
    metadata: Stored,
    registered_at: i64,
    updated_at: i64,
    removed_at: Option<i64>,
    version: i64,
}

/// The user that has an address.
#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Sqlite))]
pub(crate) struct HolderRow {
    partner_id: Vec<u8>,
    user_id: Vec<u8>,
    status: Stored,
    removed_at: Option<i64>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_entries, check_for_backend(Sqlite))]
pub(crate) struct AuditRow {
    partner_id: Vec<u8>,
    user_id: Vec<u8>,
    version: i64,
    entry_id: Vec<u8>,
    action: Stored,
    actor_type: Stored,
    actor_id: Stored,
    actor_name: Stored,
    changes: Stored,
    request_id: Stored,
    ip_address: Option<Stored>,
    occurred_at: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = partners, check_for_backend(Sqlite))]
pub(crate) struct PartnerRow {
    partner_id: Vec<u8>,
    name: Stored,
    created_at: i64,
    disabled_at: Option<i64>,
}

/// How many users a partner has.
#[derive(Queryable, Selectable)]
#[diesel(table_name = partners, check_for_backend(Sqlite))]
pub(crate) struct CountRow {
    partner_id: Vec<u8>,
    user_count: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(Sqlite))]
pub(crate) struct ApiKeyRow {
    partner_id: Vec<u8>,
    key_id: Stored,
    name: Stored,
    mode: Stored,
    scope: Stored,
    secret_hash: Stored,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

/// Where a row lies, for the error that tells that it is corrupt. The key is ids only, and made only for that error.
struct Place<K> {
    table: &'static str,
    key: K,
}

impl<K: Fn() -> String> Place<K> {
    fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, key: (self.key)() }
    }

    fn read<T, E>(&self, column: &'static str, value: Result<T, E>) -> Result<T, StoreError> {
        value.map_err(|_error| self.corrupt(column))
    }

    fn text<T, E>(
        &self,
        column: &'static str,
        stored: &Stored,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let text = self.read(column, str::from_utf8(&stored.0))?;
        self.read(column, parse(text))
    }

    /// Text that is read whatever the rules say of it by now.
    fn any_text(&self, column: &'static str, stored: &Stored) -> Result<String, StoreError> {
        self.text(column, stored, |text| Ok::<_, Infallible>(text.to_owned()))
    }

    fn uuid(&self, column: &'static str, bytes: &[u8]) -> Result<Uuid, StoreError> {
        self.read(column, Uuid::from_slice(bytes))
    }

    fn instant(&self, column: &'static str, millis: i64) -> Result<Timestamp, StoreError> {
        self.read(column, Timestamp::from_unix_millis(millis))
    }

    fn maybe_instant(&self, column: &'static str, millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
        millis.map(|millis| self.instant(column, millis)).transpose()
    }

    /// Whatever a statement found: no row leaves for a partner that does not own it.
    fn owner(&self, held: &[u8], asked: PartnerId) -> Result<PartnerId, StoreError> {
        if held == asked.uuid().as_bytes() { Ok(asked) } else { Err(self.corrupt("partner_id")) }
    }
}

fn readable(id: &[u8]) -> String {
    Uuid::from_slice(id).map_or_else(|_| unreadable(), |id| id.to_string())
}

fn unreadable() -> String {
    "?".to_owned()
}

impl HolderRow {
    /// That the address is taken, by a user which must be that partner's.
    pub(crate) fn into_refusal(self, asked: PartnerId) -> CommitError {
        let key = || format!("{}/{}", readable(&self.partner_id), readable(&self.user_id));
        let place = Place { table: "users", key };
        let holder = || {
            place.owner(&self.partner_id, asked)?;
            Ok(EmailHolder {
                id: UserId::new(place.uuid("user_id", &self.user_id)?),
                status: place.text("status", &self.status, Status::parse)?,
                removed_at: place.maybe_instant("removed_at", self.removed_at)?,
            })
        };
        match holder() {
            Ok(holder) => CommitError::EmailTaken { partner_id: asked, holder },
            Err::<_, StoreError>(error) => error.into(),
        }
    }
}

impl CountRow {
    /// The total, which must be that partner's.
    pub(crate) fn into_total(self, asked: PartnerId) -> Result<u64, StoreError> {
        let place = Place { table: "partners", key: || readable(&self.partner_id) };
        place.owner(&self.partner_id, asked)?;
        place.read("user_count", u64::try_from(self.user_count))
    }
}

impl UserRow {
    /// The user, which must be that partner's.
    pub(crate) fn into_user(self, asked: PartnerId) -> Result<User, StoreError> {
        let key = || format!("{}/{}", readable(&self.partner_id), readable(&self.user_id));
        let place = Place { table: "users", key };
        let state = UserState {
            partner_id: place.owner(&self.partner_id, asked)?,
            id: UserId::new(place.uuid("user_id", &self.user_id)?),
            name: Name::from_stored(place.any_text("name", &self.name)?),
            email: EmailAddress::from_stored(
                place.any_text("email", &self.email)?,
                place.any_text("email_key", &self.email_key)?,
            ),
            status: place.text("status", &self.status, Status::parse)?,
            metadata: place.text("metadata", &self.metadata, |text| Metadata::from_stored(text.to_owned()))?,
            registered_at: place.instant("registered_at", self.registered_at)?,
            updated_at: place.instant("updated_at", self.updated_at)?,
            removed_at: place.maybe_instant("removed_at", self.removed_at)?,
            version: place.read("version", Version::new(self.version))?,
        };
        if state.updated_at < state.registered_at {
            return Err(place.corrupt("updated_at"));
        }
        place.read("removed_at", User::from_stored(state))
    }
}

impl AuditRow {
    /// The entry, which must be that partner's.
    pub(crate) fn into_entry(self, asked: PartnerId) -> Result<AuditEntry, StoreError> {
        let key = || format!("{}/{}/{}", readable(&self.partner_id), readable(&self.user_id), self.version);
        let place = Place { table: "audit_entries", key };
        let partner_id = place.owner(&self.partner_id, asked)?;
        if self.actor_type.0 != b"api_key" {
            return Err(place.corrupt("actor_type"));
        }
        Ok(AuditEntry {
            id: AuditEntryId::new(place.uuid("entry_id", &self.entry_id)?),
            partner_id,
            user_id: UserId::new(place.uuid("user_id", &self.user_id)?),
            version: place.read("version", Version::new(self.version))?,
            action: place.text("action", &self.action, Action::parse)?,
            actor: Actor::ApiKey {
                id: place.text("actor_id", &self.actor_id, ApiKeyId::parse)?,
                name: Name::from_stored(place.any_text("actor_name", &self.actor_name)?),
            },
            changes: place.text("changes", &self.changes, |text| serde_json::from_str(text))?,
            request_id: place.text("request_id", &self.request_id, RequestId::parse)?,
            ip_address: self.ip_address.as_ref().map(|text| place.text("ip_address", text, str::parse)).transpose()?,
            occurred_at: place.instant("occurred_at", self.occurred_at)?,
        })
    }
}

impl TryFrom<PartnerRow> for Partner {
    type Error = StoreError;

    fn try_from(row: PartnerRow) -> Result<Self, StoreError> {
        let place = Place { table: "partners", key: || readable(&row.partner_id) };
        Ok(Self {
            id: PartnerId::new(place.uuid("partner_id", &row.partner_id)?),
            name: Name::from_stored(place.any_text("name", &row.name)?),
            created_at: place.instant("created_at", row.created_at)?,
            disabled_at: place.maybe_instant("disabled_at", row.disabled_at)?,
        })
    }
}

impl ApiKeyRow {
    fn key(&self) -> String {
        let key_id = str::from_utf8(&self.key_id.0).ok().and_then(|text| ApiKeyId::parse(text).ok());
        format!("{}/{}", readable(&self.partner_id), key_id.map_or_else(unreadable, |id| id.to_string()))
    }

    /// The key, which must be that partner's.
    pub(crate) fn into_key(self, asked: PartnerId) -> Result<ApiKey, StoreError> {
        Place { table: "api_keys", key: || self.key() }.owner(&self.partner_id, asked)?;
        self.try_into()
    }
}

/// For whoever asks by the id of a key, and so for the partner that it belongs to.
impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        let place = Place { table: "api_keys", key: || row.key() };
        Ok(Self {
            id: place.text("key_id", &row.key_id, ApiKeyId::parse)?,
            partner_id: PartnerId::new(place.uuid("partner_id", &row.partner_id)?),
            name: Name::from_stored(place.any_text("name", &row.name)?),
            mode: place.text("mode", &row.mode, KeyMode::parse)?,
            scope: place.text("scope", &row.scope, KeyScope::parse)?,
            secret_hash: place.text("secret_hash", &row.secret_hash, SecretHash::parse)?,
            created_at: place.instant("created_at", row.created_at)?,
            expires_at: place.maybe_instant("expires_at", row.expires_at)?,
            revoked_at: place.maybe_instant("revoked_at", row.revoked_at)?,
        })
    }
}

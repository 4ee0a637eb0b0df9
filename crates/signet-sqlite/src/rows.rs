//! Rows as they lie in the tables, and what the domain makes of them.

use diesel::{Queryable, Selectable, sqlite::Sqlite};
use signet_domain::{
    Action, Actor, ApiKey, ApiKeyId, AuditEntry, AuditEntryId, EmailAddress, KeyMode, KeyScope, Metadata, Name,
    Partner, PartnerId, RequestId, SecretHash, Status, Timestamp, User, UserId, UserState, Version, ports::StoreError,
};
use uuid::Uuid;

use crate::schema::{api_keys, audit_entries, partners, users};

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Sqlite))]
pub(crate) struct UserRow {
    partner_id: Vec<u8>,
    user_id: Vec<u8>,
    name: String,
    email: String,
    status: String,
    metadata: String,
    registered_at: i64,
    updated_at: i64,
    removed_at: Option<i64>,
    version: i64,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = audit_entries, check_for_backend(Sqlite))]
pub(crate) struct AuditRow {
    partner_id: Vec<u8>,
    user_id: Vec<u8>,
    version: i64,
    entry_id: Vec<u8>,
    action: String,
    actor_type: String,
    actor_id: String,
    actor_name: String,
    changes: String,
    request_id: String,
    ip_address: Option<String>,
    occurred_at: i64,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = partners, check_for_backend(Sqlite))]
pub(crate) struct PartnerRow {
    partner_id: Vec<u8>,
    name: String,
    created_at: i64,
    disabled_at: Option<i64>,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = api_keys, check_for_backend(Sqlite))]
pub(crate) struct ApiKeyRow {
    partner_id: Vec<u8>,
    key_id: String,
    name: String,
    mode: String,
    scope: String,
    secret_hash: String,
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

    fn uuid(&self, column: &'static str, bytes: &[u8]) -> Result<Uuid, StoreError> {
        self.read(column, Uuid::from_slice(bytes))
    }

    fn instant(&self, column: &'static str, millis: i64) -> Result<Timestamp, StoreError> {
        self.read(column, Timestamp::from_unix_millis(millis))
    }

    fn maybe_instant(&self, column: &'static str, millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
        millis.map(|millis| self.instant(column, millis)).transpose()
    }

    /// The last line of tenancy: whatever a statement found, no row leaves for a partner that does not own it.
    fn owner(&self, held: &[u8], asked: PartnerId) -> Result<PartnerId, StoreError> {
        if held == asked.uuid().as_bytes() { Ok(asked) } else { Err(self.corrupt("partner_id")) }
    }
}

fn readable(id: &[u8]) -> String {
    Uuid::from_slice(id).map_or_else(|_| "?".to_owned(), |id| id.to_string())
}

impl UserRow {
    /// The user, which must be that partner's.
    pub(crate) fn into_user(self, asked: PartnerId) -> Result<User, StoreError> {
        let key = || format!("{}/{}", readable(&self.partner_id), readable(&self.user_id));
        let place = Place { table: "users", key };
        let state = UserState {
            id: UserId::new(place.uuid("user_id", &self.user_id)?),
            partner_id: place.owner(&self.partner_id, asked)?,
            name: place.read("name", Name::parse(&self.name))?,
            email: place.read("email", EmailAddress::parse(&self.email))?,
            status: place.read("status", Status::parse(&self.status))?,
            metadata: place.read("metadata", Metadata::parse(&self.metadata))?,
            registered_at: place.instant("registered_at", self.registered_at)?,
            updated_at: place.instant("updated_at", self.updated_at)?,
            removed_at: place.maybe_instant("removed_at", self.removed_at)?,
            version: place.read("version", Version::new(self.version))?,
        };
        place.read("status", User::from_stored(state))
    }
}

impl AuditRow {
    /// The entry, which must be that partner's.
    pub(crate) fn into_entry(self, asked: PartnerId) -> Result<AuditEntry, StoreError> {
        let key = || format!("{}/{}/{}", readable(&self.partner_id), readable(&self.user_id), self.version);
        let place = Place { table: "audit_entries", key };
        if self.actor_type != "api_key" {
            return Err(place.corrupt("actor_type"));
        }
        Ok(AuditEntry {
            id: AuditEntryId::new(place.uuid("entry_id", &self.entry_id)?),
            partner_id: place.owner(&self.partner_id, asked)?,
            user_id: UserId::new(place.uuid("user_id", &self.user_id)?),
            version: place.read("version", Version::new(self.version))?,
            action: place.read("action", Action::parse(&self.action))?,
            actor: Actor::ApiKey {
                id: place.read("actor_id", ApiKeyId::parse(&self.actor_id))?,
                name: place.read("actor_name", Name::parse(&self.actor_name))?,
            },
            changes: place.read("changes", serde_json::from_str(&self.changes))?,
            request_id: place.read("request_id", RequestId::parse(&self.request_id))?,
            ip_address: self.ip_address.as_ref().map(|text| place.read("ip_address", text.parse())).transpose()?,
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
            name: place.read("name", Name::parse(&row.name))?,
            created_at: place.instant("created_at", row.created_at)?,
            disabled_at: place.maybe_instant("disabled_at", row.disabled_at)?,
        })
    }
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        let place = Place { table: "api_keys", key: || format!("{}/{}", readable(&row.partner_id), row.key_id) };
        Ok(Self {
            id: place.read("key_id", ApiKeyId::parse(&row.key_id))?,
            partner_id: PartnerId::new(place.uuid("partner_id", &row.partner_id)?),
            name: place.read("name", Name::parse(&row.name))?,
            mode: place.read("mode", KeyMode::parse(&row.mode))?,
            scope: place.read("scope", KeyScope::parse(&row.scope))?,
            secret_hash: SecretHash::new(row.secret_hash),
            created_at: place.instant("created_at", row.created_at)?,
            expires_at: place.maybe_instant("expires_at", row.expires_at)?,
            revoked_at: place.maybe_instant("revoked_at", row.revoked_at)?,
        })
    }
}

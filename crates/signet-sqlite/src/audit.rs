use async_trait::async_trait;
use diesel::{
    ExpressionMethods, QueryResult, RunQueryDsl, SqliteConnection,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Nullable, Text},
    sqlite::Sqlite,
};
use signet_domain::{
    Actor, AuditEntry, AuditPosition, PartnerId,
    ports::{AuditFilter, AuditTrail, StoreError},
};

use crate::{
    SqliteStore,
    errors::{Failure, unexpected},
    rows::AuditRow,
    schema::audit_entries,
};

#[async_trait]
impl AuditTrail for SqliteStore {
    async fn entries(
        &self,
        partner_id: PartnerId,
        filter: AuditFilter,
        before: Option<AuditPosition>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = self.read(partner_id, move |connection| Ok(entries(connection, partner_id, filter, before, limit)?));
        rows.await?.into_iter().map(|row| row.into_entry(partner_id)).collect()
    }
}

pub(crate) fn entries(
    connection: &mut SqliteConnection,
    partner_id: PartnerId,
    filter: AuditFilter,
    before: Option<AuditPosition>,
    limit: u32,
) -> QueryResult<Vec<AuditRow>> {
    Entries::new(partner_id, filter, before, limit).load(connection)
}

/// Writes the entry of a change, in the transaction of the change.
pub(crate) fn insert(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), Failure> {
    let Actor::ApiKey { id, name } = &entry.actor;
    let changes = serde_json::to_string(&entry.changes).map_err(|_error| unexpected("changes that are no JSON"))?;
    diesel::insert_into(audit_entries::table)
        .values((
            audit_entries::partner_id.eq(entry.partner_id.uuid().as_bytes()),
            audit_entries::user_id.eq(entry.user_id.uuid().as_bytes()),
            audit_entries::version.eq(entry.version.number()),
            audit_entries::entry_id.eq(entry.id.uuid().as_bytes()),
            audit_entries::action.eq(entry.action.as_str()),
            audit_entries::actor_type.eq("api_key"),
            audit_entries::actor_id.eq(id.as_str()),
            audit_entries::actor_name.eq(name.as_str()),
            audit_entries::changes.eq(changes),
            audit_entries::request_id.eq(entry.request_id.as_str()),
            audit_entries::ip_address.eq(entry.ip_address.map(|address| address.to_string())),
            audit_entries::occurred_at.eq(entry.occurred_at.unix_millis()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Reads a part of the trail. Its text depends on what is asked for, so that each shape has the index that fits it;
/// Diesel prepares each text once.
struct Entries {
    partner_id: [u8; 16],
    user_id: Option<[u8; 16]>,
    action: Option<&'static str>,
    before: Option<(i64, i64, [u8; 16])>,
    limit: i64,
}

impl Entries {
    fn new(partner_id: PartnerId, filter: AuditFilter, before: Option<AuditPosition>, limit: u32) -> Self {
        Self {
            partner_id: partner_id.uuid().into_bytes(),
            user_id: filter.user_id.map(|id| id.uuid().into_bytes()),
            action: filter.action.map(signet_domain::Action::as_str),
            before: before.map(|position| {
                let entry_id = position.entry_id.uuid().into_bytes();
                (position.occurred_at.unix_millis(), position.version.number(), entry_id)
            }),
            limit: limit.into(),
        }
    }
}

impl Query for Entries {
    type SqlType = (Binary, Binary, BigInt, Binary, Text, Text, Text, Text, Text, Text, Nullable<Text>, BigInt);
}

impl QueryId for Entries {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<SqliteConnection> for Entries {}

impl QueryFragment<Sqlite> for Entries {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT partner_id, user_id, version, entry_id, action, actor_type, actor_id, actor_name, changes, \
             request_id, ip_address, occurred_at FROM audit_entries WHERE partner_id = ",
        );
        out.push_bind_param::<Binary, _>(&self.partner_id)?;
        // One user's entries are few and lie together in the primary key. A `+` takes the other conditions away from the
        // planner, which would rather walk all of a partner's entries in the order of time.
        let plus = if self.user_id.is_some() { "+" } else { "" };
        if let Some(user_id) = &self.user_id {
            out.push_sql(" AND user_id = ");
            out.push_bind_param::<Binary, _>(user_id)?;
        }
        if let Some(action) = &self.action {
            if *action != "user.registered" {
                // Says nothing new, but SQLite uses a partial index only where its condition stands in the query.
                out.push_sql(" AND action <> 'user.registered'");
            }
            out.push_sql(" AND ");
            out.push_sql(plus);
            out.push_sql("action = ");
            out.push_bind_param::<Text, _>(*action)?;
        }
        if let Some((occurred_at, version, entry_id)) = &self.before {
            out.push_sql(" AND (");
            out.push_sql(plus);
            out.push_sql("occurred_at, version, entry_id) < (");
            out.push_bind_param::<BigInt, _>(occurred_at)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(version)?;
            out.push_sql(", ");
            out.push_bind_param::<Binary, _>(entry_id)?;
            out.push_sql(")");
        }
        // The time of one user never goes backwards, so its versions are in the order of the positions, and they are
        // the end of the primary key.
        out.push_sql(match self.user_id {
            Some(_) => " ORDER BY version DESC LIMIT ",
            None => " ORDER BY occurred_at DESC, version DESC, entry_id DESC LIMIT ",
        });
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

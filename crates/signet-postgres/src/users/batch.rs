//! Changes as arrays: whatever their number, the statement is the same and stays prepared.

use chrono::{DateTime, Utc};
use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    result::Error,
    sql_types::{Array, BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid},
};
use signet_domain::{Actor, Timestamp, UserChange};
use uuid::Uuid;

use crate::{errors::is_address_taken, statement::statement};

/// How often a batch is tried against others that take its addresses and give them up again.
const TRIES: u32 = 3;

/// One array per column, all of the same length.
#[derive(Default)]
pub(super) struct Batch<'a> {
    partner_ids: Vec<Uuid>,
    user_ids: Vec<Uuid>,
    names: Vec<&'a str>,
    emails: Vec<&'a str>,
    email_keys: Vec<&'a str>,
    statuses: Vec<&'a str>,
    metadata: Vec<&'a str>,
    registered_at: Vec<DateTime<Utc>>,
    updated_at: Vec<DateTime<Utc>>,
    removed_at: Vec<Option<DateTime<Utc>>>,
    versions: Vec<i64>,
    entry_ids: Vec<Uuid>,
    actions: Vec<&'a str>,
    actor_types: Vec<&'a str>,
    actor_ids: Vec<&'a str>,
    actor_names: Vec<&'a str>,
    changes: Vec<String>,
    request_ids: Vec<&'a str>,
    ip_addresses: Vec<Option<String>>,
    occurred_at: Vec<DateTime<Utc>>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(changes: &[&'a UserChange]) -> QueryResult<Self> {
        let mut batch = Self::default();
        for UserChange { user, audit, .. } in changes {
            let Actor::ApiKey { id: actor_id, name: actor_name } = &audit.actor;
            batch.partner_ids.push(user.partner_id.uuid());
            batch.user_ids.push(user.id.uuid());
            batch.names.push(user.name.as_str());
            batch.emails.push(user.email.as_str());
            batch.email_keys.push(user.email.key());
            batch.statuses.push(user.status.as_str());
            batch.metadata.push(user.metadata.as_json());
            batch.registered_at.push(user.registered_at.to_datetime());
            batch.updated_at.push(user.updated_at.to_datetime());
            batch.removed_at.push(user.removed_at.map(Timestamp::to_datetime));
            batch.versions.push(user.version.number());
            batch.entry_ids.push(audit.id.uuid());
            batch.actions.push(audit.action.as_str());
            batch.actor_types.push("api_key");
            batch.actor_ids.push(actor_id.as_str());
            batch.actor_names.push(actor_name.as_str());
            let changes = serde_json::to_string(&audit.changes);
            batch.changes.push(changes.map_err(|error| Error::SerializationError(error.into()))?);
            batch.request_ids.push(audit.request_id.as_str());
            batch.ip_addresses.push(audit.ip_address.map(|address| address.to_string()));
            batch.occurred_at.push(audit.occurred_at.to_datetime());
        }
        Ok(batch)
    }

    /// Writes `SELECT * FROM unnest(…) WITH ORDINALITY AS member (…)`: the members by the names of the columns they
    /// go to, and their position from 1.
    pub(super) fn walk_members<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT * FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.partner_ids)?;
        for ids in [&self.user_ids, &self.entry_ids] {
            out.push_sql(", ");
            out.push_bind_param::<Array<SqlUuid>, _>(ids)?;
        }
        for texts in [
            &self.names,
            &self.emails,
            &self.email_keys,
            &self.statuses,
            &self.metadata,
            &self.actions,
            &self.actor_types,
            &self.actor_ids,
            &self.actor_names,
            &self.request_ids,
        ] {
            out.push_sql(", ");
            out.push_bind_param::<Array<Text>, _>(texts)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.changes)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.ip_addresses)?;
        for instants in [&self.registered_at, &self.updated_at, &self.occurred_at] {
            out.push_sql(", ");
            out.push_bind_param::<Array<Timestamptz>, _>(instants)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Timestamptz>>, _>(&self.removed_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.versions)?;
        out.push_sql(
            ") WITH ORDINALITY AS member (partner_id, user_id, entry_id, name, email, email_key, status, metadata, \
             action, actor_type, actor_id, actor_name, request_id, changes, ip_address, \
             registered_at, updated_at, occurred_at, removed_at, version, position)",
        );
        Ok(())
    }
}

/// Runs the statement of a batch until none of its addresses is taken after the snapshot was made: the next snapshot
/// shows by whom.
///
/// # Errors
///
/// That of the last try, or the first one that is about something else.
pub(super) fn try_again<T>(mut statement: impl FnMut() -> QueryResult<T>) -> QueryResult<T> {
    for _ in 1..TRIES {
        match statement() {
            Err(error) if is_address_taken(&error) => {}
            answer => return answer,
        }
    }
    statement()
}

/// Inserts the audit entries of the members that `done` names by position.
pub(super) fn audit_insert(done: &str) -> String {
    format!(
        "INSERT INTO audit_entries (partner_id, user_id, version, entry_id, action, actor_type, actor_id, actor_name, \
         changes, request_id, ip_address, occurred_at) \
         SELECT partner_id, user_id, version, entry_id, action, actor_type, actor_id, actor_name, \
         changes, request_id, ip_address, occurred_at FROM member JOIN {done} USING (position)"
    )
}

/// Which of the changes the store holds: those whose own audit entry it has.
pub(super) fn committed(connection: &mut PgConnection, changes: &[&UserChange]) -> QueryResult<Vec<bool>> {
    let positions: Vec<i64> = Committed(Batch::new(changes)?).load(connection)?;
    Ok((1..).take(changes.len()).map(|position| positions.contains(&position)).collect())
}

struct Committed<'a>(Batch<'a>);

statement!(const Committed<'a>, BigInt);

impl QueryFragment<Pg> for Committed<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH member AS (");
        self.0.walk_members(&mut out)?;
        out.push_sql(") SELECT position FROM member JOIN audit_entries USING (partner_id, user_id, version, entry_id)");
        Ok(())
    }
}

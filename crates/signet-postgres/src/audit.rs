use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::{
    QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{BigInt, Timestamptz, Uuid as SqlUuid},
};
use signet_domain::{
    Action, AuditEntry, AuditPosition, PartnerId, UserId,
    ports::{AuditFilter, AuditTrail, StoreError},
};
use uuid::Uuid;

use crate::{
    PostgresStore,
    rows::{AUDIT_COLUMNS, AuditColumns, AuditRow},
    statement::statement,
};

#[async_trait]
impl AuditTrail for PostgresStore {
    async fn entries(
        &self,
        partner_id: PartnerId,
        filter: AuditFilter,
        before: Option<AuditPosition>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let statement = Entries {
            partner_id: partner_id.uuid(),
            user_id: filter.user_id.map(UserId::uuid),
            action: filter.action,
            before: before.map(|at| (at.occurred_at.to_datetime(), at.version.number(), at.entry_id.uuid())),
            limit: limit.into(),
        };
        let rows: Vec<AuditRow> = self.read(partner_id, move |connection| statement.load(connection)).await?;
        rows.into_iter().map(|row| row.into_entry(partner_id)).collect()
    }
}

/// A page of the trail, newest first. Its text depends on the filter; each of the twenty is prepared once.
#[derive(Clone, Copy)]
struct Entries {
    partner_id: Uuid,
    user_id: Option<Uuid>,
    action: Option<Action>,
    before: Option<(DateTime<Utc>, i64, Uuid)>,
    limit: i64,
}

statement!(Entries, AuditColumns);

impl QueryFragment<Pg> for Entries {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        out.push_sql(AUDIT_COLUMNS);
        out.push_sql(" FROM audit_entries WHERE partner_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.partner_id)?;
        if let Some(user_id) = &self.user_id {
            out.push_sql(" AND user_id = ");
            out.push_bind_param::<SqlUuid, _>(user_id)?;
        }
        if let Some(action) = self.action {
            // One of our own words, written out: a parameter would not match the condition of the partial index.
            out.push_sql(" AND action = '");
            out.push_sql(action.as_str());
            out.push_sql("'");
        }
        if let Some((occurred_at, version, entry_id)) = &self.before {
            out.push_sql(" AND (occurred_at, version, entry_id) < (");
            out.push_bind_param::<Timestamptz, _>(occurred_at)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(version)?;
            out.push_sql(", ");
            out.push_bind_param::<SqlUuid, _>(entry_id)?;
            out.push_sql(")");
        }
        // Of one user, the order of versions is the order of positions, and the primary key has it ready.
        out.push_sql(match self.user_id {
            Some(_) => " ORDER BY version DESC LIMIT ",
            None => " ORDER BY occurred_at DESC, version DESC, entry_id DESC LIMIT ",
        });
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

use diesel::{
    OptionalExtension, PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{BigInt, Text, Uuid as SqlUuid},
};
use signet_domain::{UserChange, ports::CommitError};
use uuid::Uuid;

use super::{
    Outcome,
    batch::{Batch, audit_insert},
};
use crate::{
    errors::breaks_unique,
    rows::{HolderColumns, HolderRow},
    statement::statement,
};

pub(super) fn update_users(connection: &mut PgConnection, changes: &[&UserChange]) -> QueryResult<Vec<Outcome>> {
    match (Update(Batch::new(changes)?)).load::<i64>(connection) {
        Ok(updated) => Ok((1..)
            .take(changes.len())
            .map(|position| if updated.contains(&position) { Ok(()) } else { Err(CommitError::Stale) })
            .collect()),
        Err(error) => match changes {
            [change] if breaks_unique(&error, "users_email_key_unique") => {
                // Where nobody has it, it has been given up already: decide again.
                let holder = holder(connection, change)?;
                Ok(vec![Err(holder.map_or(CommitError::Stale, |row| row.into_refusal(change.user.partner_id)))])
            }
            _ => Err(error),
        },
    }
}

/// Who has the address that the change wants.
fn holder(connection: &mut PgConnection, change: &UserChange) -> QueryResult<Option<HolderRow>> {
    let statement = Holder { partner_id: change.user.partner_id.uuid(), email_key: change.user.email.key() };
    statement.get_result(connection).optional()
}

struct Holder<'a> {
    partner_id: Uuid,
    email_key: &'a str,
}

statement!(const Holder<'a>, HolderColumns);

impl QueryFragment<Pg> for Holder<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT partner_id, user_id FROM users WHERE partner_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.partner_id)?;
        out.push_sql(" AND email_key = ");
        out.push_bind_param::<Text, _>(&self.email_key)
    }
}

/// Replaces a batch of users in one statement and returns the positions of those that were replaced.
///
/// The rows are locked first and in one order, which an UPDATE alone does not promise: two batches that overlap would
/// wait for each other. Whoever waits for a lock sees the version that its holder left. Then the addresses are taken, in
/// one order as well: that of another batch is waited for until its transaction ends, as a lock is.
struct Update<'a>(Batch<'a>);

statement!(const Update<'a>, BigInt);

impl QueryFragment<Pg> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH member AS (");
        self.0.walk_members(&mut out)?;
        out.push_sql(
            "), held AS MATERIALIZED (
                SELECT member.* FROM (SELECT * FROM member ORDER BY partner_id, user_id) AS member CROSS JOIN LATERAL (
                    SELECT FROM users WHERE users.partner_id = member.partner_id AND users.user_id = member.user_id
                    AND users.version = member.version - 1 LIMIT 1 FOR NO KEY UPDATE) AS row
            ), sorted AS MATERIALIZED (
                SELECT * FROM held ORDER BY partner_id, email_key COLLATE \"C\"
            ), updated AS (
                UPDATE users SET name = sorted.name, email = sorted.email, email_key = sorted.email_key,
                    status = sorted.status, metadata = sorted.metadata, updated_at = sorted.updated_at,
                    removed_at = sorted.removed_at, version = sorted.version
                FROM sorted WHERE users.partner_id = sorted.partner_id AND users.user_id = sorted.user_id
                    AND users.version = sorted.version - 1
                RETURNING sorted.position
            ), audited AS (",
        );
        out.push_sql(&audit_insert("updated"));
        out.push_sql(") SELECT position FROM updated");
        Ok(())
    }
}

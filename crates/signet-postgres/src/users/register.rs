use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{BigInt, Bool, Nullable},
};
use signet_domain::{UserChange, ports::StoreError};

use super::{
    Outcome,
    batch::{Batch, audit_insert, try_again},
    no_answer,
};
use crate::{
    isolation::Isolation,
    rows::{HolderColumns, HolderRow},
    statement::statement,
};

pub(super) fn register_users(
    connection: &mut PgConnection,
    isolation: Isolation,
    changes: &[&UserChange],
) -> QueryResult<Vec<Outcome>> {
    let batch = Batch::new(changes)?;
    let load = |it: &mut PgConnection| Register(&batch).load::<(i64, Option<HolderRow>, bool)>(it);
    let rows = try_again(|| isolation.run(connection, load))?;
    let mut outcomes: Vec<Outcome> = changes.iter().map(|_| Err(no_answer().into())).collect();
    for (position, holder, inserted) in rows {
        let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
        if let (Some(outcome), Some(change)) = (outcomes.get_mut(index), changes.get(index)) {
            *outcome = match holder {
                Some(holder) => Err(holder.into_refusal(change.user.partner_id)),
                None if inserted => Ok(()),
                None => Err(StoreError::Unexpected { reason: "there is no such partner".into() }.into()),
            };
        }
    }
    Ok(outcomes)
}

/// Registers a batch in one statement, hence in one transaction:
///
/// 1. `judged`: who has the address already, in the table or earlier in the batch, of which partner that is, and its
///    state (a user of the batch is active);
/// 2. `held`: the rows of the partners concerned, locked in one order, so that two batches cannot wait for each other;
/// 3. `counted`: their counters moved on. The statement's snapshot may be older than the lock; but READ COMMITTED
///    updates the latest version of a row, and returns it, so the numbers follow on from those of whoever held the
///    lock before;
/// 4. the users, numbered in the order of the batch and inserted in that of their addresses, as updates take them, too;
///    and their audit entries.
struct Register<'a>(&'a Batch<'a>);

statement!(const Register<'a>, (BigInt, Nullable<HolderColumns>, Bool));

impl QueryFragment<Pg> for Register<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH member AS (");
        self.0.walk_members(&mut out)?;
        out.push_sql(
            "), judged AS (
                SELECT member.*, coalesce(owner.partner_id, member.partner_id) AS of_partner,
                    coalesce(owner.user_id, nullif(first_value(member.user_id) OVER (PARTITION BY
                        member.partner_id, member.email_key ORDER BY member.position), member.user_id)) AS existing,
                    coalesce(owner.status, 'active') AS existing_status, owner.removed_at AS existing_removed_at
                FROM member LEFT JOIN LATERAL (
                    SELECT partner_id, user_id, status, removed_at FROM users
                    WHERE users.partner_id = member.partner_id AND users.email_key = member.email_key LIMIT 1
                ) AS owner ON true
            ), fresh AS (
                SELECT partner_id, count(*) AS members FROM judged WHERE existing IS NULL
                GROUP BY partner_id ORDER BY partner_id
            ), held AS MATERIALIZED (
                SELECT fresh.partner_id, fresh.members FROM fresh CROSS JOIN LATERAL (
                    SELECT FROM partners WHERE partners.partner_id = fresh.partner_id LIMIT 1 FOR NO KEY UPDATE) AS row
            ), counted AS (
                UPDATE partners SET user_count = user_count + held.members FROM held
                WHERE partners.partner_id = held.partner_id
                RETURNING partners.partner_id, user_count - held.members AS before
            ), inserted AS (
                INSERT INTO users (partner_id, user_id, ordinal, name, email, email_key, status, metadata,
                    registered_at, updated_at, removed_at, version)
                SELECT partner_id, user_id, before + row_number() OVER (PARTITION BY partner_id ORDER BY position),
                    name, email, email_key, status, metadata, registered_at, updated_at, removed_at, version
                FROM judged JOIN counted USING (partner_id) WHERE existing IS NULL
                ORDER BY partner_id, email_key COLLATE \"C\"
                RETURNING partner_id, user_id
            ), done AS (
                SELECT position FROM judged JOIN inserted USING (partner_id, user_id) WHERE existing IS NULL
            ), audited AS (",
        );
        out.push_sql(&audit_insert("done"));
        out.push_sql(
            ") SELECT position, of_partner, existing, existing_status, existing_removed_at, done.position IS NOT NULL
                FROM judged LEFT JOIN done USING (position)",
        );
        Ok(())
    }
}

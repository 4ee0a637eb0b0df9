use std::collections::{HashMap, HashSet};

use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{BigInt, Bool, Nullable},
};
use signet_domain::{EmailAddress, Field, FieldChange, PartnerId, UserChange, UserId, ports::CommitError};

use super::{
    Outcome,
    batch::{Batch, audit_insert, try_again},
};
use crate::{
    errors::is_address_taken,
    isolation::Isolation,
    rows::{HolderColumns, HolderRow},
    statement::statement,
};

/// How many of the changes, from the first on, can be judged by what was there before all of them: no user among them
/// wants an address that another one of them gets or gives up.
pub(super) fn independent(changes: &[&UserChange]) -> usize {
    let mut users: HashMap<(PartnerId, String), UserId> = HashMap::new();
    for (number, change) in changes.iter().enumerate() {
        let Some(FieldChange { from, .. }) = change.audit.changes.get(Field::Email) else { continue };
        let former = from.as_str().map(EmailAddress::key_of_stored);
        for key in [Some(change.user.email.key().to_owned()), former].into_iter().flatten() {
            let key = (change.user.partner_id, key);
            if *users.entry(key).or_insert(change.user.id) != change.user.id {
                return number;
            }
        }
    }
    changes.len()
}

/// The changes must be [`independent`].
pub(super) fn update_users(
    connection: &mut PgConnection,
    isolation: Isolation,
    changes: &[&UserChange],
) -> QueryResult<Vec<Outcome>> {
    let batch = Batch::new(changes)?;
    let load = |it: &mut PgConnection| Update(&batch).load::<(i64, Option<HolderRow>, bool)>(it);
    let rows = match try_again(|| isolation.run(connection, load)) {
        // Whoever took the address has given it up, time and again: the change is to be decided anew.
        Err(error) if is_address_taken(&error) && changes.len() == 1 => Vec::new(),
        rows => rows?,
    };
    // What the statement does not tell of had another version, or is gone.
    let mut outcomes: Vec<Outcome> = changes.iter().map(|_| Err(CommitError::Stale)).collect();
    let mut replaced = HashSet::new();
    for (position, holder, updated) in rows {
        let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
        let (Some(outcome), Some(change)) = (outcomes.get_mut(index), changes.get(index)) else { continue };
        let user = (change.user.partner_id, change.user.id);
        *outcome = match holder {
            Some(holder) if !replaced.contains(&user) => Err(holder.into_refusal(change.user.partner_id)),
            None if updated => Ok(()),
            _ => Err(CommitError::Stale),
        };
        if updated {
            replaced.insert(user);
        }
    }
    Ok(outcomes)
}

/// Replaces a batch of users in one statement, hence in one transaction:
///
/// 1. `held`: their rows, locked in one order, which an UPDATE alone does not promise: two batches that overlap would
///    wait for each other. Whoever waits for a lock sees the version that its holder left;
/// 2. `judged`: who else has the address that a user is to get. It is asked for rather than found out by breaking the
///    constraint: that would end the whole batch, and the server would log the address;
/// 3. `first`: of several changes to one user, the first that is not refused;
/// 4. `updated`: those. They take their addresses in one order as well: that of another batch is waited for until its
///    transaction ends, as a lock is;
/// 5. their audit entries.
struct Update<'a>(&'a Batch<'a>);

statement!(const Update<'a>, (BigInt, Nullable<HolderColumns>, Bool));

impl QueryFragment<Pg> for Update<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH member AS (");
        self.0.walk_members(&mut out)?;
        out.push_sql(
            "), held AS MATERIALIZED (
                SELECT member.*, row.former_key FROM (SELECT * FROM member ORDER BY partner_id, user_id) AS member
                CROSS JOIN LATERAL (
                    SELECT users.email_key AS former_key FROM users
                    WHERE users.partner_id = member.partner_id AND users.user_id = member.user_id
                    AND users.version = member.version - 1 LIMIT 1 FOR NO KEY UPDATE) AS row
            ), judged AS MATERIALIZED (
                SELECT held.*, owner.partner_id AS of_partner, owner.user_id AS existing,
                    owner.status AS existing_status, owner.removed_at AS existing_removed_at
                FROM held LEFT JOIN LATERAL (
                    SELECT partner_id, user_id, status, removed_at FROM users WHERE users.partner_id = held.partner_id
                    AND users.email_key = held.email_key AND held.email_key <> held.former_key LIMIT 1
                ) AS owner ON true
            ), first AS (
                SELECT DISTINCT ON (partner_id, user_id) * FROM judged WHERE existing IS NULL
                ORDER BY partner_id, user_id, position
            ), sorted AS MATERIALIZED (
                SELECT * FROM first ORDER BY partner_id, email_key COLLATE \"C\"
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
        out.push_sql(
            ") SELECT position, of_partner, existing, existing_status, existing_removed_at, updated.position IS NOT NULL
                FROM judged LEFT JOIN updated USING (position) ORDER BY position",
        );
        Ok(())
    }
}

//! Brings the e-mail keys of all users to the rule of this version.

use std::collections::HashMap;

use diesel::{
    PgConnection, QueryResult, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Array, BigInt, Text, Uuid as SqlUuid},
};
use signet_domain::{EmailAddress, PartnerId, UserId, ports::EmailCollision};
use uuid::Uuid;

/// The migration that does this.
pub(crate) const MIGRATION: &str = "2026-11-28-100000_recompute_email_keys";

/// How many users are held in memory at a time.
const BATCH: i64 = 1_000;

/// After how many users a log line tells the progress.
const PROGRESS: usize = 100_000;

#[derive(QueryableByName)]
struct Partner {
    #[diesel(sql_type = SqlUuid)]
    partner_id: Uuid,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = BigInt)]
    ordinal: i64,
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = Text)]
    email_key: String,
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = SqlUuid)]
    user_id: Uuid,
    #[diesel(sql_type = Text)]
    email_key: String,
}

/// Must run inside the transaction of the migration, which locks the users against other writers.
///
/// A user that already has the right key keeps it. All others give theirs up first, so that nobody waits for a key that
/// is about to become free, and then take the right one in the order of registration. Where two users have one address,
/// the second gets the key of a collision.
pub(crate) fn recompute(connection: &mut PgConnection) -> QueryResult<Vec<EmailCollision>> {
    connection.batch_execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")?;
    let partners: Vec<Partner> = sql_query("SELECT partner_id FROM partners ORDER BY partner_id").load(connection)?;
    let mut collisions = Vec::new();
    let mut seen = 0;
    for Partner { partner_id } in partners {
        let mut changed = 0;
        each_batch(connection, partner_id, |connection, rows| {
            let before = seen / PROGRESS;
            seen += rows.len();
            if seen / PROGRESS > before {
                tracing::info!(users = seen, "recomputing e-mail keys");
            }
            let differs = |row: &&Row| EmailAddress::key_of_stored(&row.email) != row.email_key;
            let keys: Vec<_> = rows.iter().filter(differs).map(|row| (row.user_id, row.user_id.to_string())).collect();
            changed += keys.len();
            set_keys(connection, partner_id, keys)
        })?;
        if changed > 0 {
            each_batch(connection, partner_id, |connection, rows| {
                take_keys(connection, partner_id, &rows, &mut collisions)
            })?;
        }
    }
    Ok(collisions)
}

fn each_batch(
    connection: &mut PgConnection,
    partner_id: Uuid,
    mut work: impl FnMut(&mut PgConnection, Vec<Row>) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut after = 0;
    loop {
        let rows: Vec<Row> = sql_query(
            "SELECT user_id, ordinal, email, email_key FROM users WHERE partner_id = $1 AND ordinal > $2 \
             ORDER BY ordinal LIMIT $3",
        )
        .bind::<SqlUuid, _>(partner_id)
        .bind::<BigInt, _>(after)
        .bind::<BigInt, _>(BATCH)
        .load(connection)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.ordinal;
        work(connection, rows)?;
    }
}

/// Gives their keys to those of the users that have none.
fn take_keys(
    connection: &mut PgConnection,
    partner_id: Uuid,
    rows: &[Row],
    collisions: &mut Vec<EmailCollision>,
) -> QueryResult<()> {
    let lacking = rows.iter().filter(|row| row.email_key == row.user_id.to_string());
    let wanted: Vec<_> = lacking.map(|row| (row.user_id, EmailAddress::key_of_stored(&row.email))).collect();
    let holders: Vec<Holder> =
        sql_query("SELECT user_id, email_key FROM users WHERE partner_id = $1 AND email_key = ANY($2)")
            .bind::<SqlUuid, _>(partner_id)
            .bind::<Array<Text>, _>(wanted.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>())
            .load(connection)?;
    let mut holders: HashMap<_, _> = holders.into_iter().map(|holder| (holder.email_key, holder.user_id)).collect();
    let keys = wanted.into_iter().map(|(user_id, key)| {
        let holder_id = *holders.entry(key.clone()).or_insert(user_id);
        if holder_id == user_id {
            return (user_id, key);
        }
        let (partner_id, id) = (PartnerId::new(partner_id), UserId::new(user_id));
        collisions.push(EmailCollision { partner_id, user_id: id, holder_id: UserId::new(holder_id) });
        (user_id, EmailAddress::key_of_collision(&key, id))
    });
    let keys = keys.collect();
    set_keys(connection, partner_id, keys)
}

fn set_keys(connection: &mut PgConnection, partner_id: Uuid, keys: Vec<(Uuid, String)>) -> QueryResult<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let (user_ids, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    sql_query(
        "UPDATE users SET email_key = new.email_key FROM unnest($2, $3) AS new (user_id, email_key) \
         WHERE users.partner_id = $1 AND users.user_id = new.user_id",
    )
    .bind::<SqlUuid, _>(partner_id)
    .bind::<Array<SqlUuid>, _>(user_ids)
    .bind::<Array<Text>, _>(keys)
    .execute(connection)
    .map(|_updated| ())
}

//! Brings the e-mail keys of all users to the rule of this version.

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    SqliteConnection, sqlite::Sqlite,
};
use signet_domain::{EmailAddress, PartnerId, UserId, ports::EmailCollision};
use uuid::Uuid;

use crate::{
    errors::{Failure, unexpected},
    schema::{partners, users},
};

/// The migration that does this.
pub(crate) const MIGRATION: &str = "2026-11-28-100000_recompute_email_keys";

/// How many users are held in memory at a time.
const BATCH: i64 = 1_000;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Sqlite))]
struct Row {
    user_id: Vec<u8>,
    ordinal: i64,
    email: String,
    email_key: String,
}

/// Must run inside the transaction of the migration, which locks the database against other writers.
///
/// A user that already has the right key keeps it. All others give theirs up first, so that nobody waits for a key that
/// is about to become free, and then take the right one in the order of registration. Where two users have one address,
/// the second gets the key of a collision.
pub(crate) fn recompute(connection: &mut SqliteConnection) -> Result<Vec<EmailCollision>, Failure> {
    let partners: Vec<Vec<u8>> =
        partners::table.select(partners::partner_id).order(partners::partner_id).load(connection)?;
    let mut collisions = Vec::new();
    for partner_id in partners {
        let mut is_changed = false;
        each_user(connection, &partner_id, |connection, row| {
            let id = uuid(&row.user_id)?;
            if EmailAddress::key_of_stored(&row.email) == row.email_key {
                return Ok(());
            }
            is_changed = true;
            set_key(connection, &partner_id, &row.user_id, &id.to_string())
        })?;
        if !is_changed {
            continue;
        }
        each_user(connection, &partner_id, |connection, row| {
            let id = UserId::new(uuid(&row.user_id)?);
            if row.email_key != id.to_string() {
                return Ok(());
            }
            let mut key = EmailAddress::key_of_stored(&row.email);
            if let Some(holder) = holder(connection, &partner_id, &key)? {
                let (partner_id, holder_id) = (PartnerId::new(uuid(&partner_id)?), UserId::new(uuid(&holder)?));
                collisions.push(EmailCollision { partner_id, user_id: id, holder_id });
                key = EmailAddress::key_of_collision(&key, id);
            }
            set_key(connection, &partner_id, &row.user_id, &key)
        })?;
    }
    Ok(collisions)
}

fn each_user(
    connection: &mut SqliteConnection,
    partner_id: &[u8],
    mut work: impl FnMut(&mut SqliteConnection, Row) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let rows: Vec<Row> = users::table
            .filter(users::partner_id.eq(partner_id))
            .filter(users::ordinal.gt(after))
            .order(users::ordinal)
            .limit(BATCH)
            .select(Row::as_select())
            .load(connection)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.ordinal;
        for row in rows {
            work(connection, row)?;
        }
    }
}

fn holder(connection: &mut SqliteConnection, partner_id: &[u8], key: &str) -> QueryResult<Option<Vec<u8>>> {
    users::table
        .filter(users::partner_id.eq(partner_id))
        .filter(users::email_key.eq(key))
        .select(users::user_id)
        .get_result(connection)
        .optional()
}

fn set_key(connection: &mut SqliteConnection, partner_id: &[u8], user_id: &[u8], key: &str) -> Result<(), Failure> {
    let user = users::table.filter(users::partner_id.eq(partner_id)).filter(users::user_id.eq(user_id));
    diesel::update(user).set(users::email_key.eq(key)).execute(connection)?;
    Ok(())
}

fn uuid(bytes: &[u8]) -> Result<Uuid, Failure> {
    Uuid::from_slice(bytes).map_err(|_error| Failure(unexpected("an id that is no UUID")))
}

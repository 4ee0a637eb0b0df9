//! The two updates of the paths that have to be fast.
//!
//! Diesel has an `UPDATE` of its own prepared anew each time; a fragment with a static id is prepared once.

use diesel::{
    QueryResult, RunQueryDsl, SqliteConnection,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Nullable, Text},
    sqlite::Sqlite,
};
use signet_domain::User;

/// Takes the next number in a partner's order of registration; no row where the partner does not exist.
#[derive(QueryId)]
pub(crate) struct NextOrdinal {
    pub(crate) partner_id: [u8; 16],
}

impl Query for NextOrdinal {
    type SqlType = BigInt;
}

impl RunQueryDsl<SqliteConnection> for NextOrdinal {}

impl QueryFragment<Sqlite> for NextOrdinal {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE partners SET user_count = user_count + 1 WHERE partner_id = ");
        out.push_bind_param::<Binary, _>(&self.partner_id)?;
        out.push_sql(" RETURNING user_count");
        Ok(())
    }
}

/// Replaces a user that still has that version; no row where it has another, or does not exist.
pub(crate) struct Replace<'a> {
    partner_id: [u8; 16],
    user_id: [u8; 16],
    user: &'a User,
    updated_at: i64,
    removed_at: Option<i64>,
    version: i64,
    replaces: i64,
}

impl<'a> Replace<'a> {
    pub(crate) fn new(user: &'a User, replaces: i64) -> Self {
        Self {
            partner_id: user.partner_id.uuid().into_bytes(),
            user_id: user.id.uuid().into_bytes(),
            user,
            updated_at: user.updated_at.unix_millis(),
            removed_at: user.removed_at.map(signet_domain::Timestamp::unix_millis),
            version: user.version.number(),
            replaces,
        }
    }
}

impl QueryId for Replace<'_> {
    type QueryId = Replace<'static>;

    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<SqliteConnection> for Replace<'_> {}

impl QueryFragment<Sqlite> for Replace<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("UPDATE users SET name = ");
        out.push_bind_param::<Text, _>(self.user.name.as_str())?;
        out.push_sql(", email = ");
        out.push_bind_param::<Text, _>(self.user.email.as_str())?;
        out.push_sql(", email_key = ");
        out.push_bind_param::<Text, _>(self.user.email.key())?;
        out.push_sql(", status = ");
        out.push_bind_param::<Text, _>(self.user.status.as_str())?;
        out.push_sql(", metadata = ");
        out.push_bind_param::<Text, _>(self.user.metadata.as_json())?;
        out.push_sql(", updated_at = ");
        out.push_bind_param::<BigInt, _>(&self.updated_at)?;
        out.push_sql(", removed_at = ");
        out.push_bind_param::<Nullable<BigInt>, _>(&self.removed_at)?;
        out.push_sql(", version = ");
        out.push_bind_param::<BigInt, _>(&self.version)?;
        out.push_sql(" WHERE partner_id = ");
        out.push_bind_param::<Binary, _>(&self.partner_id)?;
        out.push_sql(" AND user_id = ");
        out.push_bind_param::<Binary, _>(&self.user_id)?;
        out.push_sql(" AND version = ");
        out.push_bind_param::<BigInt, _>(&self.replaces)
    }
}

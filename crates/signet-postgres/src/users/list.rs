use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{BigInt, Nullable, Uuid as SqlUuid},
};
use signet_domain::{
    PartnerId,
    ports::{Page, StoreError, UserPage},
};
use uuid::Uuid;

use crate::{
    rows::{CountColumns, CountRow, USER_COLUMNS, UserColumns, UserRow},
    statement::statement,
};

pub(super) fn list_users(connection: &mut PgConnection, partner_id: PartnerId, page: Page) -> QueryResult<PageRows> {
    let statement = List {
        partner_id: partner_id.uuid(),
        // A `Page` holds no more than an i64 does.
        offset: i64::try_from(page.offset()).unwrap_or(i64::MAX),
        limit: page.limit().into(),
    };
    statement.load(connection)
}

/// A row for each user of a page, each with the partner's count; one row without a user if the page is empty.
pub(super) type PageRows = Vec<(CountRow, Option<UserRow>)>;

pub(super) fn page_of(partner_id: PartnerId, rows: PageRows) -> Result<UserPage, StoreError> {
    let mut page = UserPage { partner_id, users: Vec::with_capacity(rows.len()), total: 0 };
    for (count, user) in rows {
        page.total = count.into_total(partner_id)?;
        page.users.extend(user.map(|user| user.into_user(partner_id)).transpose()?);
    }
    Ok(page)
}

/// A page and the total in one snapshot. Ordinals have no gaps, so the offset is a place in the index to start from.
struct List {
    partner_id: Uuid,
    offset: i64,
    limit: i64,
}

statement!(const List, (CountColumns, Nullable<UserColumns>));

impl QueryFragment<Pg> for List {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // The ordinal is the last column, past those that are read.
        out.push_sql(
            "SELECT partners.partner_id, partners.user_count, page.* FROM partners LEFT JOIN LATERAL (SELECT ",
        );
        out.push_sql(USER_COLUMNS);
        out.push_sql(", ordinal FROM users WHERE users.partner_id = partners.partner_id AND ordinal > ");
        out.push_bind_param::<BigInt, _>(&self.offset)?;
        out.push_sql(" ORDER BY ordinal LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(") AS page ON true WHERE partners.partner_id = ");
        out.push_bind_param::<SqlUuid, _>(&self.partner_id)?;
        out.push_sql(" ORDER BY page.ordinal");
        Ok(())
    }
}

use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{Array, BigInt, Uuid as SqlUuid},
};
use signet_domain::{PartnerId, UserId};
use uuid::Uuid;

use crate::{
    rows::{USER_COLUMNS, UserColumns, UserRow},
    statement::statement,
};

/// The rows in the order of the questions.
pub(super) fn find_users(
    connection: &mut PgConnection,
    asked: &[(PartnerId, UserId)],
) -> QueryResult<Vec<Option<UserRow>>> {
    let statement = Find {
        partner_ids: asked.iter().map(|(partner_id, _)| partner_id.uuid()).collect(),
        user_ids: asked.iter().map(|(_, user_id)| user_id.uuid()).collect(),
    };
    let mut answers: Vec<_> = asked.iter().map(|_| None).collect();
    for (position, row) in statement.load::<(i64, UserRow)>(connection)? {
        let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
        if let Some(answer) = answers.get_mut(index) {
            *answer = Some(row);
        }
    }
    Ok(answers)
}

struct Find {
    partner_ids: Vec<Uuid>,
    user_ids: Vec<Uuid>,
}

statement!(const Find, (BigInt, UserColumns));

impl QueryFragment<Pg> for Find {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // LATERAL with LIMIT is a look-up per member whatever the planner believes about the size of the table: a
        // plain join may be planned the other way round while the table is small, and stay so while it grows.
        out.push_sql("SELECT asked.position, found.* FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.partner_ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.user_ids)?;
        out.push_sql(") WITH ORDINALITY AS asked (partner_id, user_id, position) CROSS JOIN LATERAL (SELECT ");
        out.push_sql(USER_COLUMNS);
        out.push_sql(
            " FROM users WHERE users.partner_id = asked.partner_id AND users.user_id = asked.user_id LIMIT 1) AS found",
        );
        Ok(())
    }
}

//! Keys by their ids, many at a time: anybody can ask for any id, so a look-up must cost little.

use std::{sync::Arc, time::Instant};

use diesel::{
    PgConnection, QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, QueryFragment},
    sql_types::{Array, BigInt, Bool, Text},
};
use signet_domain::{
    ApiKeyId,
    ports::{KeyLookup, StoreError},
};
use signet_turn::{Lane, Operation, Turn};

use crate::{
    errors::store_error,
    pool::Pool,
    rows::{API_KEY_COLUMNS, ApiKeyColumns, ApiKeyRow},
    statement::statement,
};

/// How many times the usual number of look-ups may wait for a first use. A look-up is small, and anybody's connection
/// can wait with one: where made-up ids fill the queue, keys used for the first time are refused.
const ROOM: usize = 16;

/// The queues of key look-ups.
#[derive(Clone)]
pub(crate) struct Lookups {
    first_uses: Lane<Arc<Pool>, Find>,
    refreshes: Lane<Arc<Pool>, Find>,
}

impl Lookups {
    pub(crate) fn new(reads: &Turn<Arc<Pool>>, queue: usize) -> Self {
        Self { first_uses: reads.lane_of(queue.saturating_mul(ROOM)), refreshes: reads.lane() }
    }

    pub(crate) fn of(&self, lookup: KeyLookup) -> &Lane<Arc<Pool>, Find> {
        match lookup {
            KeyLookup::FirstUse => &self.first_uses,
            KeyLookup::Refresh => &self.refreshes,
        }
    }
}

/// A key that is looked for.
pub(crate) struct Find(pub(super) ApiKeyId);

/// The key's row, and whether its partner is disabled.
type Found = Option<(ApiKeyRow, bool)>;

impl Operation<Arc<Pool>> for Find {
    type Answer = Result<Found, StoreError>;
    /// Whose key it is has to be found out.
    type Owner = ();

    const MAX_BATCH: usize = 256;

    fn owner(&self) {}

    fn answer(batch: &[&Self], pool: &Arc<Pool>) -> Option<Vec<Self::Answer>> {
        let begun = Instant::now();
        match pool.run(|connection, _| find(connection, batch)) {
            Ok(Ok(found)) => Some(found.into_iter().map(Ok).collect()),
            // A row that cannot be read fails its own reader alone.
            Ok(Err(_)) if !pool.took_long(begun) => None,
            Ok(Err(error)) => Some(batch.iter().map(|_| Err(store_error(&error))).collect()),
            Err(error) => Some(batch.iter().map(|_| Err(error.clone())).collect()),
        }
    }

    fn answer_alone(&self, pool: &Arc<Pool>) -> Self::Answer {
        let found = pool.run(|connection, _| find(connection, &[self]))?.map_err(|error| store_error(&error))?;
        Ok(found.into_iter().next().flatten())
    }
}

/// The answers in the order of the questions.
fn find(connection: &mut PgConnection, batch: &[&Find]) -> QueryResult<Vec<Found>> {
    let statement = FindKeys { key_ids: batch.iter().map(|find| find.0.as_str()).collect() };
    let mut answers: Vec<Found> = batch.iter().map(|_| None).collect();
    for (position, row, partner_disabled) in statement.load::<(i64, ApiKeyRow, bool)>(connection)? {
        let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
        if let Some(answer) = answers.get_mut(index) {
            *answer = Some((row, partner_disabled));
        }
    }
    Ok(answers)
}

struct FindKeys<'a> {
    key_ids: Vec<&'a str>,
}

statement!(const FindKeys<'a>, (BigInt, ApiKeyColumns, Bool));

impl QueryFragment<Pg> for FindKeys<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // LATERAL with LIMIT for the same reason as with users: a look-up in the index per member.
        out.push_sql("SELECT asked.position, found.* FROM unnest(");
        out.push_bind_param::<Array<Text>, _>(&self.key_ids)?;
        out.push_sql(") WITH ORDINALITY AS asked (key_id, position) CROSS JOIN LATERAL (SELECT ");
        out.push_sql(API_KEY_COLUMNS);
        out.push_sql(
            ", partners.disabled_at IS NOT NULL FROM api_keys JOIN partners ON \
             partners.partner_id = api_keys.partner_id WHERE api_keys.key_id = asked.key_id LIMIT 1) AS found",
        );
        Ok(())
    }
}

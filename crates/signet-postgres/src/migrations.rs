use std::collections::HashSet;

use diesel::{
    Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl,
    connection::{CacheSize, SimpleConnection},
    migration::MigrationSource,
    pg::Pg,
    sql_query,
    sql_types::{Array, Bool, Text},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use signet_domain::ports::StoreError;

use crate::{
    errors::{store_error, unavailable},
    url::ConnectionUrl,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Held by the instance that migrates, until its transaction ends; a lock of the session would outlive the instance
/// behind a pooler. Any number will do that no other program on the database takes: this is `signet` and two bytes more.
const LOCK: &str = "SELECT pg_advisory_xact_lock(x'7369676e65740001'::bigint)";

/// Applies all that is missing in one transaction, or nothing.
pub(crate) fn apply(url: &ConnectionUrl) -> Result<usize, StoreError> {
    let mut connection =
        PgConnection::establish(url.as_str()).map_err(|error| unavailable(url.hide(&error.to_string())))?;
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    let applied = connection.transaction(|connection| {
        connection.batch_execute(LOCK)?;
        connection.run_pending_migrations(MIGRATIONS).map(|applied| applied.len())
    });
    applied.map_err(|error: Box<dyn std::error::Error + Send + Sync>| match error.downcast_ref() {
        Some(error) => store_error(error),
        None => StoreError::Unexpected { reason: "a migration failed".into() },
    })
}

#[derive(QueryableByName)]
struct Condition {
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Array<Text>)]
    versions: Vec<String>,
}

/// `Err` tells why the database is not fit for work.
pub(crate) fn check(connection: &mut PgConnection) -> QueryResult<Result<(), String>> {
    const CONDITION: &str = "SELECT current_setting('transaction_read_only')::boolean AS read_only, \
        ARRAY(SELECT version::text FROM __diesel_schema_migrations) AS versions";
    const IS_EMPTY: &str = "SELECT to_regclass('__diesel_schema_migrations') IS NULL AS read_only, \
        ARRAY[]::text[] AS versions";
    let condition: Condition = match sql_query(CONDITION).get_result(connection) {
        Ok(condition) => condition,
        Err(error) => {
            return match sql_query(IS_EMPTY).get_result::<Condition>(connection) {
                Ok(Condition { read_only: true, .. }) => Ok(Err("the database has no schema yet".to_owned())),
                _ => Err(error),
            };
        }
    };
    if condition.read_only {
        return Ok(Err("the database is read-only".to_owned()));
    }
    let applied: HashSet<String> = condition.versions.into_iter().collect();
    let migrations =
        MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(diesel::result::Error::QueryBuilderError)?;
    let pending = migrations.iter().filter(|one| !applied.contains(&one.name().version().to_string())).count();
    Ok(if pending == 0 { Ok(()) } else { Err(format!("the database lacks {pending} migrations")) })
}

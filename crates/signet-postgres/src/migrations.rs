use std::collections::HashSet;

use diesel::{
    Connection, PgConnection, QueryResult, QueryableByName, RunQueryDsl,
    connection::{CacheSize, SimpleConnection},
    migration::MigrationSource,
    pg::Pg,
    r2d2::R2D2Connection,
    result::{DatabaseErrorKind, Error},
    sql_query,
    sql_types::{Bool, Integer, Text},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use signet_domain::ports::{Migrated, StoreError};

use crate::{
    email_keys,
    errors::{store_error, unavailable, without_values},
    isolation::read_committed,
    url::ConnectionUrl,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// What older servers lack is found here and not by the first statement that needs it.
const MINIMUM_MAJOR: i32 = 14;

/// The lock is held by the instance that migrates, until its transaction ends; one of the session would outlive the
/// instance behind a pooler. Any number will do that no other program on the database takes: this is `signet` and two
/// bytes more. An instance that is cut off from the database must not hold the lock for ever.
const BEGIN_ALONE: &str = "SET LOCAL idle_in_transaction_session_timeout = '10s'; \
    SELECT pg_advisory_xact_lock(x'7369676e65740001'::bigint)";

struct Failure(StoreError);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(store_error(&error))
    }
}

/// Applies all that is missing in one transaction, or nothing.
pub(crate) fn apply(url: &ConnectionUrl) -> Result<Migrated, StoreError> {
    let mut connection =
        PgConnection::establish(url.as_str()).map_err(|error| unavailable(url.hide(&error.to_string())))?;
    connection.set_prepared_statement_cache_size(CacheSize::Disabled);
    // A process that waited for the lock must see what its holder applied, whatever the database's default isolation is.
    let applied = read_committed(&mut connection, |connection| {
        connection.batch_execute(BEGIN_ALONE)?;
        let failed = |what: &str, error: Box<dyn std::error::Error + Send + Sync>| {
            // The type of the error is private, but its text ends with that of the statement that failed.
            let text = error.to_string();
            let message = without_values(text.split_once(" with: ").map_or(&text, |(_, message)| message));
            Failure(StoreError::Unexpected { reason: format!("{what} failed: {message}") })
        };
        let pending = connection.pending_migrations(MIGRATIONS);
        let pending = pending.map_err(|error| failed("the question which migrations are pending", error))?;
        let mut collisions = Vec::new();
        for migration in &pending {
            let applied = connection.run_migration(migration);
            applied.map_err(|error| failed(&format!("the migration {}", migration.name()), error))?;
            if migration.name().to_string() == email_keys::MIGRATION {
                collisions = email_keys::recompute(connection)?;
            }
        }
        Ok(Migrated { applied: pending.len(), collisions })
    });
    applied.map_err(|Failure(error)| {
        if connection.is_broken() { unavailable("the connection was lost during the migration") } else { error }
    })
}

#[derive(QueryableByName)]
struct Condition {
    #[diesel(sql_type = Integer)]
    server: i32,
    #[diesel(sql_type = Bool)]
    read_only: bool,
    #[diesel(sql_type = Bool)]
    has_schema: bool,
    #[diesel(sql_type = Bool)]
    may_migrate: bool,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// What there is to do before this service can work on a database.
pub(crate) struct Pending {
    /// How many migrations it lacks.
    pub(crate) migrations: usize,
    /// Whether the role of this connection could apply them: it may create tables and owns those that are there.
    pub(crate) may_migrate: bool,
}

/// What is to do, if the database is one that this service can work on.
pub(crate) fn pending(connection: &mut PgConnection) -> QueryResult<Result<Pending, StoreError>> {
    const CONDITION: &str = "SELECT current_setting('server_version_num')::int AS server, \
        current_setting('transaction_read_only')::boolean AS read_only, \
        to_regclass('__diesel_schema_migrations') IS NOT NULL AS has_schema, \
        coalesce(has_schema_privilege(current_schema(), 'CREATE') AND pg_has_role(coalesce((SELECT relowner \
            FROM pg_class WHERE oid = to_regclass('__diesel_schema_migrations')), current_user::regrole), 'USAGE'), \
            false) AS may_migrate";
    const APPLIED: &str = "SELECT version::text AS version FROM __diesel_schema_migrations";

    let condition: Condition = sql_query(CONDITION).get_result(connection)?;
    if let Err(refused) = is_supported(condition.server) {
        return Ok(Err(refused));
    }
    if condition.read_only {
        // As a write would be told, so that this connection and its like are given up: it leads to a former primary.
        let message = "the database is read-only".to_owned();
        return Err(Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, Box::new(message)));
    }
    let applied: Vec<Applied> = if condition.has_schema { sql_query(APPLIED).load(connection)? } else { Vec::new() };
    let applied: HashSet<String> = applied.into_iter().map(|one| one.version).collect();
    let migrations = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(Error::QueryBuilderError)?;
    let migrations = migrations.iter().filter(|one| !applied.contains(&one.name().version().to_string())).count();
    Ok(Ok(Pending { migrations, may_migrate: condition.may_migrate }))
}

fn is_supported(server_version_num: i32) -> Result<(), StoreError> {
    let major = server_version_num / 10_000;
    if major >= MINIMUM_MAJOR {
        return Ok(());
    }
    let reason = format!("PostgreSQL {MINIMUM_MAJOR} or later is needed, and this is PostgreSQL {major}");
    Err(StoreError::Unexpected { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_too_old_is_refused_in_one_line() {
        for supported in [140_000, 140_023, 150_008, 180_001] {
            assert_eq!(is_supported(supported), Ok(()));
        }
        for (old, major) in [(130_022, "13"), (90_624, "9")] {
            let refused = is_supported(old).expect_err("too old").to_string();
            assert!(refused.contains(&format!("PostgreSQL 14 or later is needed, and this is PostgreSQL {major}")));
            assert_eq!(refused.lines().count(), 1);
        }
    }
}

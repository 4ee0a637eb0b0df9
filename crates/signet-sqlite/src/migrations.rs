use std::time::Duration;

use diesel::{QueryDsl, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sqlite::Sqlite};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use signet_domain::ports::Migrated;

use crate::{
    email_keys,
    errors::{Failure, from_message, lacks_table, transaction, unavailable, unexpected},
    schema::__diesel_schema_migrations,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// How long a migration waits for another process, which may be migrating: longer than a caller waits for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Applies what is pending, all of it or nothing. Usually the connection waits
/// for another process as long as `busy_timeout`.
pub(crate) fn run(connection: &mut SqliteConnection, busy_timeout: Duration) -> Result<Migrated, Failure> {
    // Nearly always nothing is, and then nobody has to wait for a lock to learn it.
    if !are_pending(connection)? {
        return Ok(Migrated::default());
    }
    wait_for_others(connection, PATIENCE)?;
    let applied = apply(connection);
    wait_for_others(connection, busy_timeout)?;
    applied
}

fn wait_for_others(connection: &mut SqliteConnection, busy_timeout: Duration) -> Result<(), Failure> {
    Ok(connection.batch_execute(&format!("PRAGMA busy_timeout = {}", busy_timeout.as_millis()))?)
}

fn apply(connection: &mut SqliteConnection) -> Result<Migrated, Failure> {
    // Whoever had the lock before may have applied them: Diesel asks again.
    transaction(connection, |connection| {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            // The type of the error is private, but its text ends with that of the statement that failed.
            let text = error.to_string();
            Failure(from_message(text.split_once(" with: ").map_or(&text, |(_, message)| message)))
        };
        let pending = connection.pending_migrations(MIGRATIONS).map_err(failed)?;
        let mut collisions = Vec::new();
        for migration in &pending {
            connection.run_migration(migration).map_err(failed)?;
            if migration.name().to_string() == email_keys::MIGRATION {
                collisions = email_keys::recompute(connection)?;
            }
        }
        Ok(Migrated { applied: pending.len(), collisions })
    })
}

/// Fails unless every migration has been applied.
pub(crate) fn check(connection: &mut SqliteConnection) -> Result<(), Failure> {
    if are_pending(connection)? { Err(Failure(unavailable("migrations are pending"))) } else { Ok(()) }
}

fn are_pending(connection: &mut SqliteConnection) -> Result<bool, Failure> {
    use diesel::migration::{MigrationSource, MigrationVersion};
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(|_error| Failure(unexpected("the embedded migrations cannot be read")))?;
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    let applied: Vec<MigrationVersion<'_>> = match applied.load(connection) {
        Err(error) if lacks_table(&error) => Vec::new(), // none yet
        applied => applied?,
    };
    Ok(known.iter().any(|migration| !applied.contains(&migration.name().version())))
}

use diesel::{QueryDsl, RunQueryDsl, SqliteConnection, sqlite::Sqlite};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use signet_domain::ports::StoreError;

use crate::{
    errors::{Failure, from_message, transaction, unavailable, unexpected},
    schema::__diesel_schema_migrations,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Applies what is pending, all of it or nothing, and tells how many migrations that was.
pub(crate) fn run(connection: &mut SqliteConnection) -> Result<usize, Failure> {
    // The lock comes first and the question after it: of two processes the second finds nothing pending.
    transaction(connection, |connection| {
        let applied = connection.run_pending_migrations(MIGRATIONS);
        applied.map(|applied| applied.len()).map_err(|error| {
            // The type of the error is private, but its text ends with that of the statement that failed.
            let text = error.to_string();
            Failure(from_message(text.split_once(" with: ").map_or(&text, |(_, message)| message)))
        })
    })
}

/// Fails unless every migration has been applied.
pub(crate) fn check(connection: &mut SqliteConnection) -> Result<(), Failure> {
    use diesel::migration::{MigrationSource, MigrationVersion};
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS)
        .map_err(|_error| Failure(unexpected("the embedded migrations cannot be read")))?;
    let applied = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
    let applied: Vec<MigrationVersion<'_>> = match applied.load(connection).map_err(Failure::from) {
        Err(Failure(StoreError::Unexpected { .. })) => Vec::new(), // not even the table
        applied => applied?,
    };
    if known.iter().all(|migration| applied.contains(&migration.name().version())) {
        Ok(())
    } else {
        Err(Failure(unavailable("migrations are pending")))
    }
}

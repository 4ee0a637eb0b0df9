use clap::Args;

use super::{database::DatabasePlace, print};
use crate::error::Failure;

/// Apply the migrations that the database lacks
///
/// `serve`, `partner` and `key` do the same before their work, unless told not to by --no-migrate. Several may do so at
/// once.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    database: DatabasePlace,
}

impl MigrateArgs {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let backend = self.database.open(Some(1))?;
        print::line(&match backend.prepare(true, self.database.wait_for_database).await? {
            0 => "The database is up to date.".to_owned(),
            1 => "1 migration applied.".to_owned(),
            applied => format!("{applied} migrations applied."),
        })
    }
}

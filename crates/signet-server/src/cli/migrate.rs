use clap::Args;
use signet_domain::ports::{EmailCollision, Migrated};

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
        let Migrated { applied, collisions } = backend.prepare(true, self.database.wait_for_database).await?;
        print::line(&match applied {
            0 => "The database is up to date.".to_owned(),
            1 => "1 migration applied.".to_owned(),
            applied => format!("{applied} migrations applied."),
        })?;
        for EmailCollision { partner_id, user_id, holder_id } in collisions {
            print::line(&format!(
                "User {user_id} of partner {partner_id} has the same e-mail address as user {holder_id}, which keeps it."
            ))?;
        }
        Ok(())
    }
}

use std::path::PathBuf;

use clap::{ArgAction, Args, builder::BoolishValueParser};
use serde_json::json;

use super::{
    database::DatabaseLocation,
    print,
    values::{self, DatabaseUrl},
};
use crate::error::Failure;

/// Copy the SQLite database to a file, also while the service runs
///
/// The copy is of one moment and holds every change that was answered before the command began. FILE must not exist; it
/// appears once it is whole and on the disk, readable by its owner alone.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// Where the copy goes
    #[arg(value_name = "FILE", value_parser = values::file)]
    file: PathBuf,

    /// Print one JSON object
    #[arg(long, env = "SIGNET_JSON", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    json: bool,

    #[command(flatten)]
    database: DatabaseLocation,
}

impl BackupArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let DatabaseUrl::Sqlite(url) = self.database.url() else {
            return Err(Failure::Usage(
                "signet backup copies SQLite files alone; use pg_dump or a base backup, see Backup in docs/operations.md"
                    .to_owned(),
            ));
        };
        self.database.check()?;
        let bytes = signet_sqlite::backup(url, &self.file).map_err(|error| Failure::Runtime(error.to_string()))?;
        let file = self.file.display();
        if self.json {
            return print::json(json!({"file": file.to_string(), "bytes": bytes}));
        }
        print::line(&format!("The database was copied to {file} ({bytes} bytes)."))
    }
}

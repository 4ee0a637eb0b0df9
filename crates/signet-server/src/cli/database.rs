use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, Args, builder::BoolishValueParser};
use signet_domain::ports::{EmailCollision, Migrated};

use super::values::{self, DatabaseUrl, DatabaseUrlFile};
use crate::{
    backend::{Backend, BackendOptions},
    error::Failure,
};

/// For how long one operation of a command may take that nobody waits for as a client does.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which database a command works on, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseArgs {
    #[command(flatten)]
    pub(crate) place: DatabasePlace,

    /// Apply no migrations; fail where the database lacks one
    #[arg(long, env = "SIGNET_NO_MIGRATE", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) no_migrate: bool,
}

/// Which database, without the question who migrates it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabasePlace {
    #[command(flatten)]
    pub(crate) location: DatabaseLocation,

    /// For how long to wait for a database that cannot be reached at start
    #[arg(long, env = "SIGNET_WAIT_FOR_DATABASE", hide_env_values = true)]
    #[arg(value_name = "DURATION", default_value = "0s", value_parser = values::duration)]
    pub(crate) wait_for_database: Duration,

    /// Whether PostgreSQL keeps prepared statements; "off" behind PgBouncer in transaction mode
    #[arg(long, env = "SIGNET_POSTGRES_STATEMENT_CACHE", hide_env_values = true)]
    #[arg(value_name = "on|off", default_value = "on", hide_possible_values = true)]
    #[arg(action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub(crate) postgres_statement_cache: bool,

    /// Allow a PostgreSQL on another machine without TLS that proves which one it is
    #[arg(long, env = "SIGNET_ALLOW_UNVERIFIED_DATABASE", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) allow_unverified_database: bool,
}

/// Which database, without the question how it is connected to.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseLocation {
    /// Where the data is: sqlite:// and a path, or a PostgreSQL URI (several hosts, Unix sockets and sslmode work)
    #[arg(long, env = "SIGNET_DATABASE_URL", hide_env_values = true)]
    #[arg(value_name = "URL", default_value = "sqlite://signet.db")]
    database_url: DatabaseUrl,

    /// A file with the URL, which may hold a password, in place of --database-url
    #[arg(long, env = "SIGNET_DATABASE_URL_FILE", hide_env_values = true)]
    #[arg(value_name = "FILE", value_parser = values::database_url_file, conflicts_with = "database_url")]
    database_url_file: Option<DatabaseUrlFile>,

    /// Use a SQLite database, or a file of --database-url-file, that every user of this machine can read
    #[arg(long, env = "SIGNET_ALLOW_READABLE_DATABASE", hide_env_values = true)]
    #[arg(action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    allow_readable_database: bool,
}

impl DatabaseLocation {
    /// Where the data is.
    pub(crate) fn url(&self) -> &DatabaseUrl {
        self.database_url_file.as_ref().map_or(&self.database_url, |file| &file.url)
    }

    /// A file of the database, or of its URL, that users other than its owner and group can read.
    pub(crate) fn readable_file(&self) -> Option<PathBuf> {
        let url_file = self.database_url_file.as_ref().map(|file| file.path.clone());
        url_file.into_iter().chain(self.url().files()).find(|path| is_readable_by_all(path))
    }

    /// Fails where every user of the machine can read the data or its password, and nobody allowed it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.readable_file() {
            Some(file) if !self.allow_readable_database => Err(Failure::Runtime(format!(
                "every user of this machine can read {file}; chmod 600 {file}, or add --allow-readable-database",
                file = file.display()
            ))),
            _ => Ok(()),
        }
    }
}

fn is_readable_by_all(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o004 != 0)
}

impl DatabaseArgs {
    /// Opens the database and makes it fit for work.
    pub(crate) async fn open(&self, threads: Option<u16>) -> Result<Backend, Failure> {
        let backend = self.place.open(threads)?;
        let Migrated { applied, collisions } = backend.prepare(!self.no_migrate, self.place.wait_for_database).await?;
        if applied > 0 {
            tracing::info!(applied, "migrations applied");
        }
        for EmailCollision { partner_id, user_id, holder_id } in collisions {
            tracing::warn!(%partner_id, %user_id, %holder_id, "two users have the same e-mail address by the current rule");
        }
        Ok(backend)
    }

    /// For a command that asks one thing after the other, and makes a database where there is none.
    pub(super) async fn open_or_create(&self) -> Result<Backend, Failure> {
        self.open(Some(1)).await
    }

    /// For a command that could do nothing with an empty database: a mistyped path must not make one.
    pub(super) async fn open_existing(&self) -> Result<Backend, Failure> {
        self.place.location.url().ensure_there()?;
        self.open(Some(1)).await
    }
}

impl DatabasePlace {
    /// Fails where a password and data would travel in the open, or be readable by all, and nobody allowed it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.location.url().is_exposed() && !self.allow_unverified_database {
            return Err(Failure::Usage(
                "--database-url: without verified TLS, whoever is between here and the PostgreSQL on another machine can \
                 read and change everything; add sslmode=verify-full and sslrootcert to the URL, or \
                 --allow-unverified-database if nobody can be"
                    .to_owned(),
            ));
        }
        self.location.check()
    }

    pub(super) fn open(&self, threads: Option<u16>) -> Result<Backend, Failure> {
        self.check()?;
        Backend::open(self.location.url(), self.options(threads, None))
    }

    /// For a command that reads all there is, makes nothing and has time.
    pub(super) async fn open_to_read(&self) -> Result<Backend, Failure> {
        self.location.url().ensure_there()?;
        self.check()?;
        let backend = Backend::open_to_read(self.location.url(), self.options(None, Some(PATIENCE)))?;
        backend.prepare(false, self.wait_for_database).await?;
        Ok(backend)
    }

    fn options(&self, threads: Option<u16>, deadline: Option<Duration>) -> BackendOptions {
        BackendOptions { threads, statement_cache: self.postgres_statement_cache, deadline }
    }
}

//! The composition root of the databases: the only place that knows both.

use std::{sync::Arc, time::Duration};

use signet_domain::ports::{ApiKeyRepository, AuditTrail, Migrated, PartnerRepository, StoreError, UserRepository};
use signet_postgres::{PostgresOptions, PostgresStore};
use signet_sqlite::{OpenError, SqliteOptions, SqliteStore};
use tokio::time::{Instant, sleep};

use crate::{cli::DatabaseUrl, error::Failure};

/// How long to leave a database alone that was not there.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The ports on the database that was asked for. Clones share it.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) users: Arc<dyn UserRepository>,
    pub(crate) audit: Arc<dyn AuditTrail>,
    pub(crate) keys: Arc<dyn ApiKeyRepository>,
    pub(crate) partners: Arc<dyn PartnerRepository>,
    store: Store,
}

/// The same database, for what is not a port.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a few values of it in the process")]
enum Store {
    Postgres(PostgresStore),
    Sqlite(SqliteStore),
}

/// What a database may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackendOptions {
    /// How many threads work on it; `None` leaves that to the adapter.
    pub(crate) threads: Option<u16>,
    /// Whether Postgres keeps prepared statements.
    pub(crate) statement_cache: bool,
    /// How long one operation may take; `None` leaves that to the adapter.
    pub(crate) deadline: Option<Duration>,
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connections {
    /// All that are open.
    pub(crate) open: u32,
    /// Those of them that wait for work.
    pub(crate) idle: u32,
}

impl Backend {
    /// Blocks while a file of `SQLite` is opened. A Postgres need not be there yet.
    pub(crate) fn open(url: &DatabaseUrl, options: BackendOptions) -> Result<Self, Failure> {
        Self::connect(url, options, SqliteStore::open)
    }

    /// For reading alone, which a file of `SQLite` that cannot be written to allows.
    pub(crate) fn open_to_read(url: &DatabaseUrl, options: BackendOptions) -> Result<Self, Failure> {
        Self::connect(url, options, SqliteStore::open_to_read)
    }

    fn connect(
        url: &DatabaseUrl,
        options: BackendOptions,
        open: impl FnOnce(&str, SqliteOptions) -> Result<SqliteStore, OpenError>,
    ) -> Result<Self, Failure> {
        match url {
            DatabaseUrl::Postgres(url) => {
                let mut postgres =
                    PostgresOptions { statement_cache: options.statement_cache, ..PostgresOptions::default() };
                if let Some(threads) = options.threads {
                    postgres.threads = usize::from(threads);
                }
                postgres.deadline = options.deadline.unwrap_or(postgres.deadline);
                let store =
                    PostgresStore::connect(url, postgres).map_err(|error| Failure::Runtime(error.to_string()))?;
                Ok(Self::new(Arc::new(store.clone()), Store::Postgres(store)))
            }
            DatabaseUrl::Sqlite(path) => {
                let mut sqlite = SqliteOptions::default();
                if let Some(threads) = options.threads {
                    sqlite.readers = u32::from(threads);
                }
                sqlite.deadline = options.deadline.unwrap_or(sqlite.deadline);
                let store = open(path, sqlite).map_err(|error| Failure::Runtime(error.to_string()))?;
                Ok(Self::new(Arc::new(store.clone()), Store::Sqlite(store)))
            }
        }
    }

    fn new<S>(ports: Arc<S>, store: Store) -> Self
    where
        S: UserRepository + AuditTrail + ApiKeyRepository + PartnerRepository + 'static,
    {
        Self { users: ports.clone(), audit: ports.clone(), keys: ports.clone(), partners: ports, store }
    }

    /// Applies the migrations that the database lacks.
    pub(crate) async fn migrate(&self) -> Result<Migrated, StoreError> {
        match &self.store {
            Store::Postgres(store) => store.migrate().await,
            Store::Sqlite(store) => store.migrate().await,
        }
    }

    /// Succeeds where the database can do its work and lacks no migration.
    pub(crate) async fn ready(&self) -> Result<(), StoreError> {
        match &self.store {
            Store::Postgres(store) => store.ready().await,
            Store::Sqlite(store) => store.ready().await,
        }
    }

    /// The connections of this moment.
    pub(crate) fn connections(&self) -> Connections {
        match &self.store {
            Store::Postgres(store) => {
                let state = store.pool_state();
                Connections { open: state.connections, idle: state.idle }
            }
            Store::Sqlite(store) => {
                let state = store.pool_state();
                Connections { open: state.connections, idle: state.idle }
            }
        }
    }

    /// How many operations of each kind wait for a database thread.
    pub(crate) fn queue_lengths(&self) -> Vec<(&'static str, usize)> {
        match &self.store {
            Store::Postgres(store) => store.queue_lengths().into(),
            Store::Sqlite(store) => store.queue_lengths().into(),
        }
    }

    /// Leaves a `SQLite` database whole in its one file. Operations fail from then on.
    pub(crate) fn close(&self) {
        if let Store::Sqlite(store) = &self.store {
            store.close();
        }
    }

    /// Makes the database fit for work: migrated where `migrate` says so, else found complete. A database that is away
    /// is given `patience` to come.
    pub(crate) async fn prepare(&self, migrate: bool, patience: Duration) -> Result<Migrated, StoreError> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            let prepared =
                if migrate { self.migrate().await } else { self.ready().await.map(|()| Migrated::default()) };
            match prepared {
                Err(StoreError::Unavailable { reason }) if begun.elapsed() + RETRY_AFTER < patience => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(reason, "waiting for the database");
                    }
                    sleep(RETRY_AFTER).await;
                }
                prepared => return prepared,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BackendOptions = BackendOptions { threads: Some(1), statement_cache: true, deadline: None };

    #[tokio::test]
    async fn a_database_is_migrated_once_or_found_incomplete() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}/signet.db", directory.path().display()).parse().expect("a URL");
        let backend = Backend::open(&url, OPTIONS).expect("opened");
        let lacking = backend.prepare(false, Duration::ZERO).await;
        assert!(matches!(lacking, Err(StoreError::Unavailable { .. })), "{lacking:?}");
        let applied = backend.prepare(true, Duration::ZERO).await.expect("migrated").applied;
        assert!(applied > 0);
        assert_eq!(backend.prepare(true, Duration::ZERO).await, Ok(Migrated::default()));
        assert_eq!(backend.prepare(false, Duration::ZERO).await, Ok(Migrated::default()));
        assert_eq!(backend.connections(), Connections { open: 2, idle: 2 });
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_waited_for_as_long_as_was_said() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("an address");
        let url = format!("postgres://signet:s3cret@{nobody}/signet").parse().expect("a URL");
        let backend = Backend::open(&url, OPTIONS).expect("made");
        let began = Instant::now();
        let gone = backend.prepare(true, Duration::from_secs(1)).await.expect_err("nobody is there");
        assert!(matches!(gone, StoreError::Unavailable { .. }) && !gone.to_string().contains("s3cret"), "{gone}");
        let waited = began.elapsed();
        assert!(waited >= Duration::from_millis(500) && waited < Duration::from_secs(10), "{waited:?}");
    }
}

//! The ports of Signet Partner Management on a `SQLite` file, with `SQLite` compiled in: the embedded default.
//!
//! ```no_run
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! let store = signet_sqlite::SqliteStore::open("sqlite://signet.db", signet_sqlite::SqliteOptions::default())?;
//! store.migrate().await?;
//! # Ok(()) }
//! ```
//!
//! One thread writes and a few read. Readers see every commit that was acknowledged, and never wait for the writer (WAL);
//! the writer waits for nobody but another process, so "database is locked" is nobody's answer. Commits that wait
//! together share one transaction and one sync of the disk, and are answered after it.
#![deny(missing_docs)]

mod api_keys;
mod audit;
mod backup;
mod email_keys;
mod errors;
mod migrations;
mod partners;
mod pool;
mod rows;
mod schema;
mod updates;
mod users;

#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use diesel::SqliteConnection;
// Named so that its `bundled` feature takes effect.
use libsqlite3_sys as _;
use scheduled_thread_pool::ScheduledThreadPool;
use signet_domain::{
    PartnerId,
    ports::{Migrated, StoreError},
};
use signet_turn::{Jobs, Lane, Limits, Turn};

pub use backup::{BackupError, backup};
use errors::{Failure, refused};
pub use pool::OpenError;
use pool::{Access, Pool, Pools};

/// How many times the usual number of look-ups may wait for the first use of a key. A look-up is small, and anybody's
/// connection can wait with one: where made-up ids fill the queue, keys used for the first time are refused.
const FIRST_USES: usize = 16;

/// How much a store may hold at once.
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// How many threads read, each with a connection; one more writes.
    pub readers: u32,
    /// How many operations of a kind may wait; one more is [`StoreError::Overloaded`].
    pub queue: usize,
    /// How long a caller waits for its answer, then it is [`StoreError::Unavailable`]; also how long the writer waits
    /// for another process.
    pub deadline: Duration,
}

impl Default for SqliteOptions {
    /// Two readers, 1,024 operations, 1.8 seconds (the service promises an answer within two).
    fn default() -> Self {
        Self { readers: 2, queue: 1024, deadline: Duration::from_millis(1800) }
    }
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// All of them.
    pub connections: u32,
    /// Those that do nothing.
    pub idle: u32,
}

/// A store in a `SQLite` file. Clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    path: Arc<Path>,
    is_read_only: bool,
    pools: Arc<Pools>,
    /// What a partner reads, but for single users.
    pages: Jobs<Pool, PartnerId>,
    /// Look-ups of the service itself except keys: which partners there are.
    look_ups: Jobs<Pool, ()>,
    /// Keys of senders that nobody knows yet, apart from those that were verified before.
    first_uses: Lane<Pool, api_keys::Find>,
    refreshes: Lane<Pool, api_keys::Find>,
    /// Apart from all else, or a queue full of requests would hide what is wrong with the file.
    probes: Jobs<Pool, ()>,
    /// What an operator changes.
    orders: Jobs<Pool, ()>,
    finds: Lane<Pool, users::Find>,
    commits: Lane<Pool, users::Commit>,
}

impl SqliteStore {
    /// Opens the file that a path or a URL (`sqlite://signet.db`, `sqlite:///var/lib/signet.db`) names; makes an empty
    /// one, readable by its owner alone, where there is none. Blocks while it does.
    ///
    /// Fails where the file cannot be opened or is no `SQLite` database.
    pub fn open(location: &str, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = pool::path(location)?;
        pool::prepare(&path, options.deadline)?;
        let name = pool::name(&path).map_err(|reason| OpenError::new(&path, reason))?;
        Self::connect(&path, (name, Access::Write), options)
    }

    /// Opens an existing file to read it. Changes neither the file nor, where that cannot be written to, its directory;
    /// a file whose log was left behind in such a directory is refused.
    pub fn open_to_read(location: &str, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = pool::path(location)?;
        if !path.exists() {
            return Err(OpenError::new(&path, "there is no such file"));
        }
        let name = pool::name_to_read(&path).map_err(|reason| OpenError::new(&path, &reason))?;
        Self::connect(&path, (&name, Access::Read), options)
    }

    fn connect(path: &Path, (name, access): (&str, Access), options: SqliteOptions) -> Result<Self, OpenError> {
        let SqliteOptions { readers, queue, deadline } = options;
        let readers = readers.max(1);
        let helper = ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("sqlite-pool").build();
        let helper = Arc::new(helper);
        let reading = pool::build((path, name), (Access::Read, readers), deadline, &helper)?;
        let writing = pool::build((path, name), (access, 1), deadline, &helper)?;
        let start = |name, threads, pool: &Pool| {
            Turn::start(name, Limits { threads, queue, deadline }, pool.clone())
                .map_err(|error| OpenError::new(path, &error))
        };
        let reads = start("sqlite-read", usize::try_from(readers).unwrap_or(usize::MAX), &reading)?;
        let writes = start("sqlite-write", 1, &writing)?;
        Ok(Self {
            path: path.into(),
            is_read_only: access == Access::Read,
            pools: Arc::new(Pools { read: reading, write: writing }),
            pages: reads.jobs(),
            look_ups: reads.jobs(),
            first_uses: reads.lane_of(queue.saturating_mul(FIRST_USES)),
            refreshes: reads.lane(),
            probes: reads.jobs(),
            orders: writes.jobs(),
            finds: reads.lane(),
            commits: writes.lane(),
        })
    }

    /// Applies the migrations that are pending, all of them or none, and returns how many they were, and
    /// which addresses collide by a rule that one of them brought. Two processes may
    /// do so at the same time: the second waits for up to 30 seconds. Where none is pending, nobody waits.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        // Not on the thread that writes: a migration of a large table may take longer than any deadline.
        let writing = self.pools.write.clone();
        let run = move || with(&writing, |connection| migrations::run(connection, writing.connection_timeout()));
        let migrated = tokio::task::spawn_blocking(run).await;
        migrated.unwrap_or_else(|_panicked| Err(errors::unexpected("a migration panicked")))
    }

    /// Whether the store can do its work: the file answers and may be written to, and no migration is pending. A full
    /// disk shows in a write alone: those who only read go on.
    pub async fn ready(&self) -> Result<(), StoreError> {
        let (path, is_read_only) = (Arc::clone(&self.path), self.is_read_only);
        let probe = move |connection: &mut SqliteConnection| {
            if !is_read_only {
                pool::check_writable(&path)?;
            }
            migrations::check(connection)
        };
        self.probes.run((), |pool| with(pool, probe)).await.map_err(refused)?
    }

    /// How many connections there are, of readers and writer together.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        let [reading, writing] = [self.pools.read.state(), self.pools.write.state()];
        PoolState {
            connections: reading.connections + writing.connections,
            idle: reading.idle_connections + writing.idle_connections,
        }
    }

    /// How many operations of each kind wait for a thread.
    #[must_use]
    pub fn queue_lengths(&self) -> [(&'static str, usize); 7] {
        [
            ("user_reads", self.finds.len()),
            ("user_writes", self.commits.len()),
            ("pages", self.pages.len()),
            ("key_first_uses", self.first_uses.len()),
            ("key_refreshes", self.refreshes.len()),
            ("admin_writes", self.orders.len()),
            ("probes", self.probes.len()),
        ]
    }

    /// Merges the log into the file and closes it, as soon as what is under way has ended: for the end of a process.
    /// Operations fail from then on. The last clone that is dropped does the same. Blocks meanwhile.
    pub fn close(&self) {
        self.pools.close();
    }

    async fn read<T: Send + 'static>(&self, partner_id: PartnerId, job: impl Job<T>) -> Result<T, StoreError> {
        self.pages.run(partner_id, |pool| with(pool, job)).await.map_err(refused)?
    }

    async fn look_up<T: Send + 'static>(&self, job: impl Job<T>) -> Result<T, StoreError> {
        self.look_ups.run((), |pool| with(pool, job)).await.map_err(refused)?
    }

    async fn write<T: Send + 'static>(&self, job: impl Job<T>) -> Result<T, StoreError> {
        self.orders.run((), |pool| with(pool, job)).await.map_err(refused)?
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SqliteStore").field("pool", &self.pool_state()).finish_non_exhaustive()
    }
}

/// What a thread does with a connection.
trait Job<T>: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static {}

impl<T, F: FnOnce(&mut SqliteConnection) -> Result<T, Failure> + Send + 'static> Job<T> for F {}

fn with<T>(pool: &Pool, job: impl FnOnce(&mut SqliteConnection) -> Result<T, Failure>) -> Result<T, StoreError> {
    let mut connection = pool.get().map_err(|error| Failure::from(error).0)?;
    job(&mut connection).map_err(|failure| failure.0)
}

use std::{fmt, sync::Arc, time::Duration};

use diesel::{PgConnection, QueryResult};
use signet_domain::ports::StoreError;
use signet_turn::{Limits, Refused, Turn};

use crate::{
    errors::unavailable,
    migrations,
    pool::{Attempt, Pool, PoolState},
    url::{ConnectionUrl, InvalidUrl},
    users::Lanes,
};

/// What a [`PostgresStore`] may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// How many threads read, with a connection each. One more writes: what one thread commits together, two would
    /// commit half by half, waiting for each other at the counters of the partners.
    pub threads: usize,
    /// How many requests of one kind may wait for a thread.
    pub queue: usize,
    /// How long a request takes at most, from the call to the answer.
    pub deadline: Duration,
    /// Whether statements are prepared once per connection. `false` behind a pooler that gives every transaction
    /// another server session, such as `PgBouncer` in transaction mode; set the timeouts on the role then.
    pub statement_cache: bool,
}

impl Default for PostgresOptions {
    /// Two threads, 1,024 waiting requests, 1.8 seconds (the service promises an answer within two), prepared
    /// statements.
    fn default() -> Self {
        Self { threads: 2, queue: 1024, deadline: Duration::from_millis(1800), statement_cache: true }
    }
}

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL makes no sense.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The system gives no threads.
    #[error("cannot start the database threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// The ports on a Postgres database. Clones share the connections.
#[derive(Clone)]
pub struct PostgresStore {
    reads: Turn<Arc<Pool>>,
    writes: Turn<Arc<Pool>>,
    pool: Arc<Pool>,
    pub(crate) lanes: Lanes,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresStore").field("pool", &self.pool.state()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// A store on the database of that [connection URI](https://www.postgresql.org/docs/current/libpq-connect.html),
    /// with everything that libpq understands in one: several hosts, of which the one that takes writes is chosen,
    /// `sslmode=verify-full` with an `sslrootcert`, Unix sockets (`?host=/var/run/postgresql`: the libpq that is
    /// compiled in knows no system's own directory).
    ///
    /// The database may be away: connecting is begun here and never given up. See [`ready`](Self::ready).
    pub fn connect(url: &str, options: PostgresOptions) -> Result<Self, ConnectError> {
        let url = ConnectionUrl::parse(url)?;
        let threads = options.threads.max(1);
        let size = u32::try_from(threads + 1).unwrap_or(u32::MAX);
        let pool = Arc::new(Pool::start(url, size, options.deadline, options.statement_cache));
        let limits = Limits { threads, queue: options.queue, deadline: options.deadline };
        let reads = Turn::start("postgres-read", limits, Arc::clone(&pool))?;
        let writes = Turn::start("postgres-write", Limits { threads: 1, ..limits }, Arc::clone(&pool))?;
        let lanes = Lanes::new(&reads, &writes);
        Ok(Self { reads, writes, pool, lanes })
    }

    /// Applies the migrations that the database lacks, on a connection of its own and without a deadline, and returns
    /// how many they were. Of several instances that do this at once, one works and the others wait.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let pool = Arc::clone(&self.pool);
        tokio::task::spawn_blocking(move || migrations::apply(pool.url()))
            .await
            .map_err(|_error| unavailable("the migration ended without an answer"))?
    }

    /// Succeeds where the database answers, can be written to and lacks no migration.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.read(migrations::check).await?.map_err(unavailable)
    }

    /// How many connections there are at this moment.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        self.pool.state()
    }

    /// Does the job on a thread that reads. It is done again where the connection is lost.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reads.run(move |pool: &Arc<Pool>| pool.run(|connection, _| job(connection))).await.map_err(refusal)?
    }

    /// Does the job on the thread that writes. It is done again where the connection is lost, so it must be harmless
    /// twice.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut PgConnection, Attempt) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writes.run(move |pool: &Arc<Pool>| pool.run(job)).await.map_err(refusal)?
    }
}

pub(crate) fn refusal(refused: Refused) -> StoreError {
    match refused {
        Refused::Overloaded => StoreError::Overloaded,
        Refused::DeadlineExceeded | Refused::Abandoned => unavailable(refused.to_string()),
    }
}

use std::{fmt, sync::Arc, time::Duration};

use diesel::{PgConnection, QueryResult};
use signet_domain::{PartnerId, ports::StoreError};
use signet_turn::{Jobs, Limits, Refused, Turn};

use crate::{
    errors::{store_error, unavailable},
    migrations::{self, Pending},
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
    /// What a partner reads, but for single users.
    pages: Jobs<Arc<Pool>, PartnerId>,
    /// What the service itself needs to know: whose key that is.
    look_ups: Jobs<Arc<Pool>, ()>,
    /// Apart from all else, or a queue full of requests would hide that the database is away.
    probes: Jobs<Arc<Pool>, ()>,
    /// What an operator changes.
    orders: Jobs<Arc<Pool>, ()>,
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
        Ok(Self {
            pages: reads.jobs(),
            look_ups: reads.jobs(),
            probes: reads.jobs(),
            orders: writes.jobs(),
            pool,
            lanes: Lanes::new(&reads, &writes),
        })
    }

    /// Applies the migrations that the database lacks and returns how many they were. Of several instances that do this
    /// at once, one works and the others wait.
    ///
    /// Whether anything is to do is asked first, within the usual deadline; a role that may create nothing can do this
    /// on a complete schema, and is told so where something is to do. What is to do is done on a connection of its own, and takes as long as it takes.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        match self.pending().await? {
            Pending { migrations: 0, .. } => return Ok(0),
            Pending { may_migrate: true, .. } => {}
            Pending { migrations, may_migrate: false } => {
                let lacking = lacking(migrations);
                return Err(unavailable(format!("{lacking}, and its owner has to run `signet migrate`")));
            }
        }
        let pool = Arc::clone(&self.pool);
        tokio::task::spawn_blocking(move || migrations::apply(pool.url()))
            .await
            .map_err(|_error| unavailable("the migration ended without an answer"))?
    }

    /// Succeeds where the database answers, can be written to and lacks no migration.
    pub async fn ready(&self) -> Result<(), StoreError> {
        match self.pending().await?.migrations {
            0 => Ok(()),
            migrations => Err(unavailable(lacking(migrations))),
        }
    }

    async fn pending(&self) -> Result<Pending, StoreError> {
        run(&self.probes, (), |connection, _| migrations::pending(connection)).await?
    }

    /// How many connections there are at this moment.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        self.pool.state()
    }

    /// Reads on behalf of a partner. It is done again where the connection is lost.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        partner_id: PartnerId,
        mut job: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.pages, partner_id, move |connection, _| job(connection)).await
    }

    /// Reads on behalf of the service. It is done again where the connection is lost.
    pub(crate) async fn look_up<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.look_ups, (), move |connection, _| job(connection)).await
    }

    /// Does the job on the thread that writes. It is done again where the connection is lost, so it must be harmless
    /// twice.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut PgConnection, Attempt) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        run(&self.orders, (), job).await
    }
}

async fn run<K: PartialEq + Copy + Send + 'static, T: Send + 'static>(
    jobs: &Jobs<Arc<Pool>, K>,
    owner: K,
    job: impl FnMut(&mut PgConnection, Attempt) -> QueryResult<T> + Send + 'static,
) -> Result<T, StoreError> {
    let done = jobs.run(owner, move |pool: &Arc<Pool>| pool.run(job)).await.map_err(refusal)??;
    done.map_err(|error| store_error(&error))
}

fn lacking(migrations: usize) -> String {
    format!("the database lacks {migrations} migration{}", if migrations == 1 { "" } else { "s" })
}

pub(crate) fn refusal(refused: Refused) -> StoreError {
    match refused {
        Refused::Overloaded => StoreError::Overloaded,
        Refused::DeadlineExceeded => unavailable(refused.to_string()),
        // A panic: a defect of ours, and no condition of the database.
        Refused::Abandoned => StoreError::Unexpected { reason: refused.to_string() },
    }
}

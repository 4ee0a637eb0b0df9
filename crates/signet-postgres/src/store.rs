use std::{fmt, sync::Arc, time::Duration};

use diesel::{PgConnection, QueryResult};
use signet_domain::{
    PartnerId,
    ports::{KeyLookup, Migrated, StoreError},
};
use signet_turn::{Jobs, Lane, Operation};

use crate::{
    errors::{store_error, unavailable},
    migrations::{self, Pending},
    pool::{Attempt, Pool, PoolState},
    url::{ConnectionUrl, InvalidUrl},
    users::Lanes,
    workers::{Shifts, Workers},
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
    shifts: Arc<Shifts>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresStore").field("pool", &self.pool_state()).finish_non_exhaustive()
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
        Ok(Self { shifts: Arc::new(Shifts::start(url, options)?) })
    }

    /// Applies the migrations that the database lacks and returns how many they were, and which addresses collide by a
    /// rule that one of them brought. Of several instances that do this
    /// at once, one works and the others wait.
    ///
    /// Whether anything is to do is asked first, within the usual deadline; a role that may create nothing can do this
    /// on a complete schema, and is told so where something is to do. What is to do is done on a connection of its own, and takes as long as it takes.
    pub async fn migrate(&self) -> Result<Migrated, StoreError> {
        match self.pending().await? {
            Pending { migrations: 0, .. } => return Ok(Migrated::default()),
            Pending { may_migrate: true, .. } => {}
            Pending { migrations, may_migrate: false } => {
                let lacking = lacking(migrations);
                return Err(unavailable(format!("{lacking}, and its owner has to run `signet migrate`")));
            }
        }
        let url = Arc::clone(self.shifts.url());
        tokio::task::spawn_blocking(move || migrations::apply(&url))
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
        self.run(|workers| &workers.probes, (), |connection, _| migrations::pending(connection)).await?
    }

    /// How many connections there are at this moment.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        self.shifts.workers().pool.state()
    }

    /// How many operations of each kind wait for a thread.
    #[must_use]
    pub fn queue_lengths(&self) -> [(&'static str, usize); 8] {
        let workers = self.shifts.workers();
        let [finds, registrations, replacements] = workers.lanes.queue_lengths();
        [
            ("user_reads", finds),
            ("registrations", registrations),
            ("updates", replacements),
            ("pages", workers.pages.len()),
            ("key_first_uses", workers.lanes.keys.of(KeyLookup::FirstUse).len()),
            ("key_refreshes", workers.lanes.keys.of(KeyLookup::Refresh).len()),
            ("admin_writes", workers.orders.len()),
            ("probes", workers.probes.len()),
        ]
    }

    /// Reads on behalf of a partner. It is done again where the connection is lost.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        partner_id: PartnerId,
        mut job: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(|workers| &workers.pages, partner_id, move |connection, _| job(connection)).await
    }

    /// Reads on behalf of the service. It is done again where the connection is lost.
    pub(crate) async fn look_up<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut PgConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(|workers| &workers.look_ups, (), move |connection, _| job(connection)).await
    }

    /// Does the job on the thread that writes. It is done again where the connection is lost, so it must be harmless
    /// twice.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut PgConnection, Attempt) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let isolation = self.shifts.workers().pool.isolation;
        let job = move |connection: &mut PgConnection, attempt| isolation.run(connection, |it| job(it, attempt));
        self.run(|workers| &workers.orders, (), job).await
    }

    async fn run<K: PartialEq + Copy + Send + 'static, T: Send + 'static>(
        &self,
        jobs: impl FnOnce(&Workers) -> &Jobs<Arc<Pool>, K>,
        owner: K,
        job: impl FnMut(&mut PgConnection, Attempt) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let workers = self.shifts.workers();
        let done = jobs(&workers).run(owner, move |pool: &Arc<Pool>| pool.run(job)).await;
        let done = done.map_err(|refused| self.shifts.refusal(&workers, refused))??;
        done.map_err(|error| store_error(&error))
    }

    /// Has an operation answered together with others of its kind.
    pub(crate) async fn call<O: Operation<Arc<Pool>>>(
        &self,
        lane: impl FnOnce(&Lanes) -> &Lane<Arc<Pool>, O>,
        operation: O,
    ) -> Result<O::Answer, StoreError> {
        let workers = self.shifts.workers();
        let answer = lane(&workers.lanes).call(operation).await;
        answer.map_err(|refused| self.shifts.refusal(&workers, refused))
    }
}

fn lacking(migrations: usize) -> String {
    format!("the database lacks {migrations} migration{}", if migrations == 1 { "" } else { "s" })
}

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{
    Connection, PgConnection, QueryResult, connection::CacheSize, connection::SimpleConnection, r2d2::R2D2Connection,
};
use signet_domain::ports::StoreError;

use crate::{
    errors::{is_connection_lost, store_error, unavailable},
    isolation::Isolation,
    url::ConnectionUrl,
};

/// How long a thread waits for a connection while the database is away: r2d2's own half minute would hold the requests
/// of an outage long after its end.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection is kept. A former primary that is only read from shows nothing by which it could be known; so
/// reads leave it after this time at the latest, and the next probe or write leaves it at once.
const MAX_LIFETIME: Duration = Duration::from_mins(5);

/// How long a statement waits for a lock: one partner's row that somebody holds must not keep the thread that writes
/// from the other partners until their deadlines. An ordinary holder commits within milliseconds.
fn lock_timeout(deadline: Duration) -> Duration {
    deadline / 8
}

/// How many connections there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Open ones, those in use included.
    pub connections: u32,
    /// Those of them that wait for work.
    pub idle: u32,
    /// The most there may be.
    pub limit: u32,
}

/// Whether a job is done for the first time, or again because a connection was lost while it was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Second,
}

/// The connections, and the rule by which they are given up: never asked whether they live (a round trip each time),
/// but all thrown away as soon as one turns out to be dead, because a restart has killed the idle ones with it.
pub(crate) struct Pool {
    connections: r2d2::Pool<Manager>,
    generation: Arc<AtomicU64>,
    deadline: Duration,
    pub(crate) isolation: Isolation,
}

/// A connection, and the generation it belongs to: r2d2 drops those of a past one when they come back.
pub(crate) struct Session {
    connection: PgConnection,
    generation: u64,
}

struct Manager {
    url: Arc<ConnectionUrl>,
    /// What a new connection runs, if anything.
    setup: Option<String>,
    generation: Arc<AtomicU64>,
    log: OutageLog,
}

#[derive(Debug)]
struct ManagerError(String);

impl fmt::Display for ManagerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ManagerError {}

impl r2d2::ManageConnection for Manager {
    type Connection = Session;
    type Error = ManagerError;

    fn connect(&self) -> Result<Session, ManagerError> {
        let failed = |message: String| ManagerError(self.url.hide(&message));
        let generation = self.generation.load(Ordering::SeqCst);
        let mut connection = PgConnection::establish(self.url.as_str()).map_err(|error| failed(error.to_string()))?;
        match &self.setup {
            Some(setup) => connection.batch_execute(setup).map_err(|error| failed(error.to_string()))?,
            None => connection.set_prepared_statement_cache_size(CacheSize::Disabled),
        }
        self.log.connected();
        Ok(Session { connection, generation })
    }

    fn is_valid(&self, _session: &mut Session) -> Result<(), ManagerError> {
        Ok(())
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        std::thread::panicking()
            || session.generation != self.generation.load(Ordering::SeqCst)
            || session.connection.is_broken()
    }
}

/// Logs the first refusal of an outage and its end, not the attempts between them, several a second.
#[derive(Debug, Clone, Default)]
struct OutageLog {
    is_away: Arc<AtomicBool>,
}

impl OutageLog {
    fn connected(&self) {
        if self.is_away.swap(false, Ordering::SeqCst) {
            tracing::info!("connected to the database again");
        }
    }
}

impl r2d2::HandleError<ManagerError> for OutageLog {
    fn handle_error(&self, error: ManagerError) {
        if self.is_away.swap(true, Ordering::SeqCst) {
            tracing::debug!(reason = %error, "still cannot connect to the database");
        } else {
            tracing::warn!(reason = %error, "cannot connect to the database");
        }
    }
}

/// What a session runs first, in one round trip. Whatever the URL, the role or the database says stands, but for the
/// isolation: the statements rely on READ COMMITTED, where whoever waited for a lock sees what its holder left.
///
/// - The timeouts are all off by default. A statement that runs longer than the deadline has no caller any more, and
///   one that waits for a lock keeps a thread from the others.
/// - The plans of the prepared statements are made once per connection, perhaps while a table is still empty. Without
///   sequential scans that plan is right for a table of any size; all statements are served by an index.
fn setup(deadline: Duration) -> String {
    format!(
        "SELECT set_config(name, value, false) FROM (VALUES \
         ('statement_timeout', '{}'), ('lock_timeout', '{}'), \
         ('idle_in_transaction_session_timeout', '10000'), ('default_transaction_isolation', 'read committed'), \
         ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('jit', 'off')) \
         AS wanted (name, value) JOIN pg_settings USING (name) \
         WHERE source NOT IN ('client', 'user', 'database', 'database user') \
         OR name = 'default_transaction_isolation'",
        deadline.as_millis(),
        lock_timeout(deadline).as_millis()
    )
}

impl Pool {
    /// Starts to connect in the background; works, too, where the database is away.
    pub(crate) fn start(url: Arc<ConnectionUrl>, size: u32, deadline: Duration, statement_cache: bool) -> Self {
        let generation = Arc::new(AtomicU64::new(0));
        let log = OutageLog::default();
        let manager = Manager {
            url,
            // Behind a pooler that shares server sessions, a setting would leak to whoever comes next.
            setup: statement_cache.then(|| setup(deadline)),
            generation: Arc::clone(&generation),
            log: log.clone(),
        };
        let connections = r2d2::Pool::builder()
            .max_size(size)
            .connection_timeout(CHECKOUT_TIMEOUT.min(deadline / 2))
            .max_lifetime(Some(MAX_LIFETIME))
            .test_on_check_out(false)
            .error_handler(Box::new(log))
            .build_unchecked(manager);
        let isolation = if statement_cache { Isolation::OfSession } else { Isolation::OfTransaction };
        Self { connections, generation, deadline, isolation }
    }

    pub(crate) fn state(&self) -> PoolState {
        let state = self.connections.state();
        PoolState { connections: state.connections, idle: state.idle_connections, limit: self.connections.max_size() }
    }

    /// Whether work that was begun then has already taken as long as it may keep others waiting.
    pub(crate) fn took_long(&self, begun: Instant) -> bool {
        begun.elapsed() >= lock_timeout(self.deadline)
    }

    /// Does the job on a connection, and once more on a fresh one where that was lost, unless nobody can be waiting for
    /// it any more. An error of the job on a connection that lives is inside.
    pub(crate) fn run<T>(
        &self,
        mut job: impl FnMut(&mut PgConnection, Attempt) -> QueryResult<T>,
    ) -> Result<QueryResult<T>, StoreError> {
        let begun = Instant::now();
        let mut attempt = Attempt::First;
        loop {
            let mut session = self.checkout()?;
            match job(&mut session.connection, attempt) {
                Err(error) if is_connection_lost(&error) => {
                    self.give_up(session.generation);
                    if attempt == Attempt::Second || begun.elapsed() >= self.deadline {
                        return Err(store_error(&error));
                    }
                    attempt = Attempt::Second;
                }
                done => return Ok(done),
            }
        }
    }

    fn checkout(&self) -> Result<r2d2::PooledConnection<Manager>, StoreError> {
        loop {
            let session = self.connections.get().map_err(|error| unavailable(error.to_string()))?;
            if session.generation == self.generation.load(Ordering::SeqCst) {
                return Ok(session);
            }
            // Dropped here, it goes back to r2d2, which finds it broken.
        }
    }

    /// Ends a generation. Two threads that lose their connections to one restart end it once.
    fn give_up(&self, generation: u64) {
        // An error means that somebody else was first.
        let _ = self.generation.compare_exchange(generation, generation + 1, Ordering::SeqCst, Ordering::SeqCst);
    }
}

//! The threads with their connections, and others in their place where a database freezes.

use std::{
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use signet_domain::{PartnerId, ports::StoreError};
use signet_turn::{Jobs, Limits, Refused, Turn};

use crate::{PostgresOptions, errors::unavailable, pool::Pool, url::ConnectionUrl, users::Lanes};

/// How many deadlines a thread may be at one batch before it counts as stuck. A living server ends each statement at
/// the deadline, and none is begun after it but for the second attempts.
const STUCK_AFTER: u32 = 4;

/// How many may be stuck and not have come back before no others are put in their place: a server that takes
/// connections and freezes on each of them must not be given ever more.
const LEFT_AT_MOST: usize = 4;

/// Threads with a connection each, and the queues before them.
pub(crate) struct Workers {
    /// What a partner reads, but for single users.
    pub(crate) pages: Jobs<Arc<Pool>, PartnerId>,
    /// Look-ups of the service itself except keys: which partners there are.
    pub(crate) look_ups: Jobs<Arc<Pool>, ()>,
    /// Apart from all else, or a queue full of requests would hide that the database is away.
    pub(crate) probes: Jobs<Arc<Pool>, ()>,
    /// What an operator changes.
    pub(crate) orders: Jobs<Arc<Pool>, ()>,
    pub(crate) lanes: Lanes,
    pub(crate) pool: Arc<Pool>,
    reads: Turn<Arc<Pool>>,
    writes: Turn<Arc<Pool>>,
}

impl Workers {
    fn start(url: &Arc<ConnectionUrl>, options: PostgresOptions) -> std::io::Result<Self> {
        let threads = options.threads.max(1);
        let size = u32::try_from(threads + 1).unwrap_or(u32::MAX);
        let pool = Arc::new(Pool::start(Arc::clone(url), size, options.deadline, options.statement_cache));
        let limits = Limits { threads, queue: options.queue, deadline: options.deadline };
        let reads = Turn::start("postgres-read", limits, Arc::clone(&pool))?;
        let writes = Turn::start("postgres-write", Limits { threads: 1, ..limits }, Arc::clone(&pool))?;
        Ok(Self {
            pages: reads.jobs(),
            look_ups: reads.jobs(),
            probes: reads.jobs(),
            orders: writes.jobs(),
            lanes: Lanes::new(&reads, &writes, options.queue),
            pool,
            reads,
            writes,
        })
    }

    fn are_stuck(&self, deadline: Duration) -> bool {
        self.reads.busy_for().max(self.writes.busy_for()) > deadline * STUCK_AFTER
    }
}

/// Those who work at the moment.
///
/// A `PostgreSQL` that is frozen while its kernel still answers holds whoever waits for it, whatever libpq's timeouts
/// say. Its callers are answered at their deadlines; but where another server has taken over, somebody has to go there.
/// So other threads with other connections take the place of those that are stuck, which end as soon as they come back.
pub(crate) struct Shifts {
    url: Arc<ConnectionUrl>,
    options: PostgresOptions,
    now: RwLock<Shift>,
}

struct Shift {
    workers: Arc<Workers>,
    /// The connections of earlier ones, for as long as a thread is stuck with one of them.
    left: Vec<Weak<Pool>>,
}

impl Shifts {
    pub(crate) fn start(url: ConnectionUrl, options: PostgresOptions) -> std::io::Result<Self> {
        let url = Arc::new(url);
        let workers = Arc::new(Workers::start(&url, options)?);
        Ok(Self { url, options, now: RwLock::new(Shift { workers, left: Vec::new() }) })
    }

    pub(crate) fn url(&self) -> &Arc<ConnectionUrl> {
        &self.url
    }

    pub(crate) fn workers(&self) -> Arc<Workers> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).workers)
    }

    /// What the caller of an operation is told that got no answer; and the moment to look whether it was the last one
    /// that those workers could be asked for.
    pub(crate) fn refusal(&self, workers: &Arc<Workers>, refused: Refused) -> StoreError {
        match refused {
            Refused::Overloaded => StoreError::Overloaded,
            Refused::DeadlineExceeded => {
                if workers.are_stuck(self.options.deadline) {
                    self.replace(workers);
                }
                unavailable(refused.to_string())
            }
            // A panic: a defect of ours, and no condition of the database.
            Refused::Abandoned => StoreError::Unexpected { reason: refused.to_string() },
        }
    }

    fn replace(&self, stuck: &Arc<Workers>) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        now.left.retain(|pool| pool.strong_count() > 0);
        if !Arc::ptr_eq(&now.workers, stuck) || now.left.len() >= LEFT_AT_MOST {
            return;
        }
        match Workers::start(&self.url, self.options) {
            Ok(others) => {
                tracing::warn!("the database does not answer the threads that wait for it: others go to it anew");
                now.left.push(Arc::downgrade(&stuck.pool));
                now.workers = Arc::new(others);
            }
            Err(error) => tracing::warn!(reason = %error, "cannot start other database threads"),
        }
    }
}

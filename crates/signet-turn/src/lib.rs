//! A small number of threads that do the blocking work of an adapter: bounded in threads, in what waits and in time.
//!
//! An async worker hands an operation over and awaits its answer; it never blocks. A thread that becomes free takes
//! *everything* that waits, up to [`Operation::MAX_BATCH`], and answers it at once: with one statement, or in one
//! transaction. There are no timers: a batch forms only while the threads are busy, so a lone request waits for nothing,
//! and the busier the database, the cheaper each request becomes.
//!
//! A batch is invisible to its members. Each has its own answer and its own deadline; an operation whose caller went
//! away, or whose deadline has passed, is not started; a batch that fails is answered member by member. A thread stuck
//! in a frozen database does not hold its callers: they are answered at the deadline, by the clock of the runtime and
//! not of the database.
//!
//! ```
//! use std::time::Duration;
//! use signet_turn::{Limits, Operation, Turn};
//!
//! struct Square(u64);
//!
//! // The resource that the threads share is `()` here, and a connection pool in an adapter.
//! impl Operation<()> for Square {
//!     type Answer = u64;
//!     type Owner = ();
//!     fn owner(&self) {}
//!     fn answer(batch: &[&Self], (): &()) -> Option<Vec<u64>> {
//!         Some(batch.iter().map(|square| square.0 * square.0).collect())
//!     }
//!     fn answer_alone(&self, (): &()) -> u64 {
//!         self.0 * self.0
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let limits = Limits { threads: 2, queue: 1024, deadline: Duration::from_secs(2) };
//! let turn = Turn::start("squares", limits, ()).expect("threads");
//! let squares = turn.lane::<Square>();
//! let (three, four) = tokio::join!(squares.call(Square(3)), squares.call(Square(4)));
//! assert_eq!((three, four), (Ok(9), Ok(16)));
//! # });
//! ```
#![deny(missing_docs)]

mod bell;
mod fair;
mod job;
mod lane;
mod threads;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

pub use lane::Lane;

use job::Job;
use threads::Threads;

/// How much a [`Turn`] may hold at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many threads work.
    pub threads: usize,
    /// How many operations may wait in each lane; one more is refused at once.
    pub queue: usize,
    /// How long a caller waits for its answer, the time in the queue included.
    pub deadline: Duration,
}

/// Why an operation gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much waits already; the operation was never started.
    #[error("too many operations wait")]
    Overloaded,
    /// No answer in time; the operation may or may not have had its effect.
    #[error("no answer before the deadline")]
    DeadlineExceeded,
    /// The operation panicked; it may or may not have had its effect.
    #[error("the operation ended without an answer")]
    Abandoned,
}

/// Something that can be answered many at a time, with a resource `R`.
pub trait Operation<R>: Send + 'static {
    /// What its caller gets.
    type Answer: Send + 'static;

    /// Who must not be starved by the others of the same lane: a tenant.
    type Owner: PartialEq + Copy;

    /// How many are answered together at most.
    const MAX_BATCH: usize = 64;

    /// On whose behalf the operation is done.
    fn owner(&self) -> Self::Owner;

    /// Answers all of them, two at least, in their order; or `None` where that failed **without any effect**: then
    /// each is answered alone.
    fn answer(batch: &[&Self], resource: &R) -> Option<Vec<Self::Answer>>;

    /// Answers a single one.
    fn answer_alone(&self, resource: &R) -> Self::Answer;
}

/// Threads that share a resource `R` (a connection pool, say) and answer operations with it.
///
/// Dropping the last handle, lanes included, lets the threads finish what waits and end.
pub struct Turn<R: 'static> {
    threads: Arc<Threads<R>>,
    jobs: Lane<R, Job<R>>,
}

impl<R: Send + Sync + 'static> Turn<R> {
    /// Starts the threads. Fails where the system has no thread left.
    pub fn start(name: &str, limits: Limits, resource: R) -> std::io::Result<Self> {
        let threads = Threads::start(name, limits, resource)?;
        let jobs = Lane::new(&threads);
        Ok(Self { threads, jobs })
    }

    /// A new queue for operations of one kind.
    #[must_use]
    pub fn lane<O: Operation<R>>(&self) -> Lane<R, O> {
        Lane::new(&self.threads)
    }

    /// Has a thread do `job`, by itself, and returns its answer, at the deadline at the latest.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&R) -> T + Send + 'static) -> Result<T, Refused> {
        let (job, answer) = Job::new(job);
        self.jobs.call(job).await?;
        answer.take().ok_or(Refused::Abandoned)
    }
}

impl<R: 'static> Clone for Turn<R> {
    fn clone(&self) -> Self {
        Self { threads: Arc::clone(&self.threads), jobs: self.jobs.clone() }
    }
}

impl<R: 'static> fmt::Debug for Turn<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Turn").field("limits", &self.threads.limits()).finish_non_exhaustive()
    }
}

//! A small number of threads that do the blocking work of an adapter: bounded in threads, in what waits and in time.
//!
//! An async worker hands an operation over and awaits its answer; it never blocks. A thread that becomes free takes
//! *everything* that waits, up to [`Operation::MAX_BATCH`], and answers it at once: with one statement, or in one
//! transaction. There are no timers: a batch forms only while the threads are busy, so a lone request waits for nothing,
//! and the busier the database, the cheaper each request becomes.
//!
//! A batch is invisible to its members. Each has its own answer and its own deadline; an operation whose caller went
//! away, or whose deadline has passed, is not started and keeps no place from another; a batch that fails is answered
//! owner by owner, and where that fails, member by member. A thread stuck in a frozen database does not hold its callers:
//! they are answered at the deadline, by the clock of the runtime and not of the database.
//!
//! Each lane has a queue of its own, and the lanes take turns: what must get through (a probe, say) gets a lane that
//! nobody else can fill.
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
mod pace;
mod postbox;
mod threads;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

pub use job::Jobs;
pub use lane::Lane;

use threads::Threads;

/// How much a [`Turn`] may hold at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many threads work.
    pub threads: usize,
    /// How many operations may wait in each lane; one more is refused at once. One owner may take half of the places.
    /// There are fewer places where the threads are slow: as many as they empty within half of the deadline, or take
    /// next.
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

    /// Who must not be starved by the others of the same lane: a tenant. `()` where nobody needs to be told apart.
    type Owner: PartialEq + Copy + Send;

    /// How many are answered together at most.
    const MAX_BATCH: usize = 64;

    /// On whose behalf the operation is done.
    fn owner(&self) -> Self::Owner;

    /// Answers them, two at least, in their order; or `None` where that failed **without any effect**: then they are
    /// asked for again in smaller batches, of one owner each, and at last each alone. It may answer the first of them
    /// only, one at least, and is asked for the others next.
    fn answer(batch: &[&Self], resource: &R) -> Option<Vec<Self::Answer>>;

    /// Answers a single one.
    fn answer_alone(&self, resource: &R) -> Self::Answer;
}

/// Threads that share a resource `R` (a connection pool, say) and answer operations with it.
///
/// Dropping the last handle, lanes included, lets the threads finish what waits and end.
pub struct Turn<R: 'static>(Arc<Threads<R>>);

impl<R: Send + Sync + 'static> Turn<R> {
    /// Starts the threads. Fails where the system has no thread left.
    pub fn start(name: &str, limits: Limits, resource: R) -> std::io::Result<Self> {
        Threads::start(name, limits, resource).map(Self)
    }

    /// A new queue for operations of one kind.
    #[must_use]
    pub fn lane<O: Operation<R>>(&self) -> Lane<R, O> {
        Lane::new(&self.0, self.0.limits().queue)
    }

    /// A new queue for operations of one kind, with its own bound in place of [`Limits::queue`].
    #[must_use]
    pub fn lane_of<O: Operation<R>>(&self, queue: usize) -> Lane<R, O> {
        Lane::new(&self.0, queue)
    }

    /// A new queue for closures on behalf of owners of the type `K`.
    #[must_use]
    pub fn jobs<K: PartialEq + Copy + Send + 'static>(&self) -> Jobs<R, K> {
        Jobs::new(&self.0)
    }

    /// For how long a thread has been at the batch that it took last, if any has: of all threads, the longest.
    #[must_use]
    pub fn busy_for(&self) -> Duration {
        self.0.busy_for()
    }
}

impl<R: 'static> Clone for Turn<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: 'static> fmt::Debug for Turn<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Turn").field("limits", &self.0.limits()).finish_non_exhaustive()
    }
}

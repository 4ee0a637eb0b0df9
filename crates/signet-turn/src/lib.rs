//! A small number of threads that do the blocking work of an adapter: bounded in threads, in what waits and in time.
//!
//! An async worker hands a job over and awaits its answer; it never blocks. A job whose caller has gone away, or whose
//! deadline has passed, is not started. A thread stuck in a frozen database does not hold its callers: they are
//! answered at the deadline, by the clock of the runtime and not of the database.
#![deny(missing_docs)]

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// How much a [`Turn`] may hold at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many threads work.
    pub threads: usize,
    /// How many jobs may wait for a thread; one more is refused at once.
    pub queue: usize,
    /// How long a caller waits for its answer, the time in the queue included.
    pub deadline: Duration,
}

/// Why a job gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full; the job was never started.
    #[error("too many jobs wait")]
    Overloaded,
    /// No answer in time; the job may or may not have had its effect.
    #[error("no answer before the deadline")]
    DeadlineExceeded,
    /// The job panicked, or the threads are gone; it may or may not have had its effect.
    #[error("the job ended without an answer")]
    Abandoned,
}

type Job<R> = Box<dyn FnOnce(&R) + Send>;

/// Threads that share a resource `R` (a connection pool, say) and do jobs with it in the order of their arrival.
///
/// Dropping the last clone lets the threads finish what waits and end.
pub struct Turn<R> {
    jobs: SyncSender<Job<R>>,
    deadline: Duration,
}

impl<R> Clone for Turn<R> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), deadline: self.deadline }
    }
}

impl<R> fmt::Debug for Turn<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Turn").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl<R: Send + Sync + 'static> Turn<R> {
    /// Starts the threads. Fails where the system has no thread left.
    pub fn start(name: &str, limits: Limits, resource: R) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job<R>>(limits.queue);
        let waiting = Arc::new(Mutex::new(waiting));
        let resource = Arc::new(resource);
        for number in 0..limits.threads.max(1) {
            let (waiting, resource) = (Arc::clone(&waiting), Arc::clone(&resource));
            thread::Builder::new().name(format!("{name}-{number}")).spawn(move || work(&waiting, &*resource))?;
        }
        Ok(Self { jobs, deadline: limits.deadline })
    }

    /// Has a thread do `job` and returns its answer, at the deadline at the latest.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce(&R) -> T + Send + 'static) -> Result<T, Refused> {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + self.deadline;
        let job: Job<R> = Box::new(move |resource| {
            if !answer.is_closed() && Instant::now() < deadline {
                // A caller that went away while the job ran needs no answer.
                drop(answer.send(job(resource)));
            }
        });
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => Refused::Overloaded,
            TrySendError::Disconnected(_) => Refused::Abandoned,
        })?;
        match tokio::time::timeout_at(deadline.into(), answered).await {
            Ok(Ok(answer)) => Ok(answer),
            // The thread found the deadline passed a moment before the runtime did.
            Ok(Err(_)) if Instant::now() >= deadline => Err(Refused::DeadlineExceeded),
            Ok(Err(_)) => Err(Refused::Abandoned),
            Err(_) => Err(Refused::DeadlineExceeded),
        }
    }
}

fn work<R>(waiting: &Mutex<Receiver<Job<R>>>, resource: &R) {
    loop {
        // The lock covers the wait and not the work: one thread waits in `recv`, the others for the lock.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A panic ends its job, whose caller sees `Abandoned`; the thread lives on for the others.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(resource))));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn turn(queue: usize, deadline: Duration) -> Turn<()> {
        Turn::start("test", Limits { threads: 1, queue, deadline }, ()).expect("threads")
    }

    const AMPLE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_job_answers() {
        assert_eq!(turn(1, AMPLE).run(|()| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_ends_its_job_alone() {
        let turn = turn(1, AMPLE);
        assert_eq!(turn.run(|()| panic!("on purpose")).await, Err::<(), _>(Refused::Abandoned));
        assert_eq!(turn.run(|()| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_stuck_thread_holds_nobody_past_the_deadline() {
        let (release, stuck) = channel::<()>();
        let turn = turn(8, Duration::from_millis(50));
        assert_eq!(turn.run(move |()| stuck.recv()).await, Err(Refused::DeadlineExceeded));
        assert_eq!(turn.run(|()| 7).await, Err(Refused::DeadlineExceeded), "behind the stuck one");
        drop(release);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_an_abandoned_job_is_not_started() {
        let (release, stuck) = channel::<()>();
        let (started, running) = channel::<()>();
        let turn = turn(1, AMPLE);
        let blocker = tokio::spawn({
            let turn = turn.clone();
            async move {
                turn.run(move |()| {
                    drop(started.send(()));
                    stuck.recv()
                })
                .await
            }
        });
        tokio::task::yield_now().await;
        running.recv().expect("the blocker runs");

        let (touched, not_started) = channel::<()>();
        let mut waiting = Box::pin(turn.run(move |()| touched.send(())));
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context).is_pending()));
        assert!(polled.await, "waits in the queue");
        assert_eq!(turn.run(|()| 7).await, Err(Refused::Overloaded));

        drop(waiting);
        drop(release);
        assert!(blocker.await.expect("joins").is_ok());
        assert!(not_started.recv().is_err(), "dropped without running");
    }
}

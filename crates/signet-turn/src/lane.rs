use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::oneshot;

use crate::{
    Limits, Operation, Refused,
    bell::Bell,
    fair,
    threads::{Threads, Waiting, Work},
};

/// A queue of operations of one kind, and the way to have them answered.
pub struct Lane<R, O: Operation<R>> {
    queue: Arc<Queue<R, O>>,
    threads: Arc<Threads<R>>,
}

struct Queue<R, O: Operation<R>> {
    state: Mutex<State<O, O::Answer>>,
    resource: PhantomData<fn(&R)>,
}

struct State<O, A> {
    waiting: VecDeque<Member<O, A>>,
    /// Whether the threads know that something waits here.
    enlisted: bool,
}

struct Member<O, A> {
    operation: O,
    deadline: Instant,
    answer: oneshot::Sender<A>,
}

impl<R: 'static, O: Operation<R>> Lane<R, O> {
    pub(crate) fn new(threads: &Arc<Threads<R>>) -> Self {
        let state = State { waiting: VecDeque::new(), enlisted: false };
        let queue = Queue { state: Mutex::new(state), resource: PhantomData };
        Self { queue: Arc::new(queue), threads: Arc::clone(threads) }
    }

    /// The answer to `operation`, at the deadline at the latest. Needs a Tokio runtime with its timer.
    ///
    /// A future that is dropped takes its operation out, unless that was started already.
    pub async fn call(&self, operation: O) -> Result<O::Answer, Refused> {
        let (answer, answered) = oneshot::channel();
        let Limits { queue, deadline, .. } = self.threads.limits();
        let deadline = Instant::now() + deadline;
        if self.queue.push(Member { operation, deadline, answer }, queue)? && self.threads.enlist(self.queue.clone()) {
            Bell::new(|| self.threads.ring()).await;
        }
        match tokio::time::timeout_at(deadline.into(), answered).await {
            Ok(Ok(answer)) => Ok(answer),
            // A thread found the deadline passed a moment before the runtime did.
            Ok(Err(_)) if Instant::now() >= deadline => Err(Refused::DeadlineExceeded),
            Ok(Err(_)) => Err(Refused::Abandoned),
            Err(_) => Err(Refused::DeadlineExceeded),
        }
    }
}

impl<R, O: Operation<R>> Queue<R, O> {
    fn lock(&self) -> MutexGuard<'_, State<O, O::Answer>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the lane must be enlisted now.
    fn push(&self, member: Member<O, O::Answer>, limit: usize) -> Result<bool, Refused> {
        let mut state = self.lock();
        if state.waiting.len() >= limit / 2 {
            // Half of the places are for those who have few: one owner's flood must not have the others refused.
            let owner = member.operation.owner();
            let own = state.waiting.iter().filter(|waiting| waiting.operation.owner() == owner).count();
            if state.waiting.len() >= limit || own >= limit.div_ceil(2) {
                return Err(Refused::Overloaded);
            }
        }
        state.waiting.push_back(member);
        Ok(!std::mem::replace(&mut state.enlisted, true))
    }
}

impl<R, O: Operation<R>> Waiting<R> for Queue<R, O> {
    fn take(&self) -> (Work<'_, R>, bool) {
        let mut state = self.lock();
        let batch = fair::take(&mut state.waiting, O::MAX_BATCH, |member| member.operation.owner());
        let more = !state.waiting.is_empty();
        state.enlisted = more;
        (Box::new(move |resource| answer(batch, resource)), more)
    }
}

fn answer<R, O: Operation<R>>(mut batch: Vec<Member<O, O::Answer>>, resource: &R) {
    batch.retain(|member| member.is_wanted(Instant::now()));
    if batch.len() > 1 {
        let operations: Vec<&O> = batch.iter().map(|member| &member.operation).collect();
        match unless_panics(|| O::answer(&operations, resource)) {
            Some(Some(answers)) => {
                return batch.into_iter().zip(answers).for_each(|(member, answer)| member.send(answer));
            }
            Some(None) => {}
            // Nobody knows what it did, so nothing is done twice: the callers see `Abandoned`.
            None => return,
        }
    }
    for member in batch {
        if member.is_wanted(Instant::now())
            && let Some(answer) = unless_panics(|| member.operation.answer_alone(resource))
        {
            member.send(answer);
        }
    }
}

/// A panic ends what panicked; the thread lives on for the others.
fn unless_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl<O, A> Member<O, A> {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.answer.is_closed() && now < self.deadline
    }

    fn send(self, answer: A) {
        // A caller that went away meanwhile needs no answer.
        drop(self.answer.send(answer));
    }
}

impl<R, O: Operation<R>> Clone for Lane<R, O> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), threads: Arc::clone(&self.threads) }
    }
}

impl<R, O: Operation<R>> fmt::Debug for Lane<R, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lane").field("limits", &self.threads.limits()).finish_non_exhaustive()
    }
}

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Instant,
};

use tokio::sync::oneshot;

use crate::{
    Limits, Operation, Refused,
    bell::Bell,
    fair::Shares,
    pace::Pace,
    postbox::Postbox,
    threads::{Threads, Waiting, Work},
};

/// A queue of operations of one kind, and the way to have them answered.
pub struct Lane<R, O: Operation<R>> {
    queue: Arc<Queue<R, O>>,
    threads: Arc<Threads<R>>,
    /// How many may wait.
    bound: usize,
}

struct Queue<R, O: Operation<R>> {
    state: Mutex<State<R, O>>,
}

struct State<R, O: Operation<R>> {
    waiting: Shares<O::Owner, Member<R, O>>,
    enlisted: Enlisted,
    pace: Pace,
}

/// Whether the threads know that something waits here.
#[derive(Clone, Copy, PartialEq)]
enum Enlisted {
    No,
    /// They do, and one that sleeps will be woken at the end of that worker's turn.
    By(ThreadId),
    /// They do, and need no waking any more.
    Rung,
}

/// What is left to do for whoever handed an operation over.
enum Next {
    Nothing,
    RingAfterThisTurn,
    RingNow,
}

struct Member<R, O: Operation<R>> {
    operation: O,
    deadline: Instant,
    answer: oneshot::Sender<Result<O::Answer, Refused>>,
    caller: Postbox,
}

impl<R: 'static, O: Operation<R>> Lane<R, O> {
    pub(crate) fn new(threads: &Arc<Threads<R>>, bound: usize) -> Self {
        let state = State { waiting: Shares::new(), enlisted: Enlisted::No, pace: Pace::default() };
        let queue = Queue { state: Mutex::new(state) };
        Self { queue: Arc::new(queue), threads: Arc::clone(threads), bound }
    }

    /// The answer to `operation`, at the deadline at the latest. Needs a Tokio runtime with its timer.
    ///
    /// The operation of a future that is dropped is not started any more, and gives up its place in the queue as soon
    /// as another wants it.
    pub async fn call(&self, operation: O) -> Result<O::Answer, Refused> {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant::now() + self.threads.limits().deadline;
        let worker = thread::current().id();
        match self.push(Member { operation, deadline, answer, caller: Postbox::here() }, worker)? {
            Next::Nothing => {}
            Next::RingNow => self.threads.ring(),
            Next::RingAfterThisTurn => {
                Bell::new(|| {
                    if self.queue.lock().enlisted == Enlisted::By(worker) {
                        self.threads.ring();
                    }
                })
                .await;
            }
        }
        match tokio::time::timeout_at(deadline.into(), answered).await {
            Ok(Ok(answer)) => answer,
            // A thread found the deadline passed a moment before the runtime did.
            Ok(Err(_)) if Instant::now() >= deadline => Err(Refused::DeadlineExceeded),
            Ok(Err(_)) => Err(Refused::Abandoned),
            Err(_) => Err(Refused::DeadlineExceeded),
        }
    }

    /// How many operations wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.lock().waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&self, member: Member<R, O>, worker: ThreadId) -> Result<Next, Refused> {
        let Limits { threads, deadline, .. } = self.threads.limits();
        let owner = member.operation.owner();
        let mut state = self.queue.lock();
        // Whoever would wait for longer is better told at once than at its deadline; and where those are taken first
        // whose deadline is next, all answers come too late.
        let limit = state.pace.within(deadline / 2, threads * O::MAX_BATCH, self.bound);
        if is_full(&state.waiting, &owner, limit) {
            // While the threads are stuck, nobody takes out those whose callers have given up.
            let now = Instant::now();
            state.waiting.retain(|member| member.is_wanted(now));
            if is_full(&state.waiting, &owner, limit) {
                // The floods of a few owners must not have an owner refused that has less than its share.
                let has_share = state.waiting.len_of(&owner) >= limit.div_ceil(2);
                let displaced = if has_share { None } else { state.waiting.make_room_for(&owner) };
                displaced.ok_or(Refused::Overloaded)?.refuse();
            }
        }
        state.waiting.push(owner, member);
        Ok(match state.enlisted {
            Enlisted::No => {
                state.enlisted = Enlisted::By(worker);
                // Before the lock is released: whoever rings must find the lane in line.
                if self.threads.enlist(self.queue.clone()) { Next::RingAfterThisTurn } else { Next::Nothing }
            }
            // Another worker's turn may be long.
            Enlisted::By(other) if other != worker => {
                state.enlisted = Enlisted::Rung;
                Next::RingNow
            }
            Enlisted::By(_) | Enlisted::Rung => Next::Nothing,
        })
    }
}

/// Half of the places are for those who have few: one owner's flood must not have the others refused. Where the type
/// has one value only, there are no others.
///
/// Several owners can fill all of it together. Then the one that has the most gives up its latest place to one that has less.
fn is_full<R, O: Operation<R>>(waiting: &Shares<O::Owner, Member<R, O>>, owner: &O::Owner, limit: usize) -> bool {
    let has_others = size_of::<O::Owner>() > 0;
    waiting.len() >= limit || (has_others && waiting.len_of(owner) >= limit.div_ceil(2))
}

impl<R, O: Operation<R>> Queue<R, O> {
    fn lock(&self) -> MutexGuard<'_, State<R, O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R, O: Operation<R>> Waiting<R> for Queue<R, O> {
    fn take(&self) -> (Work<'_, R>, bool) {
        let mut state = self.lock();
        let batch = state.waiting.take(O::MAX_BATCH);
        let more = state.waiting.len() > 0;
        let now = Instant::now();
        let wanted = batch.iter().filter(|member| member.is_wanted(now)).count();
        state.pace.note(now, wanted, more);
        state.enlisted = if more { Enlisted::Rung } else { Enlisted::No };
        // The members of a batch cost about the same, and share one statement. Where each is answered alone, one may be a
        // thousand times as expensive as another (a page of a hundred large rows, a page of one small row), and only the
        // time it took tells.
        let alone = batch.first().filter(|_| O::MAX_BATCH == 1).map(|member| member.operation.owner());
        let work = move |resource: &R| {
            answer(batch, resource);
            if let Some(owner) = alone {
                self.lock().waiting.charge(&owner, now.elapsed());
            }
        };
        (Box::new(work), more)
    }
}

/// All together; where that fails, each owner's apart, so that what is wrong with one's costs another little; and
/// where that fails, one by one.
fn answer<R, O: Operation<R>>(batch: Vec<Member<R, O>>, resource: &R) {
    let mut owners = Shares::new();
    for member in together(batch, resource) {
        owners.push(member.operation.owner(), member);
    }
    let owners = owners.into_owners();
    let several = owners.len() > 1;
    for members in owners {
        let left = if several { together(members, resource) } else { members };
        for member in left {
            if member.is_wanted(Instant::now())
                && let Some(answer) = unless_panics(|| member.operation.answer_alone(resource))
            {
                member.send(answer);
            }
        }
    }
}

/// Returns those that are still to be answered.
fn together<R, O: Operation<R>>(mut batch: Vec<Member<R, O>>, resource: &R) -> Vec<Member<R, O>> {
    loop {
        let now = Instant::now();
        batch.retain(|member| member.is_wanted(now));
        if batch.len() < 2 {
            return batch;
        }
        let operations: Vec<&O> = batch.iter().map(|member| &member.operation).collect();
        match unless_panics(|| O::answer(&operations, resource)) {
            Some(Some(answers)) if !answers.is_empty() => {
                let answered = answers.len().min(batch.len());
                send(batch.drain(..answered).zip(answers));
            }
            Some(_none) => return batch,
            // Nobody knows what it did, so nothing is done twice: the callers see `Abandoned`.
            None => return Vec::new(),
        }
    }
}

/// Sends the answers of a batch, all that go to one event loop at once.
fn send<R, O: Operation<R>>(answered: impl Iterator<Item = (Member<R, O>, O::Answer)>) {
    let mut letters: Vec<(Postbox, Vec<_>)> = Vec::new();
    for (Member { caller, answer: sender, .. }, answer) in answered {
        match letters.iter_mut().find(|(known, _)| known.is_same(&caller)) {
            Some((_, letter)) => letter.push((sender, answer)),
            None => letters.push((caller, vec![(sender, answer)])),
        }
    }
    for (caller, letter) in letters {
        caller.post(|| {
            for (sender, answer) in letter {
                // A caller that went away meanwhile needs no answer.
                drop(sender.send(Ok(answer)));
            }
        });
    }
}

/// A panic ends what panicked; the thread lives on for the others.
fn unless_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

impl<R, O: Operation<R>> Member<R, O> {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.answer.is_closed() && now < self.deadline
    }

    fn send(self, answer: O::Answer) {
        // A caller that went away meanwhile needs no answer.
        drop(self.answer.send(Ok(answer)));
    }

    /// Gives its place away. The operation was never started.
    fn refuse(self) {
        drop(self.answer.send(Err(Refused::Overloaded)));
    }
}

impl<R, O: Operation<R>> Clone for Lane<R, O> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), threads: Arc::clone(&self.threads), bound: self.bound }
    }
}

impl<R, O: Operation<R>> fmt::Debug for Lane<R, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lane").field("limits", &self.threads.limits()).finish_non_exhaustive()
    }
}

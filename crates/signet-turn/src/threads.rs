use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::Limits;

/// Answers a batch with the resource.
pub(crate) type Work<'a, R> = Box<dyn FnOnce(&R) + 'a>;

/// A queue of some kind of operation, as the threads see it.
pub(crate) trait Waiting<R>: Send + Sync {
    /// Takes a batch out, and tells whether more waits.
    fn take(&self) -> (Work<'_, R>, bool);
}

/// The threads, and the lanes in which something waits.
pub(crate) struct Threads<R> {
    shared: Arc<Shared<R>>,
    limits: Limits,
}

struct Shared<R> {
    state: Mutex<State<R>>,
    wake_up: Condvar,
}

struct State<R> {
    /// Each lane at most once, in the order in which something began to wait there.
    ready: VecDeque<Arc<dyn Waiting<R>>>,
    idle: usize,
    /// Since when each thread has been at what it took last, while it is.
    busy_since: Vec<Option<Instant>>,
    closed: bool,
}

impl<R: Send + Sync + 'static> Threads<R> {
    pub(crate) fn start(name: &str, limits: Limits, resource: R) -> std::io::Result<Arc<Self>> {
        let threads = limits.threads.max(1);
        let state = State { ready: VecDeque::new(), idle: 0, busy_since: vec![None; threads], closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake_up: Condvar::new() });
        // From here on, so that a thread that cannot start takes those before it along.
        let started = Arc::new(Self { shared: Arc::clone(&shared), limits });
        let resource = Arc::new(resource);
        for number in 0..threads {
            let (shared, resource) = (Arc::clone(&shared), Arc::clone(&resource));
            thread::Builder::new().name(format!("{name}-{number}")).spawn(move || shared.work(number, &resource))?;
        }
        Ok(started)
    }
}

impl<R> Threads<R> {
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// For how long the one that has been busiest has been at what it took last.
    pub(crate) fn busy_for(&self) -> Duration {
        let earliest = self.shared.lock().busy_since.iter().flatten().min().copied();
        earliest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Puts a lane in line; tells whether a thread sleeps that [`Self::ring`] should wake.
    pub(crate) fn enlist(&self, lane: Arc<dyn Waiting<R>>) -> bool {
        let mut state = self.shared.lock();
        state.ready.push_back(lane);
        state.idle > 0
    }

    /// Wakes a thread, if one sleeps.
    pub(crate) fn ring(&self) {
        self.shared.wake_up.notify_one();
    }
}

impl<R> Drop for Threads<R> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake_up.notify_all();
    }
}

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, number: usize, resource: &R) {
        while let Some(lane) = self.next(number) {
            let (work, more) = lane.take();
            if more {
                let mut state = self.lock();
                state.ready.push_back(Arc::clone(&lane));
                if state.idle > 0 {
                    self.wake_up.notify_one();
                }
            }
            work(resource);
        }
    }

    fn next(&self, number: usize) -> Option<Arc<dyn Waiting<R>>> {
        let mut state = self.lock();
        state.busy_since[number] = None;
        loop {
            if let Some(lane) = state.ready.pop_front() {
                state.busy_since[number] = Some(Instant::now());
                return Some(lane);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            state = self.wake_up.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

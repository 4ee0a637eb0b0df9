//! One wake-up for all the answers of a batch that go to the same event loop.

use std::{cell::RefCell, sync::Arc};

use tokio::{
    runtime::{self, Handle},
    sync::mpsc,
};

/// What is to be done in an event loop.
type Letter = Box<dyn FnOnce() + Send>;

/// The way back into an event loop. Whoever wakes a task from another thread pays for a system call each time; what is
/// done in the loop itself wakes its tasks for nothing.
#[derive(Clone)]
pub(crate) struct Postbox(Arc<Inner>);

struct Inner {
    runtime: runtime::Id,
    letters: mpsc::UnboundedSender<Letter>,
}

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Postbox>> = const { RefCell::new(None) };
}

impl Postbox {
    /// That of the runtime around, emptied by a task that lives there.
    pub(crate) fn here() -> Self {
        let runtime = Handle::current();
        OF_THIS_THREAD.with_borrow_mut(|known| match known {
            Some(known) if known.0.runtime == runtime.id() => known.clone(),
            _ => known.insert(Self::open(&runtime)).clone(),
        })
    }

    fn open(runtime: &Handle) -> Self {
        let (letters, mut arriving) = mpsc::unbounded_channel::<Letter>();
        runtime.spawn(async move {
            while let Some(letter) = arriving.recv().await {
                letter();
            }
        });
        Self(Arc::new(Inner { runtime: runtime.id(), letters }))
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Has `letter` done there; or drops it, where the runtime has ended and nobody waits any more.
    pub(crate) fn post(&self, letter: impl FnOnce() + Send + 'static) {
        drop(self.0.letters.send(Box::new(letter)));
    }
}

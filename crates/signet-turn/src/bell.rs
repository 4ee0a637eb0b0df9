//! One wake-up for everything that a worker hands over in one turn of its event loop.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Rings once the tasks that are ready now have had their turn, so that the operations they hand over meanwhile share
/// the wake-up of a thread. Rings at the latest when it is dropped: others may rely on it.
pub(crate) struct Bell<F: FnMut()> {
    ring: F,
    state: State,
}

#[derive(PartialEq)]
enum State {
    New,
    Waiting,
    Rung,
}

impl<F: FnMut()> Bell<F> {
    pub(crate) fn new(ring: F) -> Self {
        Self { ring, state: State::New }
    }

    fn ring(&mut self) {
        if self.state != State::Rung {
            self.state = State::Rung;
            (self.ring)();
        }
    }
}

impl<F: FnMut() + Unpin> Future for Bell<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state == State::New {
            self.state = State::Waiting;
            // To the end of the line of this worker, and not (as `yield_now`) behind another look at its sockets.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ring();
        Poll::Ready(())
    }
}

impl<F: FnMut()> Drop for Bell<F> {
    fn drop(&mut self) {
        self.ring();
    }
}

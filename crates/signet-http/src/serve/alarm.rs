use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use tokio::{sync::futures::OwnedNotified, task::coop::unconstrained, time::Sleep};

use super::drain::Drain;

/// Wakes the task of a connection for its deadlines and for the end of the server.
///
/// Deadlines move with every request and rarely come, so a timer is only ever moved forward when it goes off too early,
/// and backward where it would go off too late.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// `None` once it has come.
    stop: Option<Pin<Box<OwnedNotified>>>,
    drain: Arc<Drain>,
    /// The task that both of them know.
    waker: Option<Waker>,
}

impl Alarm {
    pub(super) fn new(deadline: Instant, drain: &Arc<Drain>) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(deadline.into())),
            stop: Some(Box::pin(drain.notified())),
            drain: Arc::clone(drain),
            waker: None,
        }
    }

    /// When idle connections are closed, if the server stops.
    pub(super) fn closes_idle_at(&self) -> Option<Instant> {
        self.drain.closes_idle_at()
    }

    /// Whether `deadline` has passed; else the task is woken when it does, or when the server stops.
    pub(super) fn is_past(&mut self, deadline: Instant, context: &mut Context<'_>) -> bool {
        let known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !known {
            self.waker = Some(context.waker().clone());
        }
        if let Some(stop) = &mut self.stop
            && (!known || self.drain.is_draining())
            && stop.as_mut().poll(context).is_ready()
        {
            self.stop = None;
        }
        let wake_at = self.sleep.deadline().into_std();
        if known && wake_at <= deadline && !self.sleep.is_elapsed() {
            return false;
        }
        if Instant::now() >= deadline {
            return true;
        }
        if wake_at > deadline || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(deadline.into());
        }
        // Ready if it came between these lines. Without a budget: a timer that is not polled for want of one would not
        // know the task, and the way out above would not notice.
        Pin::new(&mut unconstrained(self.sleep.as_mut())).poll(context).is_ready()
    }
}

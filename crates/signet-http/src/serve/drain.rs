use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, futures::OwnedNotified};

/// How long an idle connection stays open once the server stops: a client that was about to send its next request gets
/// an answer that says `Connection: close`, and not a connection reset.
pub(super) const LINGER: Duration = Duration::from_millis(500);

/// Whether, and since when, the server stops.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    draining: AtomicBool,
    begun: OnceLock<Instant>,
    notify: Arc<Notify>,
}

impl Drain {
    pub(super) fn begin(&self) {
        self.begun.get_or_init(Instant::now);
        self.draining.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Whether answers should close their connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// When idle connections are closed, if the server stops.
    pub(super) fn closes_idle_at(&self) -> Option<Instant> {
        self.begun.get().map(|begun| *begun + LINGER)
    }

    /// Ends when the server begins to stop. Its caller looks at [`Self::closes_idle_at`] after it was made.
    pub(super) fn notified(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }
}

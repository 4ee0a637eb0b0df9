use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use crate::Shared;

/// How many events of one kind are logged in full in each period.
pub(crate) const LINES_PER_PERIOD: u64 = 10;

/// How often the sampler starts again and reports what it left out.
const PERIOD: Duration = Duration::from_secs(1);

/// Limits the log lines of events that any stranger can cause, so that a flood of them does not bury the rest of the
/// log: the first lines of each kind in a second are written, the others are counted, and one line a second and kind
/// says how many they were.
///
/// ```text
/// if shared.log_sampler.admits("handshake_failed") {
///     tracing::info!(reason, "TLS handshake failed");
/// }
/// ```
#[derive(Debug, Default)]
pub(crate) struct LogSampler {
    /// Events of this period, by kind. Kinds are names in this program, so there are few.
    seen: Mutex<BTreeMap<&'static str, u64>>,
}

impl LogSampler {
    /// Counts an event and returns whether to write its line.
    pub(crate) fn admits(&self, kind: &'static str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.entry(kind).or_default();
        *count += 1;
        *count <= LINES_PER_PERIOD
    }

    /// Ends a period: writes how many lines of each kind were left out.
    pub(crate) fn report(&self) {
        let seen = mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        for (kind, count) in seen {
            let suppressed = count.saturating_sub(LINES_PER_PERIOD);
            if suppressed > 0 {
                tracing::info!(kind, suppressed, "similar log lines left out");
            }
        }
    }
}

/// What the last period left out is reported when the server ends.
impl Drop for LogSampler {
    fn drop(&mut self) {
        self.report();
    }
}

/// Reports once a second for as long as the server exists.
pub(crate) async fn report_every_second(shared: Weak<Shared>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match shared.upgrade() {
            Some(shared) => shared.log_sampler.report(),
            None => return,
        }
    }
}

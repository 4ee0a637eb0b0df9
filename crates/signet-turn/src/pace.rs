//! How fast a queue is emptied, to know how long whoever comes now would wait.

use std::time::{Duration, Instant};

/// For how long what was seen counts. As long as a queue may be: one hiccup on the way is not the pace of what waits.
const MEMORY: Duration = Duration::from_secs(1);

/// After how long without anything that waits nothing is known any more.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// How many are taken out per time while more than that waits; when nothing waits, the time says nothing.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When some were taken out, if others were left.
    since: Option<Instant>,
    /// When others had last been left.
    seen: Option<Instant>,
    seconds: f64,
    taken: f64,
}

impl Pace {
    /// Notes that so many that are still wanted were taken out, and whether others are left.
    pub(crate) fn note(&mut self, now: Instant, taken: usize, more: bool) {
        if let Some(since) = self.since {
            let taken = f64::from(u32::try_from(taken).unwrap_or(u32::MAX));
            let passed = now.saturating_duration_since(since).as_secs_f64();
            let kept = (-passed / MEMORY.as_secs_f64()).exp();
            self.seconds = self.seconds * kept + passed;
            self.taken = self.taken * kept + taken;
            self.seen = Some(now);
        } else if self.seen.is_some_and(|seen| now.saturating_duration_since(seen) > FORGOTTEN) {
            // Whatever made it slow may be over, and nothing would say so before the next rush.
            *self = Self::default();
        }
        self.since = more.then_some(now);
    }

    /// How many are taken out within that time, but for those that `at_least` are.
    pub(crate) fn within(&self, time: Duration, at_least: usize, at_most: usize) -> usize {
        let at_least = at_least.min(at_most);
        // How long it takes for each of them; no count is as large as what is compared with.
        let fits = |count: usize| {
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            count * self.seconds <= time.as_secs_f64() * self.taken
        };
        if fits(at_most) {
            return at_most;
        }
        let (mut low, mut high) = (at_least, at_most);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_queue_is_as_long_as_it_is_fast() {
        let mut pace = Pace::default();
        assert_eq!(pace.within(SECOND, 4, 1000), 1000, "nothing is known yet");
        let mut now = Instant::now();
        for _ in 0..50 {
            pace.note(now, 10, true);
            now += Duration::from_millis(100);
        }
        assert!((99..=100).contains(&pace.within(SECOND, 4, 1000)), "{pace:?}");
        assert_eq!(pace.within(SECOND, 4, 50), 50);
        assert_eq!(pace.within(SECOND / 1000, 4, 1000), 4);
        for _ in 0..50 {
            pace.note(now, 100, true);
            now += Duration::from_millis(100);
        }
        assert!(pace.within(SECOND, 4, 2000) >= 990, "it became faster");
    }

    #[test]
    fn a_hiccup_makes_no_queue_shorter_than_it_was() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..200 {
            pace.note(now, 16, true);
            now += Duration::from_millis(5);
        }
        pace.note(now + Duration::from_millis(600), 16, true);
        assert!(pace.within(SECOND, 4, 1000) >= 900, "{pace:?}");
    }

    #[test]
    fn a_time_in_which_nothing_waits_says_nothing() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.note(now, 1, false);
        pace.note(now + 60 * SECOND, 1, false);
        assert_eq!(pace.within(SECOND, 4, 1000), 1000);
    }
    #[test]
    fn a_queue_that_stays_empty_forgets_how_slow_it_was() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.note(now, 1, true);
        pace.note(now + 30 * SECOND, 1, true);
        assert_eq!(pace.within(SECOND, 4, 1000), 4);
        pace.note(now + 31 * SECOND, 1, false);
        assert_eq!(pace.within(SECOND, 4, 1000), 4);
        pace.note(now + 40 * SECOND, 1, false);
        assert_eq!(pace.within(SECOND, 4, 1000), 4, "the next rush may come at once");
        pace.note(now + 42 * SECOND, 1, false);
        assert_eq!(pace.within(SECOND, 4, 1000), 1000);
    }
}

use std::time::SystemTime;

use signet_domain::{Timestamp, ports::Clock};

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> Timestamp {
        let instant = chrono::DateTime::from(SystemTime::now());
        Timestamp::new(instant).expect("the clock of the machine shows a year before 10000")
    }
}

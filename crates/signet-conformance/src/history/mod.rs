//! What was asked and answered at the same time, and whether the trail can tell how that came about.

mod judge;
mod story;
mod window;

pub(crate) use judge::judge;
pub(crate) use story::Story;

use crate::behaviours::operation::{Answer, Operation};

/// One operation: what was asked, what was answered, and when, in ticks of one clock.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) began: u64,
    pub(crate) ended: u64,
    pub(crate) operation: Operation,
    pub(crate) answer: Answer,
}

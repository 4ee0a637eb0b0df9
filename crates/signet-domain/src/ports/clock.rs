use crate::Timestamp;

/// Tells the time. Injected, so that tests can.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Clock: Send + Sync {
    /// The current time. It MAY go backwards.
    fn now(&self) -> Timestamp;
}

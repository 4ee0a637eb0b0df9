/// Why a store could not answer. None of them tells whether a write happened: after an error its outcome is unknown,
/// except for [`Overloaded`](Self::Overloaded), which means that it was never started, and where a port says that nothing
/// is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already; nothing was started.
    #[error("the store has too much to do")]
    Overloaded,
    /// The store cannot be reached, went away, is read-only or did not answer in time.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What went wrong, without any value that a caller sent.
        reason: String,
    },
    /// A stored row breaks an invariant of the domain.
    #[error("corrupt row in {table}, key {key}, column {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column whose value makes no sense.
        column: &'static str,
        /// The row's key: ids only.
        key: String,
    },
    /// The store refused a statement that it should have taken: a defect in the adapter or the schema.
    #[error("the store refused a statement: {reason}")]
    Unexpected {
        /// What it said, without any value that a caller sent.
        reason: String,
    },
}

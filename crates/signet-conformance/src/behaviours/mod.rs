//! What the ports promise, one function a promise. Each panics where the adapter breaks it.
#![expect(clippy::missing_panics_doc, reason = "a behaviour that does not hold panics: that is what it is for")]

pub mod api_keys;
pub mod audit;
pub mod commits;
pub mod lists;
pub mod partners;
pub mod races;
pub mod users;

use signet_domain::ports::{CommitError, StoreError};

fn is_refused<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Store(StoreError::Unexpected { .. })))
}

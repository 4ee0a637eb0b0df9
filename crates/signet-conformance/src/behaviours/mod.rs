//! What the ports promise, one function a promise. Each panics where the adapter breaks it.
#![expect(clippy::missing_panics_doc, reason = "a behaviour that does not hold panics: that is what it is for")]

pub mod api_keys;
pub mod at_once;
pub mod audit;
pub mod batches;
pub mod commits;
pub mod isolation;
pub mod lists;
pub mod model;
pub(crate) mod operation;
pub mod partners;
pub mod races;
pub mod users;

use signet_domain::{
    PartnerId, User, UserChange, UserId, UserState,
    ports::{CommitError, StoreError},
};

fn is_refused<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Store(StoreError::Unexpected { .. })))
}

/// The same change, made for another partner.
fn claimed_by(partner_id: PartnerId, mut change: UserChange) -> UserChange {
    change.user = User::from_stored(UserState { partner_id, ..(*change.user).clone() }).expect("consistent");
    change.audit.partner_id = partner_id;
    change
}

/// The same registration, under another id.
fn under_id(id: UserId, mut change: UserChange) -> UserChange {
    change.user = User::from_stored(UserState { id, ..(*change.user).clone() }).expect("consistent");
    change.audit.user_id = id;
    change
}

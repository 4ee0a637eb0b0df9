//! The use cases: what a partner, or whoever runs the service, can have done.
//!
//! Each is a concrete struct over the ports of `signet-domain`, with one `execute`. They own the rules that span more
//! than one object: who may do what, what is found missing, what is tried again, and that no answer ever carries
//! another partner's data.
#![deny(missing_docs)]

pub mod api_keys;
pub mod audit;
mod caller;
mod changes;
mod error;
mod own;
pub mod partners;
pub mod users;

#[cfg(test)]
mod testing;

pub use caller::{Caller, Request};
pub use error::Error;

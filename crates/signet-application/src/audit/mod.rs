//! The audit trail.

mod cursor;
mod list;
mod verify;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod verify_tests;

pub use list::{AuditPage, AuditQuery, ListAuditTrail};
pub use verify::{Finding, Told, Verification, VerifyAuditTrail};

//! The audit trail.

mod cursor;
mod list;
mod verify;

#[cfg(test)]
mod tests;

pub use list::{AuditPage, AuditQuery, ListAuditTrail};
pub use verify::{Finding, Verification, VerifyAuditTrail};

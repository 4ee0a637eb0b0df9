//! The audit trail.

mod cursor;
mod list;

#[cfg(test)]
mod tests;

pub use list::{AuditPage, AuditQuery, ListAuditTrail};

//! The audit trail.

mod cursor;
mod list;

pub use list::{AuditPage, AuditQuery, ListAuditTrail};

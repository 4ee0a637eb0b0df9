//! Partners: create, disable, enable. Listing them needs no rule: ask the port.

mod create;
mod disable;

pub use create::CreatePartner;
pub use disable::DisablePartner;

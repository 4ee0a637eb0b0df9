//! Partners: create, disable, enable. Listing them needs no rule: ask the port.

mod create;
mod disable;

#[cfg(test)]
mod tests;

pub use create::CreatePartner;
pub use disable::DisablePartner;

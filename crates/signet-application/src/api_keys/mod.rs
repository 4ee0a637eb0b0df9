//! API keys: create, list, revoke, verify.

mod create;
mod list;
mod revoke;
mod verified;
mod verify;

#[cfg(test)]
mod tests;

pub use create::{CreateApiKey, CreateApiKeyError, NewApiKey};
pub use list::{KeyState, ListApiKeys};
pub use revoke::RevokeApiKey;
pub use verified::{VerifiedKeys, VerifiedKeysState};
pub use verify::{VerifyApiKey, VerifyError};

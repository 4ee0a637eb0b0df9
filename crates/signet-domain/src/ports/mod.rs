//! What the use cases need from the world. An adapter proves that it keeps these promises with the conformance suite.
//!
//! Every method MAY be called from many tasks at once. A future that is dropped MAY still have its effect: a caller
//! that goes away learns nothing about the outcome.

mod api_keys;
mod audit;
mod clock;
mod error;
mod hasher;
mod ids;
mod migrated;
mod partners;
mod users;

#[cfg(feature = "mock")]
pub use {
    api_keys::MockApiKeyRepository, audit::MockAuditTrail, clock::MockClock, hasher::MockSecretHasher,
    ids::MockIdGenerator, partners::MockPartnerRepository, users::MockUserRepository,
};
pub use {
    api_keys::{ApiKeyRepository, KeyLookup, KeyRecord},
    audit::{AuditFilter, AuditTrail},
    clock::Clock,
    error::StoreError,
    hasher::{HashError, SecretHasher},
    ids::IdGenerator,
    migrated::{EmailCollision, Migrated},
    partners::PartnerRepository,
    users::{CommitError, EmailHolder, Page, UserPage, UserRepository},
};

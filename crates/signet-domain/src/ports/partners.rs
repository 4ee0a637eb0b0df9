use async_trait::async_trait;

use super::StoreError;
use crate::{Partner, PartnerId, Timestamp};

/// The partners of this installation.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PartnerRepository: Send + Sync {
    /// Adds a partner. Its id MUST be new; a used one is [`StoreError::Unexpected`], and nothing is written.
    async fn insert(&self, partner: Partner) -> Result<(), StoreError>;

    /// All partners, oldest first (by creation, then id).
    async fn list(&self) -> Result<Vec<Partner>, StoreError>;

    /// Disables the partner since `disabled_at`, or enables it with `None`; returns it, or `None` where there is none.
    /// Disabling a disabled partner keeps the first time.
    async fn set_disabled(&self, id: PartnerId, disabled_at: Option<Timestamp>) -> Result<Option<Partner>, StoreError>;
}

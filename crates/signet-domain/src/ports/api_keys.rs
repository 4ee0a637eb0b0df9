use async_trait::async_trait;

use super::StoreError;
use crate::{ApiKey, ApiKeyId, PartnerId, Timestamp};

/// A key together with what its partner's state says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub key: ApiKey,
    /// Whether its partner is disabled.
    pub partner_disabled: bool,
}

/// Why a key is looked up. It says which look-ups must not delay which others, and never changes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyLookup {
    /// Nothing is known about the sender: anybody can make up an id.
    FirstUse,
    /// The sender proved earlier to hold the key, and its record is read again.
    Refresh,
}

/// The API keys of all partners.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ApiKeyRepository: Send + Sync {
    /// Adds a key; `false` where its partner does not exist (nothing is written then).
    ///
    /// Its id MUST be new, under every partner. One that the same partner already has is [`StoreError::Unexpected`];
    /// one that another partner has, a store MAY fail to notice: ids are random, and a store that is spread by partner
    /// cannot look everywhere.
    async fn insert(&self, key: ApiKey) -> Result<bool, StoreError>;

    /// The key with that id, whoever owns it, with the state of its partner: what a request is authenticated by.
    ///
    /// Look-ups MAY be answered together, each with its own answer. A [`KeyLookup::Refresh`] MUST NOT wait behind any
    /// number of look-ups for a [`KeyLookup::FirstUse`].
    async fn find(&self, id: ApiKeyId, lookup: KeyLookup) -> Result<Option<KeyRecord>, StoreError>;

    /// A partner's keys, oldest first (by creation, then id), expired and revoked ones included.
    async fn list(&self, partner_id: PartnerId) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes the key and returns it, or `None` where there is none. Revoking it again keeps the first time.
    async fn revoke(&self, id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, StoreError>;
}

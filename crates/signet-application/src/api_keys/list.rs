use std::sync::Arc;

use signet_domain::{
    ApiKey, PartnerId, Timestamp,
    ports::{ApiKeyRepository, Clock, PartnerRepository, StoreError},
};

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It does, unless its partner is disabled.
    Active,
    /// Its time is over: by the clock, or since it was refused for that once.
    Expired,
    /// Somebody revoked it; this outranks an expiry.
    Revoked,
}

impl KeyState {
    /// The state of `key` at the time `now`. A key expires at the instant `expires_at`, not after it.
    #[must_use]
    pub fn of(key: &ApiKey, now: Timestamp) -> Self {
        match (key.revoked_at, key.expires_at) {
            // Left by a refusal, see `ApiKey::revoked_at`.
            (Some(revoked), Some(expiry)) if revoked == expiry => Self::Expired,
            (Some(_), _) => Self::Revoked,
            (None, Some(expiry)) if expiry <= now => Self::Expired,
            (None, _) => Self::Active,
        }
    }
}

/// Lists the API keys of a partner.
pub struct ListApiKeys {
    keys: Arc<dyn ApiKeyRepository>,
    partners: Arc<dyn PartnerRepository>,
    clock: Arc<dyn Clock>,
}

impl ListApiKeys {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(keys: Arc<dyn ApiKeyRepository>, partners: Arc<dyn PartnerRepository>, clock: Arc<dyn Clock>) -> Self {
        Self { keys, partners, clock }
    }

    /// The partner's keys, oldest first, each with its state; `None` where there is no such partner.
    pub async fn execute(&self, partner_id: PartnerId) -> Result<Option<Vec<(ApiKey, KeyState)>>, StoreError> {
        let keys = self.keys.list(partner_id).await?;
        if keys.is_empty() && !self.partners.list().await?.iter().any(|partner| partner.id == partner_id) {
            return Ok(None);
        }
        let now = self.clock.now();
        let with_state = |key| {
            let state = KeyState::of(&key, now);
            (key, state)
        };
        Ok(Some(keys.into_iter().map(with_state).collect()))
    }
}

use std::{sync::Arc, time::Duration};

use signet_domain::{
    ApiKey, ApiKeyToken, KeyMode, KeyScope, Name, PartnerId,
    ports::{ApiKeyRepository, Clock, HashError, IdGenerator, SecretHasher, StoreError},
};

/// What a new key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiKey {
    /// The partner that it speaks for.
    pub partner_id: PartnerId,
    /// What the partner calls it; the audit trail shows it.
    pub name: Name,
    /// Production or test.
    pub mode: KeyMode,
    /// What it may do.
    pub scope: KeyScope,
    /// For how long it works; `None` for ever.
    pub expires_in: Option<Duration>,
}

/// Why no key was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateApiKeyError {
    /// There is no such partner.
    #[error("no such partner")]
    PartnerNotFound,
    /// The key would expire after the year 9999.
    #[error("the key would expire after the year 9999")]
    ExpiryOutOfRange,
    /// The secret could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates an API key.
pub struct CreateApiKey {
    keys: Arc<dyn ApiKeyRepository>,
    hasher: Arc<dyn SecretHasher>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl CreateApiKey {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(
        keys: Arc<dyn ApiKeyRepository>,
        hasher: Arc<dyn SecretHasher>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { keys, hasher, clock, ids }
    }

    /// The stored key, and the token that is shown this once: only a hash of its secret is kept.
    pub async fn execute(&self, new: NewApiKey) -> Result<(ApiKey, ApiKeyToken), CreateApiKeyError> {
        let now = self.clock.now();
        let expires_at = match new.expires_in {
            Some(duration) => Some(now.checked_add(duration).ok_or(CreateApiKeyError::ExpiryOutOfRange)?),
            None => None,
        };
        let token = ApiKeyToken { mode: new.mode, id: self.ids.api_key_id(), secret: self.ids.secret() };
        let key = ApiKey {
            id: token.id.clone(),
            partner_id: new.partner_id,
            name: new.name,
            mode: new.mode,
            scope: new.scope,
            secret_hash: self.hasher.hash(token.secret.clone()).await?,
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        if self.keys.insert(key.clone()).await? { Ok((key, token)) } else { Err(CreateApiKeyError::PartnerNotFound) }
    }
}

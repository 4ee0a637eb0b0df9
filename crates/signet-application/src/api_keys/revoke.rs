use std::sync::Arc;

use signet_domain::{
    ApiKey, ApiKeyId,
    ports::{ApiKeyRepository, Clock, StoreError},
};

use super::VerifiedKeys;

/// Revokes an API key.
pub struct RevokeApiKey {
    keys: Arc<dyn ApiKeyRepository>,
    clock: Arc<dyn Clock>,
    verified: Arc<VerifiedKeys>,
}

impl RevokeApiKey {
    /// Wires the use case to its ports, and to the memory of the [`VerifyApiKey`](super::VerifyApiKey) next to it.
    #[must_use]
    pub fn new(keys: Arc<dyn ApiKeyRepository>, clock: Arc<dyn Clock>, verified: Arc<VerifiedKeys>) -> Self {
        Self { keys, clock, verified }
    }

    /// The revoked key; `None` where there is none. It stops working at once here, and within
    /// [`VerifiedKeys::MAX_AGE`] in every other process. Revoking it again keeps the first time.
    pub async fn execute(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let revoked = self.keys.revoke(id.clone(), self.clock.now()).await?;
        if revoked.is_some() {
            self.verified.forget(id).await;
        }
        Ok(revoked)
    }
}

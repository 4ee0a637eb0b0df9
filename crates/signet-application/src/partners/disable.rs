use std::sync::Arc;

use signet_domain::{
    Partner, PartnerId,
    ports::{Clock, PartnerRepository, StoreError},
};

/// Disables a partner, whose keys are then refused, and enables it again.
pub struct DisablePartner {
    partners: Arc<dyn PartnerRepository>,
    clock: Arc<dyn Clock>,
}

impl DisablePartner {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(partners: Arc<dyn PartnerRepository>, clock: Arc<dyn Clock>) -> Self {
        Self { partners, clock }
    }

    /// Disables the partner; `None` where there is none. Its keys stop working within
    /// [`MAX_AGE`](crate::api_keys::VerifiedKeys::MAX_AGE). Disabling it again keeps the first time.
    pub async fn execute(&self, id: PartnerId) -> Result<Option<Partner>, StoreError> {
        self.partners.set_disabled(id, Some(self.clock.now())).await
    }

    /// Enables the partner; `None` where there is none.
    pub async fn undo(&self, id: PartnerId) -> Result<Option<Partner>, StoreError> {
        self.partners.set_disabled(id, None).await
    }
}

use std::sync::Arc;

use signet_domain::{
    Name, Partner,
    ports::{Clock, IdGenerator, PartnerRepository, StoreError},
};

/// Creates a partner.
pub struct CreatePartner {
    partners: Arc<dyn PartnerRepository>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl CreatePartner {
    /// Wires the use case to its ports.
    #[must_use]
    pub fn new(partners: Arc<dyn PartnerRepository>, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self { partners, clock, ids }
    }

    /// A new, enabled partner without keys. Two partners may have the same name.
    pub async fn execute(&self, name: Name) -> Result<Partner, StoreError> {
        let partner = Partner { id: self.ids.partner_id(), name, created_at: self.clock.now(), disabled_at: None };
        self.partners.insert(partner.clone()).await?;
        Ok(partner)
    }
}

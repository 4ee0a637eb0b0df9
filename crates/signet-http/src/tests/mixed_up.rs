use std::sync::Arc;

use async_trait::async_trait;
use signet_conformance::{Builder, InMemoryStore};
use signet_domain::{
    AuditEntry, AuditPosition, PartnerId, User, UserChange, UserId,
    ports::{AuditFilter, AuditTrail, CommitError, Page, PartnerRepository, StoreError, UserPage, UserRepository},
};

use super::support::World;
use crate::Options;

/// A store without a barrier between partners: whoever asks is answered about another one.
struct MixedUp(Arc<InMemoryStore>);

/// A world over such a store, and the user of the other partner.
pub(super) async fn mixed_up() -> (World, User) {
    let store = Arc::new(InMemoryStore::default());
    let mixed_up = Arc::new(MixedUp(Arc::clone(&store)));
    let world = World::from_ports(store.clone(), (mixed_up.clone(), mixed_up.clone()), store, Options::default()).await;
    world.stranger().await;
    let stranger = mixed_up.other_than(world.partner).await;
    let canary = world.store.commit(Builder::new(2).registration(stranger, "canary@example.com")).await;
    (world, canary.expect("registered"))
}

impl MixedUp {
    async fn other_than(&self, partner_id: PartnerId) -> PartnerId {
        let partners = PartnerRepository::list(&*self.0).await.expect("a list");
        partners.into_iter().map(|partner| partner.id).find(|id| *id != partner_id).expect("two partners")
    }
}

#[async_trait]
impl UserRepository for MixedUp {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let asks = change.user.partner_id;
        self.0.commit(change).await?;
        Ok(self.list(asks, Page::new(1, 0).expect("a page")).await?.users.remove(0))
    }

    async fn find(&self, asks: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        UserRepository::find(&*self.0, self.other_than(asks).await, user_id).await
    }

    async fn list(&self, asks: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        UserRepository::list(&*self.0, self.other_than(asks).await, page).await
    }
}

#[async_trait]
impl AuditTrail for MixedUp {
    async fn entries(
        &self,
        asks: PartnerId,
        filter: AuditFilter,
        before: Option<AuditPosition>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.0.entries(self.other_than(asks).await, filter, before, limit).await
    }
}

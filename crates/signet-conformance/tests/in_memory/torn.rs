//! Adapters that break a promise, and the behaviours that show it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use signet_conformance::{Adapter, InMemoryStore, behaviours, run};
use signet_domain::{
    Partner, PartnerId, Timestamp, User, UserChange, UserId,
    ports::{CommitError, Page, PartnerRepository, StoreError, UserPage, UserRepository},
};
use tokio::sync::watch;

/// Keeps users and trail in two stores, and writes to the one a moment after the other.
struct Torn {
    users: InMemoryStore,
    trail: InMemoryStore,
    entry_first: bool,
    finds: watch::Sender<()>,
}

impl Torn {
    fn adapter(entry_first: bool) -> Adapter {
        let (users, trail) = (InMemoryStore::default(), InMemoryStore::default());
        let torn = Arc::new(Self { users, trail: trail.clone(), entry_first, finds: watch::Sender::default() });
        let (trail, keys) = (Arc::new(trail), Arc::new(InMemoryStore::default()));
        Adapter::from_ports(torn.clone(), trail, torn, keys)
    }
}

#[async_trait]
impl UserRepository for Torn {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let (first, second) = if self.entry_first { (&self.trail, &self.users) } else { (&self.users, &self.trail) };
        first.commit(change.clone()).await?;
        // Long enough for somebody to look at both; nobody looks any more once it was seen.
        let mut finds = self.finds.subscribe();
        for _ in 0..4 {
            drop(tokio::time::timeout(Duration::from_millis(100), finds.changed()).await);
        }
        second.commit(change).await
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        self.finds.send_replace(());
        UserRepository::find(&self.users, partner_id, user_id).await
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        UserRepository::list(&self.users, partner_id, page).await
    }
}

#[async_trait]
impl PartnerRepository for Torn {
    async fn insert(&self, partner: Partner) -> Result<(), StoreError> {
        PartnerRepository::insert(&self.users, partner.clone()).await?;
        PartnerRepository::insert(&self.trail, partner).await
    }

    async fn list(&self) -> Result<Vec<Partner>, StoreError> {
        PartnerRepository::list(&self.users).await
    }

    async fn set_disabled(&self, id: PartnerId, at: Option<Timestamp>) -> Result<Option<Partner>, StoreError> {
        self.users.set_disabled(id, at).await
    }
}

#[test]
#[should_panic(expected = "both at every instant")]
fn a_user_before_its_entry_is_found_out() {
    run("torn", || async { Torn::adapter(false) }, behaviours::races::a_change_and_its_entry_are_seen_together);
}

#[test]
#[should_panic(expected = "both at every instant")]
fn an_entry_before_its_user_is_found_out() {
    run("torn", || async { Torn::adapter(true) }, behaviours::races::a_change_and_its_entry_are_seen_together);
}

#[test]
#[should_panic(expected = "left == right")]
fn a_peer_that_sees_nothing_is_found_out() {
    let blind = || async { Adapter::new(InMemoryStore::default()).with_peer(Adapter::new(InMemoryStore::default())) };
    run("blind", blind, behaviours::users::a_find_sees_every_acknowledged_change);
}

//! Adapters that break a promise, and the behaviours that show it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

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

/// Answers those who ask at the same time all alike: what the last of them asked for.
struct Muddled {
    store: InMemoryStore,
    asked: Mutex<Option<(PartnerId, UserId)>>,
}

#[async_trait]
impl UserRepository for Muddled {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        self.store.commit(change).await
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        *self.asked.lock().expect("no panic") = Some((partner_id, user_id));
        tokio::task::yield_now().await;
        let (partner_id, user_id) = self.asked.lock().expect("no panic").expect("somebody asked");
        UserRepository::find(&self.store, partner_id, user_id).await
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        UserRepository::list(&self.store, partner_id, page).await
    }
}

#[test]
#[should_panic(expected = "left == right")]
fn answers_that_are_mixed_up_are_found_out() {
    let muddled = || async {
        let store = InMemoryStore::default();
        let users = Arc::new(Muddled { store: store.clone(), asked: Mutex::default() });
        let store = Arc::new(store);
        Adapter::from_ports(users, store.clone(), store.clone(), store)
    };
    run("muddled", muddled, behaviours::batches::what_is_asked_together_is_answered_as_one_by_one);
}

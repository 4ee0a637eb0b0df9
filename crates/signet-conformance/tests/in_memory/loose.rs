//! Adapters that keep each promise nearly always, and the histories that show it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use signet_conformance::{Adapter, InMemoryStore, behaviours, run};
use signet_domain::{
    PartnerId, User, UserChange, UserId,
    ports::{CommitError, Page, StoreError, UserPage, UserRepository},
};

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    /// A user that one partner lacks is looked for under the others.
    FindsEverywhere,
    /// A change that came too late is acknowledged.
    AcknowledgesStale,
    /// What is found is what was there a moment ago.
    ReadsThePast,
}

struct Loose {
    store: InMemoryStore,
    flaw: Flaw,
    /// Of each commit the user as it was before, if it was there.
    before: Mutex<Vec<User>>,
}

fn adapter(flaw: Flaw) -> Adapter {
    let store = InMemoryStore::default();
    let users = Arc::new(Loose { store: store.clone(), flaw, before: Mutex::default() });
    let store = Arc::new(store);
    Adapter::from_ports(users, store.clone(), store.clone(), store)
}

#[async_trait]
impl UserRepository for Loose {
    async fn commit(&self, change: UserChange) -> Result<User, CommitError> {
        let held = UserRepository::find(&self.store, change.user.partner_id, change.user.id).await?;
        let committed = self.store.commit(change.clone()).await;
        if committed.is_ok() {
            self.before.lock().expect("no panic").push(held.unwrap_or(change.user.clone()));
        }
        match committed {
            Err(CommitError::Stale) if self.flaw == Flaw::AcknowledgesStale => Ok(change.user),
            committed => committed,
        }
    }

    async fn find(&self, partner_id: PartnerId, user_id: UserId) -> Result<Option<User>, StoreError> {
        let found = UserRepository::find(&self.store, partner_id, user_id).await?;
        let before = self.before.lock().expect("no panic");
        let mut before = before.iter().rev().filter(|user| user.id == user_id);
        Ok(match self.flaw {
            Flaw::FindsEverywhere => found.or_else(|| before.next().cloned()),
            Flaw::ReadsThePast => found.and_then(|_| before.find(|user| user.partner_id == partner_id).cloned()),
            Flaw::AcknowledgesStale => found,
        })
    }

    async fn list(&self, partner_id: PartnerId, page: Page) -> Result<UserPage, StoreError> {
        UserRepository::list(&self.store, partner_id, page).await
    }
}

/// Compares an adapter with that flaw with the model.
fn compare(flaw: Flaw) {
    run("loose", || async { adapter(flaw) }, behaviours::model::every_answer_is_that_of_a_model);
}

#[test]
#[should_panic(expected = "minimal failing input")]
fn a_find_that_knows_no_partners_differs_from_the_model() {
    compare(Flaw::FindsEverywhere);
}

#[test]
#[should_panic(expected = "minimal failing input")]
fn a_change_that_came_too_late_differs_from_the_model() {
    compare(Flaw::AcknowledgesStale);
}

#[test]
#[should_panic(expected = "minimal failing input")]
fn a_find_of_what_is_past_differs_from_the_model() {
    compare(Flaw::ReadsThePast);
}

#[test]
#[should_panic(expected = "left == right")]
fn a_find_that_knows_no_partners_is_found_out_by_whoever_knows_an_id() {
    let know = behaviours::isolation::who_knows_another_partners_ids_gets_and_changes_nothing;
    run("loose", || async { adapter(Flaw::FindsEverywhere) }, know);
}

/// Has many use an adapter with that flaw at once.
fn race(flaw: Flaw) {
    run("loose", || async { adapter(flaw) }, behaviours::at_once::the_trail_tells_how_every_answer_came_about);
}

#[test]
#[should_panic(expected = "at no moment was this true")]
fn a_change_that_came_too_late_is_not_in_the_trail() {
    race(Flaw::AcknowledgesStale);
}

#[test]
#[should_panic(expected = "at no moment was this true")]
fn a_find_of_what_is_past_is_not_what_the_trail_tells() {
    race(Flaw::ReadsThePast);
}

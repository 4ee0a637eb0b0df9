//! What the paths that every request takes ask of the allocator. Time would depend on the machine; this does not.
//!
//! A number that grows is a decision: change it here together with what it is for.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use signet_application::{
    Caller, Request,
    api_keys::{CreateApiKey, NewApiKey, VerifyApiKey},
    users::GetUser,
};
use signet_conformance::{Builder, InMemoryStore, PlainHasher, name};
use signet_domain::{
    KeyMode, KeyScope, PartnerId, User, UserChange, UserId,
    ports::{CommitError, IdGenerator, Page, PartnerRepository, StoreError, UserPage, UserRepository},
};

/// The answer of a future that never waits, and how often it allocated. Other threads are not counted, and nor is what
/// runs a future: there is nothing here but the future.
fn counted<T>(future: impl Future<Output = T>) -> (T, u64) {
    let mut future = pin!(future);
    let mut answer = Poll::Pending;
    let counted =
        allocation_counter::measure(|| answer = future.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    match answer {
        Poll::Ready(answer) => (answer, counted.count_total),
        Poll::Pending => panic!("it waits for something"),
    }
}

/// Hands out the one user that it has, once, and so without a copy.
struct Prepared(Mutex<Option<User>>);

#[async_trait]
impl UserRepository for Prepared {
    async fn find(&self, _: PartnerId, _: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.0.lock().expect("no panic").take())
    }

    async fn commit(&self, _: UserChange) -> Result<User, CommitError> {
        panic!("nothing is changed")
    }

    async fn list(&self, _: PartnerId, _: Page) -> Result<UserPage, StoreError> {
        panic!("nothing is listed")
    }
}

/// One: the future that the port answers with, boxed since the port is a trait object.
#[test]
fn to_get_a_user_allocates_once() {
    let build = Builder::new(1);
    let partner_id = build.partner().id;
    let user = build.registration(partner_id, "john@example.com").user;
    let users = Arc::new(Prepared(Mutex::default()));
    let get = GetUser::new(users.clone());
    let (key_id, key_name) = (build.ids.api_key_id(), name("Backend"));
    let caller = Arc::new(Caller { partner_id, key_id, key_name, scope: KeyScope::ReadOnly });
    let request = Request { caller, request_id: build.ids.request_id(), ip_address: None };
    for _ in 0..3 {
        *users.0.lock().expect("no panic") = Some(user.clone());
        let (found, allocations) = counted(get.execute(&request, user.id));
        assert_eq!(found.as_ref(), Ok(&user));
        assert_eq!(allocations, 1);
    }
}

/// None: the digest is on the stack and the caller is shared. One call in 64 finds more, in which the cache does its
/// book-keeping for all; it does so by the clock as well, hence the margin.
#[test]
fn to_know_a_key_again_allocates_nothing() {
    const CALLS: usize = 1_000;
    let (store, build) = (Arc::new(InMemoryStore::default()), Builder::new(1));
    let (clock, ids) = (Arc::new(build.clock.clone()), Arc::new(build.ids.clone()));
    let partner = build.partner();
    let partner_id = partner.id;
    counted(PartnerRepository::insert(&*store, partner)).0.expect("inserted");
    let create = CreateApiKey::new(store.clone(), Arc::new(PlainHasher), clock.clone(), ids);
    let (mode, scope) = (KeyMode::Live, KeyScope::ReadOnly);
    let new = NewApiKey { partner_id, name: name("Backend"), mode, scope, expires_in: None };
    let (_, token) = counted(create.execute(new)).0.expect("a key");
    let token = token.expose();

    let verify = VerifyApiKey::new(store, Arc::new(PlainHasher), clock, Arc::default());
    let (caller, _) = counted(verify.execute(&token));
    let allocations = (0..CALLS).map(|_| {
        let (again, allocations) = counted(verify.execute(&token));
        assert_eq!(again, caller);
        allocations
    });
    let exceptions = allocations.filter(|allocations| *allocations > 0).count();
    assert!(exceptions <= CALLS / 32, "{exceptions} of {CALLS}");
}

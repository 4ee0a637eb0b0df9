use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use signet_conformance::InMemoryStore;
use signet_domain::{
    ApiKey, ApiKeyId, PartnerId, Timestamp, User, UserChange, UserId,
    ports::{ApiKeyRepository, CommitError, KeyLookup, KeyRecord, Page, StoreError, UserPage, UserRepository},
};

use super::support::{Reply, World};
use crate::Options;

const USER: &str = "1a123288-24e8-4c6d-a847-501bab184f5a";
const SECRET: &str = "driver text";

/// A store that is not well.
#[derive(Clone)]
pub(super) enum Fault {
    Fails(StoreError),
    Hangs,
    Panics,
}

impl Fault {
    async fn strike<T>(&self) -> Result<T, StoreError> {
        match self {
            Self::Fails(error) => Err(error.clone()),
            Self::Hangs => std::future::pending().await,
            Self::Panics => panic!("{SECRET}"),
        }
    }
}

#[async_trait]
impl UserRepository for Fault {
    async fn commit(&self, _: UserChange) -> Result<User, CommitError> {
        Ok(self.strike().await?)
    }

    async fn find(&self, _: PartnerId, _: UserId) -> Result<Option<User>, StoreError> {
        self.strike().await
    }

    async fn list(&self, _: PartnerId, _: Page) -> Result<UserPage, StoreError> {
        self.strike().await
    }
}

#[async_trait]
impl ApiKeyRepository for Fault {
    async fn insert(&self, _: ApiKey) -> Result<bool, StoreError> {
        self.strike().await
    }

    async fn find(&self, _: ApiKeyId, _: KeyLookup) -> Result<Option<KeyRecord>, StoreError> {
        self.strike().await
    }

    async fn list(&self, _: PartnerId) -> Result<Vec<ApiKey>, StoreError> {
        self.strike().await
    }

    async fn revoke(&self, _: ApiKeyId, _: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        self.strike().await
    }
}

fn reason() -> String {
    SECRET.to_owned()
}

fn faults() -> [(Fault, u16, &'static str); 6] {
    [
        (Fault::Fails(StoreError::Overloaded), 503, "service_unavailable"),
        (Fault::Fails(StoreError::Unavailable { reason: reason() }), 503, "service_unavailable"),
        (Fault::Fails(StoreError::Unexpected { reason: reason() }), 500, "internal_error"),
        (Fault::Fails(StoreError::Corrupt { table: "users", column: SECRET, key: reason() }), 500, "internal_error"),
        (Fault::Panics, 500, "internal_error"),
        (Fault::Hangs, 503, "service_unavailable"),
    ]
}

fn options() -> Options {
    Options { deadline: Duration::from_millis(50), ..Options::default() }
}

fn check(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (status, code));
    assert!(!reply.json.to_string().contains(SECRET), "{}", reply.json);
}

#[actix_web::test]
async fn whatever_befalls_the_store_is_answered_in_time_and_told_to_nobody() {
    for (fault, status, code) in faults() {
        let store = Arc::new(InMemoryStore::default());
        let world = World::over(store.clone(), Arc::new(fault), store, options()).await;
        check(&world.call("GET", &format!("/get-user?userId={USER}"), Value::Null).await, status, code);
        check(&world.call("GET", "/all-users", Value::Null).await, status, code);
        let new = serde_json::json!({"name": "a", "email": "a@b.c"});
        check(&world.call("POST", "/register-user", new).await, status, code);
    }
}

#[actix_web::test]
async fn whatever_befalls_the_keys_is_answered_the_same_way() {
    for (fault, status, code) in faults() {
        let store = Arc::new(InMemoryStore::default());
        let world = World::over(store.clone(), store, Arc::new(fault), options()).await;
        check(&world.call("GET", "/all-users", Value::Null).await, status, code);
    }
}

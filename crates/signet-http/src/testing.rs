//! A service in process, over the in-memory store: what the tests ask, and what a fuzzer feeds.

use std::sync::Arc;

use actix_web::{
    body::to_bytes,
    http::{StatusCode, header::HeaderMap},
    test::{TestRequest, init_service, try_call_service},
    web::Bytes,
};
use serde_json::Value;
use signet_application::{
    api_keys::{CreateApiKey, NewApiKey, RevokeApiKey, VerifiedKeys, VerifyApiKey},
    audit::ListAuditTrail,
    users::{GetUser, ListUsers, RegisterUser, RemoveUser, UpdateUser},
};
use signet_conformance::{Builder, InMemoryStore, ManualClock, PlainHasher, name};
use signet_domain::{
    ApiKeyToken, KeyMode, KeyScope, PartnerId,
    ports::{ApiKeyRepository, AuditTrail, PartnerRepository, UserRepository},
};

use crate::{Api, Metrics, Options, Shared, app};

/// A service over an in-memory store, with one partner and a key that may do everything.
pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<InMemoryStore>,
    pub(crate) clock: ManualClock,
    pub(crate) partner: PartnerId,
    pub(crate) key: String,
    pub(crate) build: Builder,
    verified: Arc<VerifiedKeys>,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// `null` where the answer is no JSON, or is compressed.
    pub(crate) json: Value,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let store = Arc::new(InMemoryStore::default());
        Self::over(Arc::clone(&store), store.clone(), store, options).await
    }

    /// One whose users, or keys, are kept elsewhere.
    pub(crate) async fn over(
        store: Arc<InMemoryStore>,
        users: Arc<dyn UserRepository>,
        keys: Arc<dyn ApiKeyRepository>,
        options: Options,
    ) -> Self {
        Self::from_ports(store.clone(), (users, store), keys, options).await
    }

    /// One whose users and their trail, or keys, are kept elsewhere.
    pub(crate) async fn from_ports(
        store: Arc<InMemoryStore>,
        (users, trail): (Arc<dyn UserRepository>, Arc<dyn AuditTrail>),
        keys: Arc<dyn ApiKeyRepository>,
        options: Options,
    ) -> Self {
        let build = Builder::new(1);
        let (clock, ids) = (Arc::new(build.clock.clone()), Arc::new(build.ids.clone()));
        let verified = Arc::new(VerifiedKeys::default());
        let api = Api {
            register_user: RegisterUser::new(users.clone(), clock.clone(), ids.clone()),
            list_users: ListUsers::new(users.clone()),
            get_user: GetUser::new(users.clone()),
            update_user: UpdateUser::new(users.clone(), clock.clone(), ids.clone()),
            remove_user: RemoveUser::new(users, clock.clone(), ids.clone()),
            list_audit_trail: ListAuditTrail::new(trail),
            verify_api_key: VerifyApiKey::new(keys, Arc::new(PlainHasher), clock.clone(), verified.clone()),
            ids,
        };
        let shared = Arc::new(Shared::new(Arc::new(api), options, Metrics::default(), Arc::default()));
        let partner = build.partner();
        let id = partner.id;
        PartnerRepository::insert(&*store, partner).await.expect("a new partner");
        let clock = build.clock.clone();
        let mut world = Self { shared, store, clock, partner: id, key: String::new(), build, verified };
        world.key = world.key_of(id, KeyScope::ReadWrite).await.expose();
        world
    }

    pub(crate) async fn key_of(&self, partner_id: PartnerId, scope: KeyScope) -> ApiKeyToken {
        let expires_in = Some(std::time::Duration::from_hours(1));
        let new = NewApiKey { partner_id, name: name("Backend"), mode: KeyMode::Live, scope, expires_in };
        let (clock, ids) = (Arc::new(self.clock.clone()), Arc::new(self.build.ids.clone()));
        let create = CreateApiKey::new(self.store.clone(), Arc::new(PlainHasher), clock, ids);
        create.execute(new).await.expect("a new key").1
    }

    pub(crate) async fn revoke(&self, token: &ApiKeyToken) {
        let clock = Arc::new(self.clock.clone());
        let revoke = RevokeApiKey::new(self.store.clone(), clock, Arc::clone(&self.verified));
        assert!(revoke.execute(token.id.clone()).await.expect("an answer").is_some());
    }

    /// Sends the request, and checks on the answer what holds of every answer.
    pub(crate) async fn send_raw(&self, request: actix_http::Request) -> Reply {
        let path = request.path().to_owned();
        let service = init_service(app(&self.shared)).await;
        let response = try_call_service(&service, request).await.unwrap_or_else(|error| panic!("{error}"));
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap_or_else(|_| panic!("a body that ends"));
        let header = |name: &str| headers.get(name).map(|value| value.to_str().expect("visible characters"));
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("x-content-type-options"), Some("nosniff"));
        let request_id = header("x-request-id").expect("X-Request-Id").to_owned();
        let is_json = header("content-type") == Some("application/json") && header("content-encoding").is_none();
        let json: Value = if is_json { serde_json::from_slice(&body).expect("JSON") } else { Value::Null };
        let is_document = path == "/openapi.json" || status.is_redirection();
        if !is_document && (is_json || !status.is_success()) {
            assert_eq!(json["success"], status.is_success(), "{json}");
            if !status.is_success() {
                assert!(json["message"].is_string() && json["error"]["code"].is_string(), "{json}");
                assert_eq!(json["error"]["requestId"], request_id);
                assert_eq!(header("www-authenticate").is_some(), status == StatusCode::UNAUTHORIZED);
                let again = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
                assert_eq!(header("retry-after").is_some(), again);
            }
        }
        Reply { status, headers, body, json }
    }
}

impl Reply {
    pub(crate) fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) fn request(method: &str, path: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method.parse().expect("a method"))
}

pub(crate) fn bearer(key: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {key}"))
}

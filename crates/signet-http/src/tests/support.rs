use std::sync::Arc;

use actix_web::test::TestRequest;
use serde_json::Value;
use signet_application::partners::DisablePartner;
use signet_domain::{KeyScope, PartnerId, ports::PartnerRepository};

pub(super) use crate::testing::{Reply, World, bearer, request};

impl World {
    /// Another partner's key.
    pub(super) async fn stranger(&self) -> String {
        let partner = self.build.partner();
        let id = partner.id;
        PartnerRepository::insert(&*self.store, partner).await.expect("a new partner");
        self.key_of(id, KeyScope::ReadWrite).await.expose()
    }

    pub(super) async fn disable(&self, partner_id: PartnerId) {
        let disable = DisablePartner::new(self.store.clone(), Arc::new(self.clock.clone()));
        assert!(disable.execute(partner_id).await.expect("an answer").is_some());
    }

    pub(super) async fn send(&self, request: TestRequest) -> Reply {
        self.send_raw(request.to_request()).await
    }

    /// A call of an operation with the partner's key and, unless it is null, that body.
    pub(super) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call_as(&self.key, method, path, body).await
    }

    pub(super) async fn call_as(&self, key: &str, method: &str, path: &str, body: Value) -> Reply {
        let request = request(method, &format!("/partner/v1{path}")).insert_header(bearer(key));
        self.send(if body.is_null() { request } else { request.set_json(body) }).await
    }
}

impl Reply {
    /// The fields that are to blame.
    pub(super) fn blamed(&self) -> Vec<&str> {
        let details = self.json["error"]["details"].as_array();
        details.into_iter().flatten().filter_map(|detail| detail["field"].as_str()).collect()
    }

    /// The data of a success.
    pub(super) fn data(self) -> Value {
        assert!(self.status.is_success(), "{}", self.json);
        self.json["data"].clone()
    }
}

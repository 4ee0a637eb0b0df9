//! What must be shown of every operation, and fails for a new one until it is.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use signet_domain::ports::{AuditFilter, AuditTrail, UserRepository};

use super::{
    log::Log,
    mixed_up::mixed_up,
    support::{World, request},
};
use crate::openapi_json;

/// How an operation is called on a user of the partner, and what it does.
struct Sample {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    /// `{user}` stands for the id of a user.
    query: &'static str,
    body: fn(user: &str) -> Value,
    /// What it leaves in the trail.
    action: Option<&'static str>,
    stranger: Stranger,
}

/// What another partner gets to see.
enum Stranger {
    /// The same as for a user that does not exist.
    NotFound,
    /// A list without anything in it.
    Nothing(&'static str),
    /// It cannot even name a user: what it makes is its own.
    Own,
}

fn none(_: &str) -> Value {
    Value::Null
}

const SAMPLES: [Sample; 6] = [
    Sample {
        id: "registerUser",
        method: "POST",
        path: "/register-user",
        query: "",
        body: |_| json!({"name": "Jane", "email": "jane@example.com"}),
        action: Some("user.registered"),
        stranger: Stranger::Own,
    },
    Sample {
        id: "listUsers",
        method: "GET",
        path: "/all-users",
        query: "",
        body: none,
        action: None,
        stranger: Stranger::Nothing("users"),
    },
    Sample {
        id: "getUser",
        method: "GET",
        path: "/get-user",
        query: "?userId={user}",
        body: none,
        action: None,
        stranger: Stranger::NotFound,
    },
    Sample {
        id: "updateUser",
        method: "PATCH",
        path: "/update-user",
        query: "",
        body: |user| json!({"userId": user, "name": "Johnny"}),
        action: Some("user.updated"),
        stranger: Stranger::NotFound,
    },
    Sample {
        id: "removeUser",
        method: "DELETE",
        path: "/remove-user",
        query: "",
        body: |user| json!({"userId": user}),
        action: Some("user.removed"),
        stranger: Stranger::NotFound,
    },
    Sample {
        id: "listAuditTrail",
        method: "GET",
        path: "/audit-trail",
        query: "?userId={user}",
        body: none,
        action: None,
        stranger: Stranger::Nothing("entries"),
    },
];

impl Sample {
    fn target(&self, user: &str) -> String {
        format!("{}{}", self.path, self.query.replace("{user}", user))
    }
}

/// A world with one user in it.
async fn world() -> (World, String) {
    let world = World::new().await;
    let john = json!({"name": "John Doe", "email": "john@example.com"});
    let user = world.call("POST", "/register-user", john).await.data();
    let id = user["userId"].as_str().expect("an id").to_owned();
    (world, id)
}

async fn trail(world: &World) -> Vec<Value> {
    let data = world.call("GET", "/audit-trail?limit=100", Value::Null).await.data();
    data["entries"].as_array().cloned().unwrap_or_default()
}

#[test]
fn every_operation_has_a_sample_and_says_truly_whether_it_changes_something() {
    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an operationId");
            documented.insert((id.to_owned(), method.to_uppercase(), path.clone()));
        }
    }
    let sampled =
        SAMPLES.iter().map(|sample| (sample.id.to_owned(), sample.method.to_owned(), sample.path.to_owned())).collect();
    assert_eq!(documented, sampled, "an operation without a sample is an operation without these tests");
    for sample in SAMPLES {
        assert_eq!(sample.action.is_some(), sample.method != "GET", "{}: what changes something is audited", sample.id);
    }
}

#[actix_web::test]
async fn no_operation_answers_strangers() {
    let (world, user) = world().await;
    let before = trail(&world).await;
    for sample in SAMPLES {
        let path = format!("/partner/v1{}", sample.target(&user));
        let reply = world.send(request(sample.method, &path).set_json((sample.body)(&user))).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, "missing_credentials"), "{}", sample.id);
        for (key, code) in [
            ("", "malformed_credentials"),
            ("signet_live_0123456789abcdef_nonsense", "malformed_credentials"),
            ("signet_test_0123456789abcdef_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123451lBh5l", "invalid_api_key"),
        ] {
            let reply = world.call_as(key, sample.method, &sample.target(&user), (sample.body)(&user)).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (401, code), "{}", sample.id);
        }
    }
    assert_eq!(trail(&world).await, before, "and nothing happened");
}

#[actix_web::test]
async fn no_operation_crosses_from_one_partner_to_another() {
    const UNKNOWN: &str = "1a123288-24e8-4c6d-a847-501bab184f5a";
    for sample in SAMPLES {
        let (world, user) = world().await;
        let stranger = world.stranger().await;
        let (before, own) = (trail(&world).await, world.call("GET", "/all-users", Value::Null).await.data());
        let reply = world.call_as(&stranger, sample.method, &sample.target(&user), (sample.body)(&user)).await;
        match sample.stranger {
            Stranger::NotFound => {
                let target = sample.target(UNKNOWN);
                let unknown = world.call_as(&stranger, sample.method, &target, (sample.body)(UNKNOWN)).await;
                let without_id =
                    |json: &Value| json.to_string().replace(json["error"]["requestId"].as_str().unwrap_or("?"), "");
                assert_eq!(reply.code(), "user_not_found", "{}", sample.id);
                assert_eq!(without_id(&reply.json), without_id(&unknown.json), "{}", sample.id);
            }
            Stranger::Nothing(list) => {
                let data = reply.data();
                assert_eq!(data[list], json!([]), "{}", sample.id);
                assert!(data["pagination"].get("total").is_none_or(|total| *total == 0), "{}", sample.id);
            }
            Stranger::Own => assert!(reply.status.is_success(), "{}", sample.id),
        }
        assert_eq!(trail(&world).await, before, "{}", sample.id);
        assert_eq!(world.call("GET", "/all-users", Value::Null).await.data(), own, "{}", sample.id);
    }
}

/// The use cases are a barrier by themselves: that of the store is off.
#[actix_web::test]
async fn no_operation_shows_what_a_store_mixes_up() {
    for sample in SAMPLES {
        let log = Log::start();
        let (world, canary) = mixed_up().await;
        let id = canary.id.to_string();
        let reply = world.call(sample.method, &sample.target(&id), (sample.body)(&id)).await;
        assert_eq!(reply.status, 500, "{}: {}", sample.id, reply.json);
        let request_id = reply.header("x-request-id");
        let error = json!({"code": "internal_error", "requestId": request_id});
        let envelope = json!({"success": false, "message": "Something went wrong on our side.", "error": error});
        assert_eq!(reply.json, envelope, "{}", sample.id);

        let text = log.text();
        assert!(text.contains("the store answered with what belongs to another partner"), "{}: {text}", sample.id);
        for personal in [id.as_str(), canary.name.as_str(), canary.email.as_str()] {
            assert!(!text.contains(personal), "{}: {text}", sample.id);
        }
        assert_eq!(world.store.find(canary.partner_id, canary.id).await, Ok(Some(canary.clone())), "{}", sample.id);
        let entries = world.store.entries(canary.partner_id, AuditFilter::default(), None, 100).await;
        assert_eq!(entries.expect("a trail").len(), 1, "{}", sample.id);
    }
}

#[actix_web::test]
async fn every_change_is_audited_and_nothing_else_is() {
    for sample in SAMPLES {
        let (world, user) = world().await;
        let before = trail(&world).await.len();
        let reply = world.call("GET", "/all-users", Value::Null).await;
        assert!(reply.status.is_success());
        let reply = world.call(sample.method, &sample.target(&user), (sample.body)(&user)).await;
        assert!(reply.status.is_success(), "{}: {}", sample.id, reply.json);
        let entries = trail(&world).await;
        let new: Vec<_> = entries[..entries.len() - before].iter().collect();
        let actions: Vec<_> = new.iter().filter_map(|entry| entry["action"].as_str()).collect();
        assert_eq!(actions, sample.action.into_iter().collect::<Vec<_>>(), "{}", sample.id);
        for entry in new {
            assert_eq!(entry["requestId"].as_str(), reply.header("x-request-id"), "{}", sample.id);
        }
    }
}

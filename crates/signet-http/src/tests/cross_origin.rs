use std::time::Duration;

use serde_json::{Value, json};

use super::support::{World, bearer, request};
use crate::Options;

const ORIGIN: &str = "https://app.example";

async fn world() -> World {
    let cors_origins = vec![ORIGIN.parse().expect("an origin"), "http://localhost:3000".parse().expect("an origin")];
    World::with(Options { cors_origins, ..Options::default() }).await
}

#[actix_web::test]
async fn a_preflight_of_an_allowed_origin_is_answered_on_every_route() {
    let world = world().await;
    for (path, methods) in [
        ("/partner/v1/register-user", "POST"),
        ("/partner/v1/all-users", "GET, HEAD"),
        ("/partner/v1/get-user", "GET, HEAD"),
        ("/partner/v1/update-user", "PATCH"),
        ("/partner/v1/remove-user", "DELETE"),
        ("/partner/v1/audit-trail", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
    ] {
        let asked = request("OPTIONS", path)
            .insert_header(("origin", ORIGIN))
            .insert_header(("access-control-request-method", "PATCH"))
            .insert_header(("access-control-request-headers", "authorization,content-type"));
        let reply = world.send(asked).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(ORIGIN));
        assert_eq!(reply.header("access-control-allow-methods"), Some(methods));
        let allowed = reply.header("access-control-allow-headers").expect("headers");
        assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
}

#[actix_web::test]
async fn other_origins_and_plain_options_are_refused_as_ever() {
    for (world, origin, asks) in [
        (world().await, Some("https://evil.example"), true),
        (world().await, Some("null"), true),
        (world().await, Some("https://app.example.evil.example"), true),
        (world().await, None, true),
        (world().await, Some(ORIGIN), false),
        (World::new().await, Some(ORIGIN), true),
    ] {
        let mut asked = request("OPTIONS", "/partner/v1/update-user");
        if let Some(origin) = origin {
            asked = asked.insert_header(("origin", origin));
        }
        if asks {
            asked = asked.insert_header(("access-control-request-method", "PATCH"));
        }
        let reply = world.send(asked).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code(), reply.header("allow")),
            (405, "method_not_allowed", Some("PATCH"))
        );
        assert_eq!(reply.header("access-control-allow-methods"), None);
        let may_read = !world.shared.options.cors_origins.is_empty() && origin == Some(ORIGIN);
        assert_eq!(reply.header("access-control-allow-origin").is_some(), may_read, "{origin:?}");
    }
}

/// A page can read why it was refused.
#[actix_web::test]
async fn every_answer_to_an_allowed_origin_can_be_read() {
    let world = world().await;
    let new = json!({"name": "John", "email": "john@example.com"});
    for (method, path, key, body, status) in [
        ("POST", "/partner/v1/register-user", &*world.key, new.clone(), 201),
        ("POST", "/partner/v1/register-user", &world.key, new, 409),
        ("POST", "/partner/v1/register-user", "nonsense", Value::Null, 401),
        ("GET", "/partner/v1/register-user", &world.key, Value::Null, 405),
        ("GET", "/partner/v1/all-users?limit=0", &world.key, Value::Null, 400),
        ("GET", "/nowhere", &world.key, Value::Null, 404),
    ] {
        for origin in [ORIGIN, "http://localhost:3000", "https://evil.example"] {
            let mut asked = request(method, path).insert_header(bearer(key)).insert_header(("origin", origin));
            if !body.is_null() {
                asked = asked.set_json(&body);
            }
            let reply = world.send(asked).await;
            assert!(reply.status == status || reply.status == 409, "{method} {path}");
            let allowed = (origin != "https://evil.example").then_some(origin);
            assert_eq!(reply.header("access-control-allow-origin"), allowed, "{method} {path}");
            let exposed = reply.header("access-control-expose-headers");
            assert_eq!(exposed.is_some_and(|names| names.contains("x-request-id")), allowed.is_some());
            let vary: Vec<_> = reply.headers.get_all("vary").filter_map(|vary| vary.to_str().ok()).collect();
            assert!(vary.contains(&"origin"), "{vary:?}");
        }
    }
}

#[actix_web::test]
async fn browsers_are_told_to_stay_with_https_if_the_operator_says_so() {
    let world = World::with(Options { hsts: Some(Duration::from_hours(24)), ..Options::default() }).await;
    for path in ["/docs", "/partner/v1/all-users", "/nowhere"] {
        let reply = world.send(request("GET", path)).await;
        assert_eq!(reply.header("strict-transport-security"), Some("max-age=86400"), "{path}");
    }
    let reply = World::new().await.send(request("GET", "/docs")).await;
    assert_eq!(reply.header("strict-transport-security"), None);
}

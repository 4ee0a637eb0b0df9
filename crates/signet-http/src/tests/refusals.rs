use std::{io::Write, num::NonZeroU32, time::Duration};

use actix_web::{dev::Payload, error::PayloadError, http::header, web::Bytes};
use flate2::{Compression, write::GzEncoder};
use futures_util::stream;
use serde_json::{Value, json};
use signet_domain::KeyScope;

use super::support::{Reply, World, bearer, request};
use crate::{Options, RateLimit};

const USER: &str = "1a123288-24e8-4c6d-a847-501bab184f5a";

/// A body sent as it stands.
async fn raw(world: &World, method: &str, path: &str, body: impl Into<Bytes>) -> (u16, String, Vec<String>) {
    let request = request(method, &format!("/partner/v1{path}"))
        .insert_header(bearer(&world.key))
        .insert_header(("content-type", "application/json"))
        .set_payload(body);
    let reply = world.send(request).await;
    let blamed = reply.blamed().into_iter().map(str::to_owned).collect();
    (reply.status.as_u16(), reply.code().to_owned(), blamed)
}

#[actix_web::test]
async fn every_invalid_field_of_a_registration_is_named_at_once() {
    let world = World::new().await;
    for (body, blamed) in [
        (json!({}), &["name", "email"][..]),
        (json!({"name": "", "email": "x", "metadata": null, "staus": 1}), &["name", "email", "metadata", "staus"]),
        (json!({"name": null, "email": null}), &["name", "email"]),
        (json!({"name": 1, "email": ["a@b.c"]}), &["name", "email"]),
        (json!({"name": {"a": 1}, "email": true}), &["name", "email"]),
        (json!({"name": "a\u{0}b", "email": "a\u{0}@b.c", "metadata": {"k": "\u{0}"}}), &["name", "email", "metadata"]),
        (json!({"name": "x".repeat(201), "email": format!("{}@b.c", "a".repeat(254))}), &["name", "email"]),
        (json!({"name": "a", "email": "a@b.c", "metadata": []}), &["metadata"]),
        (json!({"name": "a", "email": "a@b.c", "metadata": {"": 1}}), &["metadata"]),
        (json!({"name": "a", "email": "a@b.c", "status": "active"}), &["status"]),
        (json!({"name": "a", "email": "a@b.c", "userId": USER}), &["userId"]),
        (json!(["a", "a@b.c"]), &["body"]),
        (json!("a"), &["body"]),
    ] {
        let found = raw(&world, "POST", "/register-user", body.to_string()).await;
        assert_eq!(
            found,
            (400, "validation_failed".to_owned(), blamed.iter().map(|&b| b.to_owned()).collect()),
            "{body}"
        );
    }
}

#[actix_web::test]
async fn every_invalid_field_of_an_update_is_named_at_once() {
    let world = World::new().await;
    for (body, blamed) in [
        (json!({"userId": USER}), &["body"][..]),
        (json!({"status": "active"}), &["userId"]),
        (json!({"userId": USER, "name": null, "email": null, "status": null}), &["name", "email", "status"]),
        (json!({"userId": USER, "metadata": []}), &["metadata"]),
        (json!({"userId": USER, "metadata": {"\u{0}": null}}), &["metadata"]),
        (json!({"userId": USER, "metadata": {"a": {"\u{0}": null}}}), &["metadata"]),
        (json!({"userId": USER, "metadata": {"": null}}), &["metadata"]),
        (json!({"userId": "x", "name": "", "metadata": {"k": "x".repeat(17_000)}}), &["userId", "name", "metadata"]),
        (json!({"userId": USER, "metadata": {"k".repeat(65): null}}), &["metadata"]),
        (json!({"userId": USER, "status": "removed"}), &["status"]),
        (json!({"userId": USER, "status": "Active"}), &["status"]),
        (json!({"userId": format!("{{{USER}}}"), "status": "active"}), &["userId"]),
        (json!({"userId": USER.replace('-', ""), "status": "active"}), &["userId"]),
        (json!({"userId": format!("urn:uuid:{USER}"), "status": "active"}), &["userId"]),
        (json!({"userId": 7, "staus": "active", "removedAt": null}), &["userId", "removedAt", "staus"]),
    ] {
        let found = raw(&world, "PATCH", "/update-user", body.to_string()).await;
        assert_eq!(
            found,
            (400, "validation_failed".to_owned(), blamed.iter().map(|&b| b.to_owned()).collect()),
            "{body}"
        );
    }
}

#[actix_web::test]
async fn a_body_that_is_no_json_is_malformed() {
    let world = World::new().await;
    for (method, path) in [("POST", "/register-user"), ("PATCH", "/update-user"), ("DELETE", "/remove-user")] {
        for body in [
            &b"{"[..],
            b"name=John",
            b"{\"userId\":\"a\",\"userId\":\"b\"}",
            b"{\"userId\":\"\\ud800\"}",
            b"{\"userId\":\"\xff\"}",
            b"{} {}",
        ] {
            let (status, code, blamed) = raw(&world, method, path, body).await;
            assert_eq!((status, &*code, blamed.is_empty()), (400, "malformed_json", true), "{path} {body:?}");
        }
    }
    assert_eq!(raw(&world, "POST", "/register-user", "").await.1, "malformed_json");
    let numbers = r#"{"name":"a","email":"a@b.c","metadata":{"n":123456789012345678901234567890}}"#;
    assert_eq!(raw(&world, "POST", "/register-user", numbers).await.2, ["metadata"]);
    let bomb =
        format!(r#"{{"name":"a","email":"a@b.c","metadata":{{"n":{}{}}}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    assert_eq!(raw(&world, "POST", "/register-user", bomb).await.2, ["metadata"]);
}

#[actix_web::test]
async fn a_query_is_read_strictly() {
    let world = World::new().await;
    for (path, blamed) in [
        ("/all-users?limit=0", &["limit"][..]),
        ("/all-users?limit=-1", &["limit"]),
        ("/all-users?limit=101&offset=-1", &["limit", "offset"]),
        ("/all-users?limit=&offset=", &["limit", "offset"]),
        ("/all-users?limit=+5", &["limit"]),
        ("/all-users?limit=%2B5", &["limit"]),
        ("/all-users?limit=5%20", &["limit"]),
        ("/all-users?limit=1e1", &["limit"]),
        ("/all-users?limit=%E0%A4", &["limit"]),
        ("/all-users?limit=%zz", &["limit"]),
        ("/all-users?limit=4294967297", &["limit"]),
        ("/all-users?offset=9223372036854775808", &["offset"]),
        ("/all-users?offset=99999999999999999999", &["offset"]),
        ("/all-users?limit=1&limit=1", &["limit"]),
        ("/all-users?Limit=1&page=2", &["Limit", "page"]),
        ("/get-user", &["userId"]),
        ("/get-user?userId", &["userId"]),
        ("/get-user?userId=1", &["userId"]),
        ("/get-user?userId=%00", &["userId"]),
        ("/get-user?user=1", &["userId", "user"]),
        ("/audit-trail?userId=x&action=y&limit=z&w", &["userId", "action", "limit", "w"]),
        ("/audit-trail?offset=1", &["offset"]),
    ] {
        let reply = world.call("GET", path, Value::Null).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code(), &*reply.blamed()),
            (400, "validation_failed", blamed),
            "{path}"
        );
    }
    for (method, path) in [("POST", "/register-user"), ("PATCH", "/update-user"), ("DELETE", "/remove-user")] {
        let reply = world.call(method, &format!("{path}?dryRun=true"), json!({"userId": USER})).await;
        assert_eq!(reply.code(), "validation_failed", "{path}");
        assert!(reply.blamed().contains(&"dryRun"), "{path}");
    }
    let reply = world.call("DELETE", "/remove-user?a=1&userId=x", json!({"b": 1})).await;
    assert_eq!(reply.blamed(), ["userId", "a", "userId", "b"], "both places");
}

#[actix_web::test]
async fn a_key_in_place_of_a_name_is_not_repeated() {
    let world = World::new().await;
    let name = "ä".repeat(64);
    assert_eq!(world.call("POST", "/register-user", json!({&name: 1})).await.blamed(), ["name", "email", &name]);
    let shown = format!("{}…", &world.key[..24]);
    assert_eq!(world.call("POST", "/register-user", json!({&world.key: 1})).await.blamed(), ["name", "email", &shown]);
    assert_eq!(world.call("GET", &format!("/all-users?{}", world.key), Value::Null).await.blamed(), [shown]);
}

#[actix_web::test]
async fn a_body_must_be_labelled_as_json_in_utf8() {
    let world = World::new().await;
    for (labels, status) in [
        (&[("content-type", "application/json")][..], 201),
        (&[("content-type", "Application/JSON; charset=\"UTF-8\"")], 409),
        (&[("content-type", "application/json; charset=utf8")], 409),
        (&[("content-type", "application/json; charset=utf-8; profile=x"), ("content-encoding", "identity")], 409),
        (&[], 415),
        (&[("content-type", "application/merge-patch+json")], 415),
        (&[("content-type", "application/json; charset=latin1")], 415),
        (&[("content-type", "application/json"), ("content-type", "application/json")], 415),
        (&[("content-type", "application/json"), ("content-encoding", "br")], 415),
    ] {
        let reply = send_labelled(&world, "POST", "/register-user", labels, NEW_USER).await;
        assert_eq!(reply.status, status, "{labels:?}");
        if status == 415 {
            assert_eq!(reply.code(), "unsupported_media_type");
            let coding = labels.iter().any(|(name, _)| *name == "content-encoding").then_some("gzip");
            assert_eq!(reply.header("accept-encoding"), coding, "{labels:?}");
        }
    }
}

#[actix_web::test]
async fn a_body_may_be_compressed() {
    let world = World::new().await;
    let labels = &[("content-type", "application/json"), ("content-encoding", "GZIP")][..];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(NEW_USER.as_bytes()).expect("memory");
    let body = encoder.finish().expect("memory");
    let user = send_labelled(&world, "POST", "/register-user", labels, body.clone()).await.data();
    assert_eq!(user["email"], "john@example.com");
    let cut = send_labelled(&world, "POST", "/register-user", labels, body[..20].to_vec()).await;
    assert_eq!((cut.status.as_u16(), cut.code()), (400, "malformed_json"));
    let mut bomb = GzEncoder::new(Vec::new(), Compression::fast());
    bomb.write_all(&vec![b' '; 5_000_000]).expect("memory");
    let bomb = send_labelled(&world, "POST", "/register-user", labels, bomb.finish().expect("memory")).await;
    assert_eq!((bomb.status.as_u16(), bomb.code()), (413, "payload_too_large"));
}

#[actix_web::test]
async fn a_merge_patch_is_accepted_by_update_user_alone() {
    let world = World::new().await;
    let label = &[("content-type", "application/merge-patch+json; charset=utf-8")][..];
    let user = send_labelled(&world, "POST", "/register-user", &[("content-type", "application/json")], NEW_USER).await;
    let id = user.data()["userId"].as_str().expect("an id").to_owned();
    let patch = json!({"userId": id, "metadata": {"a": 1}}).to_string();
    let updated = send_labelled(&world, "PATCH", "/update-user", label, patch).await;
    assert_eq!(updated.data()["metadata"], json!({"a": 1}));
    let reference = json!({"userId": id}).to_string();
    assert_eq!(send_labelled(&world, "DELETE", "/remove-user", label, reference).await.status, 415);
}

const NEW_USER: &str = r#"{"name":"John","email":"john@example.com"}"#;

async fn send_labelled(
    world: &World,
    method: &str,
    path: &str,
    labels: &[(&'static str, &'static str)],
    body: impl Into<Bytes>,
) -> Reply {
    let request = request(method, &format!("/partner/v1{path}")).insert_header(bearer(&world.key)).set_payload(body);
    world.send(labels.iter().fold(request, |request, label| request.append_header(*label))).await
}

#[actix_web::test]
async fn no_body_of_more_than_64_kib_is_read() {
    let world = World::new().await;
    let sized = |bytes: usize| {
        let frame = r#"{"name":"a","email":"a@b.c","metadata":{"m":""}}"#.len();
        format!(r#"{{"name":"a","email":"a@b.c","metadata":{{"m":"{}"}}}}"#, "x".repeat(bytes - frame))
    };
    assert_eq!(raw(&world, "POST", "/register-user", sized(64 * 1024)).await.2, ["metadata"], "read, and judged");
    assert_eq!(raw(&world, "POST", "/register-user", sized(64 * 1024 + 1)).await.1, "payload_too_large");

    // Nobody said how much would come, and it never ends.
    let chunks = stream::repeat_with(|| Ok::<_, PayloadError>(Bytes::from_static(&[b' '; 1024])));
    let request = request("POST", "/partner/v1/register-user").insert_header(bearer(&world.key)).to_request();
    let endless: actix_http::BoxedPayloadStream = Box::pin(chunks);
    let (request, _empty) = request.replace_payload(Payload::from(endless));
    assert_eq!(world.send_raw(request).await.status, 413);

    let lies = request_with_length(&world, "99999999999999999999999");
    assert_ne!(world.send(lies).await.status, 500);
    assert_eq!(world.send(request_with_length(&world, "65537")).await.status, 413);
}

fn request_with_length(world: &World, length: &'static str) -> actix_web::test::TestRequest {
    request("POST", "/partner/v1/register-user")
        .insert_header(bearer(&world.key))
        .insert_header((header::CONTENT_LENGTH, length))
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::with(Options { body_deadline: Duration::from_millis(20), ..Options::default() }).await;
    let request = request("POST", "/partner/v1/register-user").insert_header(bearer(&world.key)).to_request();
    let stalled: actix_http::BoxedPayloadStream = Box::pin(stream::pending());
    let (request, _empty) = request.replace_payload(Payload::from(stalled));
    let reply = world.send_raw(request).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (400, "malformed_json"));
}

#[actix_web::test]
async fn a_body_cut_short_is_malformed() {
    let world = World::new().await;
    let request = request("POST", "/partner/v1/register-user").insert_header(bearer(&world.key)).to_request();
    let cut: actix_http::BoxedPayloadStream =
        Box::pin(stream::iter([Ok(Bytes::from_static(b"{\"name\":")), Err(PayloadError::Incomplete(None))]));
    let (request, _empty) = request.replace_payload(Payload::from(cut));
    assert_eq!(world.send_raw(request).await.code(), "malformed_json");
}

#[actix_web::test]
async fn each_kind_of_bad_credentials_has_its_code() {
    let world = World::new().await;
    let (live, revoked) = (&world.key, world.key_of(world.partner, KeyScope::ReadWrite).await);
    world.revoke(&revoked).await;
    let typo = format!("{}{}", &live[..live.len() - 1], if live.ends_with('0') { '1' } else { '0' });
    let mut unknown = revoked.clone();
    unknown.secret = signet_domain::Secret::parse(&"z".repeat(32)).expect("a secret");
    for (line, code) in [
        (None, "missing_credentials"),
        (Some(format!("Basic {live}")), "malformed_credentials"),
        (Some("Bearer".to_owned()), "malformed_credentials"),
        (Some("Bearer ".to_owned()), "malformed_credentials"),
        (Some(live.clone()), "malformed_credentials"),
        (Some(format!("Bearer {typo}")), "malformed_credentials"),
        (Some("Bearer YOUR_API_KEY".to_owned()), "malformed_credentials"),
        (Some(format!("Bearer {}", unknown.expose())), "invalid_api_key"),
        (Some(format!("Bearer {}", revoked.expose())), "api_key_revoked"),
    ] {
        let mut request = request("GET", "/partner/v1/all-users?limit=0");
        if let Some(line) = &line {
            request = request.insert_header(("authorization", line.as_str()));
        }
        let reply = world.send(request).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (401, code), "{line:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"signet\""));
    }
    let twice = request("GET", "/partner/v1/all-users").append_header(bearer(live)).append_header(bearer(live));
    assert_eq!(world.send(twice).await.code(), "malformed_credentials");

    world.clock.advance(3_600_000);
    assert_eq!(world.call("GET", "/all-users", Value::Null).await.code(), "api_key_expired");
}

#[actix_web::test]
async fn what_a_key_may_not_do_is_forbidden() {
    let world = World::new().await;
    let reader = world.key_of(world.partner, KeyScope::ReadOnly).await.expose();
    assert_eq!(world.call_as(&reader, "GET", "/all-users", Value::Null).await.status, 200);
    for (method, path, body) in [
        ("POST", "/register-user", json!({"name": "a", "email": "a@b.c"})),
        ("PATCH", "/update-user", json!({"userId": USER, "name": "a"})),
        ("DELETE", "/remove-user", json!({"userId": USER})),
    ] {
        let reply = world.call_as(&reader, method, path, body).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (403, "insufficient_scope"), "{path}");
    }
    let other = world.key_of(world.partner, KeyScope::ReadWrite).await.expose();
    world.disable(world.partner).await;
    let reply = world.call_as(&other, "GET", "/all-users", Value::Null).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (403, "partner_disabled"));
}

#[actix_web::test]
async fn what_is_no_route_is_not_found() {
    let world = World::new().await;
    for path in [
        "/",
        "/partner",
        "/partner/v1",
        "/partner/v1/",
        "/partner/v1/get-user/",
        "//partner/v1/get-user",
        "/partner//v1/get-user",
        "/partner/v1/./get-user",
        "/Partner/v1/get-user",
        "/partner/v2/get-user",
        "/docs//",
        "/docs/index.html",
        "/docs/../openapi.json",
        "/docs/%2e%2e%2fopenapi.json",
        "/%00",
        "/favicon.ico",
    ] {
        let reply = world.send(request("GET", path)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "route_not_found"), "{path}");
    }
}

#[actix_web::test]
async fn a_method_that_a_route_does_not_have_is_refused_with_those_it_has() {
    let world = World::new().await;
    for (path, allow) in [
        ("/partner/v1/register-user", "POST"),
        ("/partner/v1/all-users", "GET, HEAD"),
        ("/partner/v1/get-user", "GET, HEAD"),
        ("/partner/v1/update-user", "PATCH"),
        ("/partner/v1/remove-user", "DELETE"),
        ("/partner/v1/audit-trail", "GET, HEAD"),
        ("/docs", "GET, HEAD"),
        ("/docs/", "GET, HEAD"),
        ("/docs/init.js", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/openapi.yaml", "GET, HEAD"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
            let reply = world.send(request(method, path)).await;
            if allow.split(", ").any(|allowed| allowed == method) {
                assert_ne!(reply.status, 405, "{method} {path}");
            } else {
                assert_eq!((reply.status.as_u16(), reply.code()), (405, "method_not_allowed"), "{method} {path}");
                assert_eq!(reply.header("allow"), Some(allow));
            }
        }
    }
}

#[actix_web::test]
async fn a_method_override_is_refused_with_the_method_to_use() {
    let world = World::new().await;
    for (sent, path, method) in [
        ("POST", "/partner/v1/update-user", "PATCH"),
        ("POST", "/partner/v1/remove-user", "DELETE"),
        ("POST", "/partner/v1/register-user", "POST"),
        ("GET", "/partner/v1/all-users", "GET"),
        ("POST", "/docs", "GET"),
    ] {
        for name in ["X-HTTP-Method-Override", "x-http-method", "X-METHOD-OVERRIDE"] {
            let request = request(sent, path).insert_header(bearer(&world.key)).insert_header((name, "DELETE"));
            let reply = world.send(request).await;
            assert_eq!((reply.status.as_u16(), reply.code()), (400, "validation_failed"), "{sent} {path}");
            let detail = &reply.json["error"]["details"][0];
            assert!(detail["field"].as_str().is_some_and(|field| field.eq_ignore_ascii_case(name)), "{detail}");
            assert!(detail["message"].as_str().is_some_and(|rule| rule.contains(&format!("as {method} "))), "{detail}");
        }
    }
    let both = request("POST", "/partner/v1/update-user")
        .insert_header(("x-http-method", ""))
        .insert_header(("x-method-override", "PATCH"));
    assert_eq!(world.send(both).await.blamed(), ["X-HTTP-Method", "X-Method-Override"]);
}

#[actix_web::test]
async fn a_request_id_of_the_client_is_kept_if_it_is_sane() {
    let world = World::new().await;
    let longest = "x".repeat(128);
    for sent in ["a", "0197.A_b-c", &longest] {
        let reply = world.send(request("GET", "/nowhere").insert_header(("x-request-id", sent))).await;
        assert_eq!(reply.header("x-request-id"), Some(sent));
    }
    let key = format!("of-{}", world.key);
    for sent in [&b""[..], b"a b", b"a/b", b"\xc3\xa9", "x".repeat(129).as_bytes(), key.as_bytes()] {
        let value = header::HeaderValue::from_bytes(sent).expect("a header");
        let reply = world.send(request("GET", "/nowhere").insert_header(("x-request-id", value))).await;
        assert!(reply.header("x-request-id").is_some_and(|made| made.starts_with("request-")));
    }
}

#[actix_web::test]
async fn a_partner_that_asks_too_often_waits_and_no_other_partner_does() {
    let one = NonZeroU32::MIN;
    let rate_limit = Some(RateLimit { per_second: one, burst: one });
    let world = World::with(Options { rate_limit, ..Options::default() }).await;
    assert_eq!(world.call("GET", "/all-users", Value::Null).await.status, 200);
    let reply = world.call("GET", "/all-users", Value::Null).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (429, "rate_limited"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    let stranger = world.stranger().await;
    assert_eq!(world.call_as(&stranger, "GET", "/all-users", Value::Null).await.status, 200);
}

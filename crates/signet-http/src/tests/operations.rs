use serde_json::{Value, json};

use super::support::{World, bearer, request};

const UNKNOWN: &str = "1a123288-24e8-4c6d-a847-501bab184f5a";

async fn john(world: &World) -> Value {
    world.call("POST", "/register-user", json!({"name": "John Doe", "email": "johasdn.doe@example.com"})).await.data()
}

#[actix_web::test]
async fn the_calls_of_the_specification_are_answered_as_it_shows() {
    let world = World::new().await;
    let reply =
        world.call("POST", "/register-user", json!({"name": " John Doe ", "email": "johasdn.doe@example.com"})).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.json["message"], "User registered successfully.");
    let id = reply.json["data"]["userId"].as_str().expect("an id").to_owned();
    let mut user = json!({
        "userId": id, "name": "John Doe", "email": "johasdn.doe@example.com", "status": "active", "metadata": {},
        "registeredAt": "2025-09-30T15:01:53.189Z", "updatedAt": "2025-09-30T15:01:53.189Z",
    });
    assert_eq!(reply.json["data"], user);
    let location = reply.header("location").expect("Location").to_owned();
    assert_eq!(location, format!("/partner/v1/get-user?userId={id}"));

    let reply = world.send(request("GET", &location).insert_header(bearer(&world.key))).await;
    assert_eq!(reply.json, json!({"success": true, "data": user}));

    let reply = world.call("GET", "/all-users", Value::Null).await;
    let pagination = json!({"limit": 20, "offset": 0, "total": 1, "hasMore": false});
    assert_eq!(
        reply.json,
        json!({
            "success": true, "message": "Users retrieved successfully.",
            "data": {"users": [user], "pagination": pagination},
        })
    );

    let now = world.clock.advance(1_000).to_string();
    let reply = world.call("PATCH", "/update-user", json!({"userId": id, "status": "suspended"})).await;
    user["status"] = "suspended".into();
    user["updatedAt"] = now.into();
    assert_eq!(reply.json, json!({"success": true, "message": "User updated successfully.", "data": user}));

    let now = world.clock.advance(1_000).to_string();
    let reply = world.call("DELETE", "/remove-user", json!({"userId": id})).await;
    let removed = json!({"userId": id, "status": "inactive", "removedAt": now});
    assert_eq!(reply.json, json!({"success": true, "message": "User removed successfully.", "data": removed}));
    assert_eq!(world.call("GET", &format!("/get-user?userId={id}"), Value::Null).await.data()["removedAt"], now);
}

#[actix_web::test]
async fn metadata_is_kept_and_patched_by_merging() {
    let world = World::new().await;
    let metadata = json!({"plan": "gold", "tags": ["eu", 1.5, null], "nested": {"a": 1, "b": 2}});
    let new = json!({"name": "Jane", "email": "jane@example.com", "metadata": metadata});
    let id = world.call("POST", "/register-user", new).await.data()["userId"].clone();
    let patch = json!({"userId": id, "metadata": {"plan": null, "nested": {"b": null, "c": 3}}});
    let user = world.call("PATCH", "/update-user", patch).await.data();
    assert_eq!(user["metadata"], json!({"tags": ["eu", 1.5, null], "nested": {"a": 1, "c": 3}}));

    let same = world.call("PATCH", "/update-user", json!({"userId": id, "metadata": {}})).await.data();
    assert_eq!(same, user, "an empty patch changes nothing");
    let cleared = world.call("PATCH", "/update-user", json!({"userId": id, "metadata": null})).await.data();
    assert_eq!(cleared["metadata"], json!({}));
    let trail = world.call("GET", "/audit-trail", Value::Null).await.data();
    assert_eq!(trail["entries"][0]["changes"]["metadata"], json!({"from": user["metadata"], "to": {}}));
    let again = world.call("PATCH", "/update-user", json!({"userId": id, "metadata": null})).await.data();
    assert_eq!(again, cleared, "there is nothing left to clear");
}

#[actix_web::test]
async fn a_taken_address_names_its_user() {
    let world = World::new().await;
    let id = john(&world).await["userId"].clone();
    let reply = world.call("POST", "/register-user", json!({"name": "J", "email": "JOHASDN.doe@example.com"})).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (409, "email_taken"));
    assert_eq!(reply.json["error"]["existingUserId"], id);
    assert_eq!(reply.blamed(), ["email"]);

    let other = world.call("POST", "/register-user", json!({"name": "J", "email": "j@example.com"})).await.data();
    let patch = json!({"userId": other["userId"], "email": "johasdn.doe@example.com"});
    let reply = world.call("PATCH", "/update-user", patch).await;
    assert_eq!((reply.status.as_u16(), &reply.json["error"]["existingUserId"]), (409, &id));
    assert_eq!(reply.json["error"]["existingUserStatus"], "active");
    assert_eq!(reply.json["error"].get("existingUserRemovedAt"), None);
}

#[actix_web::test]
async fn address_of_a_removed_user_says_how_to_restore_it() {
    let world = World::new().await;
    let id = john(&world).await["userId"].clone();
    let removed = world.call("DELETE", "/remove-user", json!({"userId": id})).await.data();
    let reply = world.call("POST", "/register-user", json!({"name": "J", "email": "JOHASDN.doe@example.com"})).await;
    let error = &reply.json["error"];
    assert_eq!((reply.status.as_u16(), reply.code(), &error["existingUserId"]), (409, "email_taken", &id));
    assert_eq!(
        (&error["existingUserStatus"], &error["existingUserRemovedAt"]),
        (&json!("inactive"), &removed["removedAt"])
    );
    let message = reply.json["message"].as_str().expect("a message");
    assert!(message.contains("update-user") && message.contains("active or suspended"), "{message}");
    let restored = world.call("PATCH", "/update-user", json!({"userId": id, "status": "active"})).await.data();
    assert_eq!(restored["status"], "active");
}

#[actix_web::test]
async fn email_refusal_names_its_reason() {
    let world = World::new().await;
    for (email, reason) in [
        (format!("{}@example.com", "a".repeat(65)), "must have at most 64 bytes (octets of UTF-8) before the @"),
        ("jane\u{200b}@example.com".to_owned(), "must not contain U+200B, an invisible character (character 5)"),
        (
            "jane@example\u{3002}com".to_owned(),
            "must not contain U+3002, a character that no address can have there (character 13)",
        ),
    ] {
        let reply = world.call("POST", "/register-user", json!({"name": "J", "email": email})).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "validation_failed"));
        assert_eq!(reply.json["error"]["details"], json!([{"field": "email", "message": reason}]));
    }
    for (one, other) in
        [("info@bücher.example", "info@xn--bcher-kva.example"), ("İx@example.com", "i\u{307}X@example.com")]
    {
        let first = world.call("POST", "/register-user", json!({"name": "J", "email": one})).await;
        let first = first.data();
        assert_eq!(first["email"], one);
        let second = world.call("POST", "/register-user", json!({"name": "J", "email": other})).await;
        assert_eq!(second.json["error"]["existingUserId"], first["userId"]);
    }
    for (name, status) in [("\u{3164}\u{200b}", 400), ("\u{feff}Jane", 201), ("👩\u{200d}👧", 201)] {
        let email = format!("{status}{}@example.com", name.len());
        let reply = world.call("POST", "/register-user", json!({"name": name, "email": email})).await;
        assert_eq!(reply.status.as_u16(), status, "{name}");
    }
}

#[actix_web::test]
async fn removing_again_keeps_the_first_time_and_an_id_may_stand_in_body_or_query() {
    let world = World::new().await;
    let id = john(&world).await["userId"].as_str().expect("an id").to_owned();
    let first = world.call("DELETE", &format!("/remove-user?userId={id}"), Value::Null).await.data();
    world.clock.advance(1_000);
    let same = format!("/remove-user?userId={}", id.to_uppercase());
    for (path, body) in
        [("/remove-user", json!({"userId": id})), (&*same, json!({"userId": id})), (&*same, Value::Null)]
    {
        assert_eq!(world.call("DELETE", path, body).await.data(), first, "{path}");
    }
    let differing = world.call("DELETE", &format!("/remove-user?userId={UNKNOWN}"), json!({"userId": id})).await;
    assert_eq!((differing.code(), differing.blamed()), ("validation_failed", vec!["userId"]));
    for (path, body) in [("/remove-user", Value::Null), ("/remove-user", json!({})), (&*same, json!({}))] {
        let reply = world.call("DELETE", path, body).await;
        assert_eq!((reply.code(), reply.blamed()), ("validation_failed", vec!["userId"]));
    }
    let trail = world.call("GET", "/audit-trail?action=user.removed", Value::Null).await.data();
    assert_eq!(trail["entries"].as_array().map(Vec::len), Some(1));

    let restored = world.call("PATCH", "/update-user", json!({"userId": id, "status": "active"})).await.data();
    assert_eq!((&restored["status"], restored.get("removedAt")), (&json!("active"), None));
}

#[actix_web::test]
async fn pages_of_users_follow_the_order_of_registration() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let new = json!({"name": "User", "email": format!("{number}@example.com")});
        ids.push(world.call("POST", "/register-user", new).await.data()["userId"].clone());
    }
    for (query, expected, has_more) in [
        ("limit=2", &ids[..2], true),
        ("limit=2&offset=2", &ids[2..4], true),
        ("offset=3&limit=2", &ids[3..], false),
        ("offset=5", &[], false),
        ("offset=9223372036854775807", &[], false),
        ("limit=100", &ids[..], false),
        ("&limit=002&", &ids[..2], true),
    ] {
        let data = world.call("GET", &format!("/all-users?{query}"), Value::Null).await.data();
        let found: Vec<_> = data["users"].as_array().into_iter().flatten().map(|user| user["userId"].clone()).collect();
        assert_eq!(found, expected, "{query}");
        assert_eq!((&data["pagination"]["hasMore"], &data["pagination"]["total"]), (&json!(has_more), &json!(5)));
    }
}

#[actix_web::test]
async fn the_trail_tells_who_changed_what_from_where() {
    let world = World::new().await;
    let peer = "192.0.2.7:50000".parse().expect("an address");
    let register = request("POST", "/partner/v1/register-user")
        .insert_header(bearer(&world.key))
        .insert_header(("x-request-id", "my-request.1"))
        .insert_header(("x-forwarded-for", "203.0.113.66"))
        .peer_addr(peer)
        .set_json(json!({"name": "John Doe", "email": "john@example.com"}));
    let reply = world.send(register).await;
    assert_eq!(reply.header("x-request-id"), Some("my-request.1"));
    let user = reply.data();
    let data = world.call("GET", "/audit-trail", Value::Null).await.data();
    let entry = &data["entries"][0];
    assert_eq!(data["pagination"], json!({"limit": 20, "hasMore": false}));
    assert_eq!(
        *entry,
        json!({
            "entryId": entry["entryId"],
            "userId": user["userId"],
            "action": "user.registered",
            "actor": {"type": "api_key", "id": entry["actor"]["id"], "name": "Backend"},
            "changes": {
                "name": {"from": null, "to": "John Doe"},
                "email": {"from": null, "to": "john@example.com"},
                "status": {"from": null, "to": "active"},
                "metadata": {"from": null, "to": {}},
            },
            "requestId": "my-request.1",
            "ipAddress": "192.0.2.7",
            "occurredAt": user["registeredAt"],
        })
    );
    assert!(world.key.contains(entry["actor"]["id"].as_str().expect("a key id")));
}

#[actix_web::test]
async fn the_trail_is_paged_by_cursors_that_belong_to_their_filters() {
    let world = World::new().await;
    let id = john(&world).await["userId"].as_str().expect("an id").to_owned();
    for status in ["suspended", "inactive", "active"] {
        world.clock.advance(1);
        world.call("PATCH", "/update-user", json!({"userId": id, "status": status})).await.data();
    }
    let path = format!("/audit-trail?limit=2&userId={id}");
    let first = world.call("GET", &path, Value::Null).await.data();
    assert_eq!(first["entries"][0]["changes"]["status"]["to"], "active");
    assert_eq!(first["pagination"]["hasMore"], true);
    let cursor = first["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let second = world.call("GET", &format!("{path}&cursor={cursor}"), Value::Null).await.data();
    assert_eq!(second["entries"][1]["action"], "user.registered");
    assert_eq!(second["pagination"], json!({"limit": 2, "hasMore": false}));
    for other in [format!("cursor={cursor}"), format!("cursor={cursor}&userId={UNKNOWN}"), "cursor=".to_owned()] {
        let reply = world.call("GET", &format!("/audit-trail?{other}"), Value::Null).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "invalid_cursor"), "{other}");
    }
}

#[actix_web::test]
async fn head_goes_with_get() {
    let world = World::new().await;
    assert_eq!(world.call("HEAD", "/all-users", Value::Null).await.status, 200);
    assert_eq!(world.call("HEAD", "/register-user", Value::Null).await.code(), "method_not_allowed");
}

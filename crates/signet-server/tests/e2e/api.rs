use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};

use crate::{
    client::Client,
    database::{Place, on_both},
};

fn user_id(user: &Value) -> &str {
    user["userId"].as_str().expect("an id")
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_else(|| panic!("no refusal: {answer}"))
}

fn john(client: &Client) -> Value {
    let reply = client.register("johasdn.doe@example.com");
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body["data"].clone()
}

on_both! {
    fn the_life_of_a_user(place: &Place) {
        let (_server, client) = place.service();
        let registered = client.register("johasdn.doe@example.com");
        let user = registered.body["data"].clone();
        let id = user_id(&user);
        assert_eq!(registered.body["message"], "User registered successfully.");
        assert_eq!((&user["name"], &user["status"], &user["metadata"]), (&json!("John Doe"), &json!("active"), &json!({})));
        let location = registered.headers["location"].to_str().expect("a path");
        assert_eq!(client.get(location).body, json!({ "success": true, "data": user }));

        let taken = client.register("JOHASDN.DOE@EXAMPLE.COM");
        assert_eq!((taken.status, code(&taken.body)), (409, "email_taken"));
        assert_eq!(taken.body["error"]["existingUserId"], id);

        let patch = json!({ "userId": id, "status": "suspended", "metadata": { "plan": "gold" } });
        let suspended = client.send("PATCH", "/partner/v1/update-user", &patch).body;
        assert_eq!(suspended["message"], "User updated successfully.");
        assert_eq!((&suspended["data"]["status"], &suspended["data"]["metadata"]["plan"]), (&json!("suspended"), &json!("gold")));
        let again = client.send("PATCH", "/partner/v1/update-user", &patch).body;
        assert_eq!(again, suspended, "an update that changes nothing leaves no trace");

        let removed = client.send("DELETE", "/partner/v1/remove-user", &json!({ "userId": id })).body;
        assert_eq!((&removed["data"]["userId"], &removed["data"]["status"]), (&json!(id), &json!("inactive")));
        let again = client.send("DELETE", &format!("/partner/v1/remove-user?userId={id}"), &json!({ "userId": id })).body;
        assert_eq!(again, removed);

        let page = client.get("/partner/v1/all-users").body;
        assert_eq!(page["message"], "Users retrieved successfully.");
        assert_eq!(page["data"]["pagination"], json!({ "limit": 20, "offset": 0, "total": 1, "hasMore": false }));
        assert_eq!(page["data"]["users"][0]["removedAt"], removed["data"]["removedAt"]);

        let restore = json!({ "userId": id, "status": "active" });
        let restored = client.send("PATCH", "/partner/v1/update-user", &restore).body;
        assert_eq!((&restored["data"]["status"], restored["data"].get("removedAt")), (&json!("active"), None));

        let trail = client.get("/partner/v1/audit-trail").body;
        let entries = trail["data"]["entries"].as_array().expect("entries");
        let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().expect("a word")).collect();
        assert_eq!(actions, ["user.restored", "user.removed", "user.updated", "user.registered"]);
        let first = &entries[3];
        assert_eq!((&first["userId"], &first["actor"]["name"]), (&json!(id), &json!("Backend")));
        assert_eq!((&first["ipAddress"], &first["occurredAt"]), (&json!("127.0.0.1"), &user["registeredAt"]));
        assert_eq!(first["requestId"], registered.headers["x-request-id"].to_str().expect("an id"));
    }

    fn partners_are_apart(place: &Place) {
        let (server, client) = place.service();
        let stranger = server.client(&place.partner().key);
        let user = john(&client);
        let id = user_id(&user);
        for (method, path) in [("PATCH", "update-user"), ("DELETE", "remove-user")] {
            let body = if method == "PATCH" { json!({ "userId": id, "name": "Mallory" }) } else { json!({ "userId": id }) };
            let reply = stranger.send(method, &format!("/partner/v1/{path}"), &body);
            assert_eq!((reply.status, code(&reply.body)), (404, "user_not_found"));
        }
        let reply = stranger.get(&format!("/partner/v1/get-user?userId={id}"));
        assert_eq!((reply.status, code(&reply.body)), (404, "user_not_found"));
        assert_eq!(stranger.get("/partner/v1/all-users").body["data"]["pagination"]["total"], 0);
        let trail = stranger.get(&format!("/partner/v1/audit-trail?userId={id}")).body;
        assert_eq!(trail["data"]["entries"], json!([]));
        // The address is free under another partner.
        assert_eq!(stranger.register("johasdn.doe@example.com").status, 201);
        assert_eq!(client.get(&format!("/partner/v1/get-user?userId={id}")).body["data"], user);
    }

    fn patches_at_the_same_time_all_survive(place: &Place) {
        let (server, client) = place.service();
        let user = john(&client);
        let id = user_id(&user);
        let client = &client;
        std::thread::scope(|scope| {
            for number in 0..8 {
                scope.spawn(move || {
                    let patch = json!({ "userId": id, "metadata": { format!("key{number}"): number } });
                    let reply = client.send("PATCH", "/partner/v1/update-user", &patch);
                    assert_eq!(reply.status, 200, "{}", reply.body);
                });
            }
        });
        let metadata = &client.get(&format!("/partner/v1/get-user?userId={id}")).body["data"]["metadata"];
        assert_eq!(metadata.as_object().map(serde_json::Map::len), Some(8), "{metadata}");
        let trail = client.get(&format!("/partner/v1/audit-trail?userId={id}")).body;
        assert_eq!(trail["data"]["entries"].as_array().map(Vec::len), Some(9));
        drop(server);
    }

    fn registrations_at_the_same_time_make_one_user(place: &Place) {
        let (server, client) = place.service();
        let client = &client;
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(|| client.register("race@example.com").status)).collect();
            racers.into_iter().map(|racer| racer.join().expect("no panic")).collect()
        });
        assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|&&status| status == 409).count(), 7, "{statuses:?}");
        assert_eq!(client.get("/partner/v1/all-users").body["data"]["pagination"]["total"], 1);
        drop(server);
    }

    fn what_was_acknowledged_survives_a_kill(place: &Place) {
        let key = place.partner().key;
        let mut server = place.serve(&[]);
        let acknowledged = Mutex::new(Vec::new());
        let (enough, is_enough) = mpsc::channel();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (client, acknowledged, enough) = (server.client(&key), &acknowledged, enough.clone());
                scope.spawn(move || {
                    for number in 0.. {
                        let user = json!({ "name": "John Doe", "email": format!("user{number}@writer{writer}.example") });
                        let Ok(reply) = client.try_send("POST", "/partner/v1/register-user", &user) else { break };
                        assert_eq!(reply.status, 201, "{}", reply.body);
                        acknowledged.lock().expect("no panic").push(reply.body["data"].clone());
                        // Nobody counts any more once the server is killed.
                        let _ = enough.send(());
                    }
                });
            }
            is_enough.iter().take(50).for_each(drop);
            server.signal(rustix::process::Signal::KILL);
        });
        server.wait();
        let server = place.serve(&[]);
        let client = server.client(&key);
        let acknowledged = acknowledged.into_inner().expect("no panic");
        for user in &acknowledged {
            let id = user_id(user);
            assert_eq!(client.get(&format!("/partner/v1/get-user?userId={id}")).body["data"], *user);
            let trail = client.get(&format!("/partner/v1/audit-trail?userId={id}")).body;
            assert_eq!(trail["data"]["entries"].as_array().map(Vec::len), Some(1), "{trail}");
        }
        // The last of each writer may have been committed and not acknowledged.
        let total = client.get("/partner/v1/all-users").body["data"]["pagination"]["total"].as_u64().expect("a number");
        let known = u64::try_from(acknowledged.len()).expect("a number");
        assert!((known..=known + 4).contains(&total), "{total} of {known}");
    }

    fn what_is_wrong_is_told_in_the_envelope(place: &Place) {
        let (server, client) = place.service();
        let bad = client.send("POST", "/partner/v1/register-user", &json!({ "name": "", "emial": "x", "metadata": 1 }));
        assert_eq!((bad.status, code(&bad.body)), (400, "validation_failed"));
        let fields: Vec<_> = bad.body["error"]["details"].as_array().expect("details").iter().map(|detail| detail["field"].clone()).collect();
        assert_eq!(fields, ["name", "email", "metadata", "emial"]);
        for (path, status, expected) in [
            ("/partner/v1/get-user?userId", 400, "validation_failed"),
            ("/partner/v1/get-user?userId=1a123288-24e8-4c6d-a847-501bab184f5a", 404, "user_not_found"),
            ("/partner/v1/register-user", 405, "method_not_allowed"),
            ("/partner/v1/all-users?limit=101", 400, "validation_failed"),
            ("/partner/v1/audit-trail?cursor=nonsense", 400, "invalid_cursor"),
            ("/nowhere", 404, "route_not_found"),
        ] {
            let reply = client.get(path);
            assert_eq!((reply.status, code(&reply.body)), (status, expected), "{path}");
            assert_eq!(reply.headers["cache-control"], "no-store");
            assert_eq!(reply.headers["x-content-type-options"], "nosniff");
            assert_eq!(reply.body["error"]["requestId"], reply.headers["x-request-id"].to_str().expect("an id"));
        }
        for (key, expected) in [
            ("nonsense", "malformed_credentials"),
            // Well-formed, with the right checksum, and unknown.
            ("signet_test_0123456789abcdef_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123451lBh5l", "invalid_api_key"),
        ] {
            let reply = server.client(key).get("/partner/v1/all-users");
            assert_eq!((reply.status, code(&reply.body)), (401, expected));
            assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"signet\"");
        }
    }
}

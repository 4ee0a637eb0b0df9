//! What version 0.1.0 stored, served by this version.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use signet_testkit::Fixture;

use crate::{
    client::Client,
    database::{Place, on_both},
    program::{run, signet},
};

/// All items of a list of the API.
fn all(client: &Client, path: &str, items: &str) -> Vec<Value> {
    let (mut found, mut next) = (Vec::new(), String::new());
    loop {
        let reply = client.get(&format!("/partner/v1/{path}?limit=100{next}"));
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        let data = &reply.body["data"];
        found.extend(data[items].as_array().expect("a list").clone());
        if data["pagination"]["hasMore"] != true {
            return found;
        }
        next = data["pagination"]["nextCursor"]
            .as_str()
            .map_or_else(|| format!("&offset={}", found.len()), |cursor| format!("&cursor={cursor}"));
    }
}

/// The id of each user by its address.
fn ids(answers: &Value) -> BTreeMap<&str, &str> {
    let users = answers["users"]["live"].as_array().expect("users");
    users.iter().map(|user| (user["email"].as_str().expect("text"), user["userId"].as_str().expect("text"))).collect()
}

fn update(client: &Client, id: &str, mut patch: Value) -> crate::client::Reply {
    patch["userId"] = json!(id);
    client.send("PATCH", "/partner/v1/update-user", &patch)
}

fn migrate(place: &Place) -> String {
    let told = run(signet(place.path(), &["migrate", "--database-url", &place.url()]));
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
    told.out
}

on_both! {
    fn database_of_version_0_1_0_keeps_working(place: &Place) {
        let answers: Value = serde_json::from_str(&place.restore(Fixture::V0_1_0)).expect("JSON");
        let ids = ids(&answers);
        let key = |name: &str| answers["keys"][name]["token"].as_str().expect("a key");

        // The migration names both users of a collision by their ids, and nobody's address.
        let told = migrate(place);
        assert!(told.starts_with("1 migration applied.\n") && !told.contains('@'), "{told}");
        for (loser, holder) in [
            ("info@bücher.example", "Info@xn--bcher-kva.example"),
            ("\"john.smith\"@example.com", "john.smith@example.com"),
        ] {
            let line = format!("User {} of partner", ids[loser]);
            let line = told.lines().find(|told| told.starts_with(&line)).unwrap_or_else(|| panic!("{loser}: {told}"));
            assert!(line.contains(ids[holder]), "{line}");
        }
        assert_eq!(told.lines().count(), 3, "{told}");
        assert_eq!(migrate(place), "The database is up to date.\n");

        // Everything reads as it was answered then.
        let mut server = place.serve(&["--tls", "off"]);
        let client = server.client(key("live"));
        assert_eq!(json!(all(&client, "all-users", "users")), answers["users"]["live"]);
        assert_eq!(json!(all(&client, "audit-trail", "entries")), answers["auditTrail"]["live"]);
        for user in answers["users"]["live"].as_array().expect("users") {
            let reply = client.get(&format!("/partner/v1/get-user?userId={}", user["userId"].as_str().expect("text")));
            assert_eq!((reply.status, &reply.body["data"]), (200, user));
        }
        for (name, status) in [
            ("read_only", 200), ("test", 200), ("test_read_only", 200), ("expiring", 200), ("invisible_name", 200),
            ("expired", 401), ("revoked", 401), ("of_disabled_partner", 403),
        ] {
            assert_eq!(server.client(key(name)).get("/partner/v1/all-users").status, status, "{name}");
        }

        // The new keys count.
        for (address, holder) in [
            ("INFO@bücher.example", Some("Info@xn--bcher-kva.example")),
            ("\"John.Smith\"@example.com", Some("john.smith@example.com")),
            ("anna@xn--strae-oqa.example", Some("anna@straße.example")),
            ("i\u{307}X@example.com", Some("İx@example.com")),
            ("after@xn--strae-oqa.example", Some("After@Straße.example")),
            ("Иван@xn--80a1acny.xn--p1ai", Some("иван@почта.рф")),
            ("anna@strasse.example", None),
        ] {
            let reply = client.register(address);
            assert_eq!(reply.status, if holder.is_some() { 409 } else { 201 }, "{address}: {}", reply.body);
            assert_eq!(reply.body["error"]["existingUserId"].as_str(), holder.map(|holder| ids[holder]), "{address}");
        }

        // Users that today's rules would refuse, and the losers of a collision, can be worked with.
        for address in [
            "root@[192.0.2.1]", "a\u{3164}b@example.com", "filler-name@example.com", "info@bücher.example",
            "\"john.smith\"@example.com", "a@my_host.example",
        ] {
            let id = ids[address];
            let reply = update(&client, id, json!({"status": "suspended", "metadata": {"seen": true}}));
            assert_eq!((reply.status, reply.body["data"]["email"].as_str()), (200, Some(address)), "{}", reply.body);
            let reply = client.send("DELETE", "/partner/v1/remove-user", &json!({"userId": id}));
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        let loser = ids["info@bücher.example"];
        let reply = update(&client, loser, json!({"status": "active", "email": "info@bücher.example"}));
        assert_eq!(reply.status, 200, "its own address is no conflict: {}", reply.body);
        let reply = update(&client, loser, json!({"email": "INFO@bücher.example"}));
        assert_eq!((reply.status, reply.body["error"]["existingUserId"].as_str()), (409, Some(ids["Info@xn--bcher-kva.example"])));
        let reply = update(&client, loser, json!({"email": "other@bücher.example"}));
        assert_eq!(reply.status, 200, "{}", reply.body);
        server.stop();
    }

    fn first_server_of_the_new_version_migrates(place: &Place) {
        let answers: Value = serde_json::from_str(&place.restore(Fixture::V0_1_0)).expect("JSON");
        let ids = ids(&answers);
        let mut server = place.serve(&["--tls", "off"]);
        let event = server.event(0, "two users have the same e-mail address by the current rule");
        assert!(ids.values().any(|id| event["user_id"] == **id), "{event}");
        assert!(!event.to_string().contains('@'), "{event}");
        let key = answers["keys"]["live"]["token"].as_str().expect("a key");
        assert_eq!(server.client(key).register("info@xn--bcher-kva.example").status, 409);
        server.stop();
    }
}

#[test]
fn verify_accepts_what_version_0_1_0_stored() {
    for place in [Place::sqlite(), Place::postgres()] {
        place.restore(Fixture::V0_1_0);
        migrate(&place);
        let told = run(signet(Path::new(place.path()), &["verify", "--database-url", &place.url()]));
        assert!(told.out.contains("users: 38, entries: 49"), "{told:?}");
    }
}

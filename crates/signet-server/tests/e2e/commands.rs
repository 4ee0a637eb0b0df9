use std::time::{Duration, Instant};

use crate::{
    client::Client,
    database::{Place, on_both},
    program::{migration_count, run, signet},
};

/// How soon a running server must have learned of what another process did: the 30 seconds that are promised, and some
/// for a machine that is busy.
const LEARNED: Duration = Duration::from_mins(1);

/// Waits until the key is answered like that.
fn becomes(client: &Client, expected: &str) {
    let deadline = Instant::now() + LEARNED;
    loop {
        let answer = client.get("/partner/v1/all-users?limit=1").body;
        if answer["error"]["code"] == expected || (expected == "ok" && answer["success"] == true) {
            return;
        }
        assert!(Instant::now() < deadline, "{answer}");
        std::thread::yield_now();
    }
}

on_both! {
    fn partners_and_keys_are_managed_beside_a_running_server(place: &Place) {
        let server = place.serve(&[]);
        let partner = place.json(&["partner", "create", "--name", " Acme  Inc. "]);
        assert_eq!(partner["name"], "Acme  Inc.");
        assert_eq!(partner.as_object().map(serde_json::Map::len), Some(2), "{partner}");
        let id = partner["partnerId"].as_str().expect("an id");

        let key = place.json(&["key", "create", "--partner", id, "--name", "CI", "--test", "--expires-in", "90d"]);
        let (key_id, token) = (key["keyId"].as_str().expect("an id"), key["apiKey"].as_str().expect("a key"));
        assert!(token.starts_with(&format!("signet_test_{key_id}_")) && key["expiresAt"].is_string(), "{key}");
        let reader = place.json(&["key", "create", "--partner", id, "--name", "Reports", "--read-only"]);
        assert_eq!(reader.as_object().map(serde_json::Map::len), Some(2), "a key that does not expire: {reader}");

        let client = server.client(token);
        assert_eq!(client.register("john@example.com").status, 201);
        let read_only = server.client(reader["apiKey"].as_str().expect("a key"));
        assert_eq!(read_only.get("/partner/v1/all-users").body["data"]["pagination"]["total"], 1);
        assert_eq!(read_only.register("jane@example.com").body["error"]["code"], "insufficient_scope");

        let keys = place.json(&["key", "list", "--partner", id]);
        let states: Vec<_> = keys["keys"].as_array().expect("keys").iter().map(|key| key["state"].clone()).collect();
        assert_eq!(states, ["active", "active"]);
        assert!(!keys.to_string().contains(token), "a key is shown once");

        // What the server remembers ends of itself.
        let revoked = place.json(&["key", "revoke", key_id]);
        assert_eq!(revoked["keyId"], key_id);
        place.json(&["partner", "disable", id]);
        becomes(&client, "api_key_revoked");
        becomes(&read_only, "partner_disabled");
        assert!(place.json(&["partner", "list"])["partners"][0]["disabledAt"].is_string());
        place.json(&["partner", "enable", id]);
        becomes(&read_only, "ok");
        assert_eq!(place.json(&["key", "revoke", key_id]), revoked, "the first time stays");
    }

    fn without_json_they_speak_to_people(place: &Place) {
        let url = place.url();
        let tell = |arguments: &[&str]| {
            let told = run(signet(place.path(), &[arguments, &["--database-url", &url]].concat()));
            assert_eq!((told.code, told.err.as_str()), (Some(0), ""), "{told:?}");
            told.out
        };
        assert_eq!(tell(&["migrate"]), format!("{} migrations applied.\n", migration_count()));
        assert_eq!(tell(&["migrate"]), "The database is up to date.\n");
        let created = tell(&["partner", "create", "--name", "Acme"]);
        let id = created.split(' ').nth(1).expect("an id");
        assert_eq!(created, format!("Partner {id} (Acme) was created.\n"));
        assert!(tell(&["key", "create", "--partner", id, "--name", "CI"]).contains("not shown again"));
        assert!(tell(&["key", "list", "--partner", id]).starts_with("ID "));
        assert!(tell(&["partner", "list"]).contains(id));
        assert!(tell(&["partner", "disable", id]).contains("disabled"));
    }

    fn what_does_not_exist_is_told_in_one_line(place: &Place) {
        let nobody = "1a123288-24e8-4c6d-a847-501bab184f5a";
        let url = place.url();
        assert_eq!(run(signet(place.path(), &["migrate", "--database-url", &url])).code, Some(0));
        for (arguments, expected) in [
            (&["partner", "disable", nobody][..], "there is no partner"),
            (&["partner", "enable", nobody], "there is no partner"),
            (&["key", "list", "--partner", nobody], "there is no partner"),
            (&["key", "create", "--partner", nobody, "--name", "CI"], "cannot create the key: no such partner"),
            (&["key", "revoke", "0123456789abcdef"], "there is no key 0123456789abcdef"),
        ] {
            let told = run(signet(place.path(), &[arguments, &["--database-url", &url]].concat()));
            assert_eq!((told.code, told.out.as_str(), told.err.lines().count()), (Some(1), "", 1), "{told:?}");
            assert!(told.err.starts_with(&format!("error: {expected}")), "{told:?}");
        }
    }
}

#[test]
fn the_document_is_printed_in_both_formats() {
    let place = Place::sqlite();
    let yaml = run(signet(place.path(), &["openapi"]));
    assert!(yaml.out.starts_with("openapi: 3.1"), "{yaml:?}");
    assert_eq!(yaml.out, include_str!("../../../../openapi.yaml"));
    let json = run(signet(place.path(), &["openapi", "--format", "json"]));
    let document: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(document["info"]["title"], "Signet Partner Management");
    assert_eq!(std::fs::read_dir(place.path()).expect("a directory").count(), 0, "it needs no database");
}

#[test]
fn options_are_also_variables() {
    let place = Place::sqlite();
    let mut command = signet(place.path(), &["partner", "create"]);
    command
        .env("SIGNET_DATABASE_URL", "sqlite://other.db")
        .env("SIGNET_PARTNER_NAME", "Acme")
        .env("SIGNET_JSON", "true");
    let told = run(command);
    let partner: serde_json::Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(partner["name"], "Acme");
    assert!(place.path().join("other.db").exists());
    assert!(!place.path().join("signet.db").exists());
}

#[test]
fn command_without_use_for_an_empty_database_refuses_instead_of_making_one() {
    let place = Place::sqlite();
    let id = "1a123288-24e8-4c6d-a847-501bab184f5a";
    std::os::unix::fs::symlink("nowhere.db", place.path().join("signet.db")).expect("linked");
    for arguments in [
        &["partner", "list"][..],
        &["partner", "disable", id],
        &["partner", "enable", id],
        &["key", "create", "--partner", id, "--name", "CI"],
        &["key", "list", "--partner", id],
        &["key", "revoke", "0123456789abcdef"],
        &["verify"],
        &["backup", "copy.db"],
    ] {
        for (url, files) in [("sqlite://none.db", 1), ("sqlite://signet.db", 1)] {
            let told = run(signet(place.path(), &[arguments, &["--database-url", url]].concat()));
            assert_eq!((told.code, told.out.as_str(), told.err.lines().count()), (Some(1), "", 1), "{told:?}");
            assert_eq!(
                std::fs::read_dir(place.path()).expect("a directory").count(),
                files,
                "{arguments:?} made a file"
            );
        }
    }
    for (arguments, file) in [(&["migrate"][..], "a.db"), (&["partner", "create", "--name", "Acme"], "b.db")] {
        let url = format!("sqlite://{file}");
        let told = run(signet(place.path(), &[arguments, &["--database-url", &url]].concat()));
        assert_eq!((told.code, place.path().join(file).exists()), (Some(0), true), "{told:?}");
    }
}

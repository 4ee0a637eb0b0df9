use serde_json::{Value, json};

use crate::database::{Place, on_both};

on_both! {
    fn each_request_is_one_line_without_anything_personal(place: &Place) {
        let partner = place.partner();
        let mut server = place.serve(&["--log", "trace"]);
        let client = server.client(&partner.key);
        let canary = "canary\u{1b}[31m@example.com";
        let registered = client.send(
            "POST",
            "/partner/v1/register-user?canary=query",
            &json!({ "name": "Canary Name", "email": "canary@example.com" }),
        );
        assert_eq!(registered.status, 400);
        let reply = client.send(
            "POST",
            "/partner/v1/register-user",
            &json!({ "name": "Canary Name", "email": "canary@example.com", "metadata": { "canary": "canary" } }),
        );
        assert_eq!(reply.status, 201);
        assert_eq!(client.register("canary@example.com").status, 409);
        assert_eq!(client.register(canary).status, 400);
        client.get("/partner/v1/all-users?email=canary@example.com");
        client.get("/canary@example.com");
        server.client("signet_live_canary").get("/partner/v1/all-users");
        assert!(server.stop().success());

        let lines = server.log.all();
        let secret = partner.key.rsplit('_').next().expect("a secret");
        for line in &lines {
            let low = line.to_lowercase();
            assert!(!low.contains("canary") && !line.contains(secret), "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
        let requests: Vec<Value> = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["message"] == "request")
            .collect();
        let seen: Vec<_> = requests.iter().map(|event| (event["route"].as_str(), event["status"].as_u64())).collect();
        let route = |name| Some(name);
        assert_eq!(
            seen,
            [
                (route("/partner/v1/register-user"), Some(400)),
                (route("/partner/v1/register-user"), Some(201)),
                (route("/partner/v1/register-user"), Some(409)),
                (route("/partner/v1/register-user"), Some(400)),
                (route("/partner/v1/all-users"), Some(400)),
                (route("none"), Some(404)),
                (route("/partner/v1/all-users"), Some(401)),
            ]
        );
        assert_eq!(requests[1]["partner_id"], partner.id);
        assert_eq!(requests[1]["key_id"], partner.key_id);
        assert_eq!(requests[1]["request_id"], reply.headers["x-request-id"].to_str().expect("an id"));
        assert!(requests[1]["latency_us"].as_u64().is_some_and(|micros| micros > 0));
    }
}

#[test]
fn text_is_for_people() {
    let place = Place::sqlite();
    let server = place.serve(&["--log-format", "text", "--tls", "off"]);
    let line = server.log.wait_for(0, |line| line.contains("listener=\"api\"").then(|| line.to_owned()));
    assert!(line.contains(" INFO listening") && line.contains("url=\"http://localhost:"), "{line}");
}

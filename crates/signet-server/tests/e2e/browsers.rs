//! What the options for browsers change on the wire.

use serde_json::json;

use crate::{database::Place, outsider::Outsider};

#[test]
fn the_options_for_browsers_take_effect() {
    const ORIGIN: &str = "https://app.example";
    let place = Place::sqlite();
    let key = place.partner().key;
    let arguments = ["--cors-origin", "https://a.example,https://app.example", "--docs", "off", "--hsts", "365d"];
    let server = place.serve(&arguments);
    let outsider = Outsider::new(&server);
    let answer = outsider.ask("GET /docs", "", "");
    assert_eq!(answer.status, 404, "{answer:?}");

    let asks = format!("Origin: {ORIGIN}\r\nAccess-Control-Request-Method: POST\r\n");
    let preflight = outsider.ask("OPTIONS /partner/v1/register-user", &asks, "");
    assert_eq!(preflight.status, 204, "{preflight:?}");
    assert!(preflight.head.contains(&format!("access-control-allow-origin: {ORIGIN}\r\n")), "{preflight:?}");

    let registered = server.client(&key).send(
        "POST",
        "/partner/v1/register-user",
        &json!({ "name": "John Doe", "email": "john@example.com" }),
    );
    assert_eq!(registered.headers["strict-transport-security"], "max-age=31536000");
}

#[test]
fn without_options_browsers_get_pages_and_no_other_origin() {
    let place = Place::sqlite();
    let server = place.serve(&[]);
    let outsider = Outsider::new(&server);
    assert_eq!(outsider.ask("GET /", "Accept: text/html\r\n", "").status, 200);
    assert_eq!(outsider.ask("GET /", "", "").status, 404);
    assert_eq!(outsider.ask("GET /docs", "", "").status, 200);
    let asks = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
    assert_eq!(outsider.ask("OPTIONS /partner/v1/register-user", asks, "").status, 405);
    let reply = server.client("nonsense").get("/partner/v1/all-users");
    assert!(!reply.headers.contains_key("strict-transport-security"));
}

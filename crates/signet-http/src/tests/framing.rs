//! Which bytes are which request, and what bytes get that are none.

use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::Value;

use super::wire::{Client, Server, patient};

/// A request and all that is answered to it until the server closes.
async fn exchange(server: &Server, request: &str) -> String {
    let mut client = server.connect().await;
    client.send(request).await;
    client.rest().await
}

#[actix_web::test]
async fn what_is_no_request_is_refused_in_the_envelope() {
    let server = Server::start(patient()).await;
    let many = (0..100).fold(String::new(), |lines, number| lines + &format!("X-{number}: a\r\n"));
    let long = "a".repeat(200 * 1024);
    let requests = [
        "nonsense\r\n\r\n".to_owned(),
        "GET /docs\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /docs HTTP/1.1\r\n\r\n".to_owned(),
        "GET /docs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET /docs HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n".to_owned(),
        "GET /partner/v1/get-user?userId=<id> HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /partner/v1/get-user?userId=jos\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "POST /docs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        "POST /docs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "POST /docs HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na".to_owned(),
        "POST /docs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
        format!("GET /docs HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
        format!("GET /docs?{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /docs HTTP/1.1\r\nHost: a\r\nX-Long: {long}"),
    ];
    for request in &requests {
        let shown: String = request.chars().take(100).collect();
        let answer = exchange(&server, request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{shown}: {answer}"));
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{shown}: {head}");
        for line in ["connection: close", "cache-control: no-store", "x-content-type-options: nosniff"] {
            assert!(head.lines().any(|found| found == line), "{shown}: {head}");
        }
        let json: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{shown}: {error}: {body}"));
        assert_eq!((&json["success"], &json["error"]["code"]), (&false.into(), &"validation_failed".into()));
        assert_eq!(json["error"]["details"][0]["field"], "request");
        let id = head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
        assert_eq!(json["error"]["requestId"], id);
    }
    let mut registry = Registry::default();
    server.metrics.register(&mut registry);
    let mut counted = String::new();
    encode(&mut counted, &registry).expect("text");
    let line = format!(r#"http_requests_total{{route="none",method="OTHER",status="400"}} {}"#, requests.len());
    assert!(counted.contains(&line), "{counted}");
}

#[actix_web::test]
async fn requests_sent_together_are_answered_each_by_its_own_rules() {
    let server = Server::start(patient()).await;
    let get = server.get("/partner/v1/all-users");
    let head = get.replace("GET", "HEAD");
    let body = r#"{"name":"John Doe","email":"john@example.com"}"#;
    let labels = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let post = server.get("/partner/v1/register-user").replace("GET", "POST").replace("\r\n\r\n", "\r\n") + &labels;
    let labels = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let chunked = post.split_once("Content-Type").expect("its labels").0.to_owned() + labels;
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let together = [&head, &get, &post, &get, &head, &chunked, &head, &chunked, last].map(String::from).concat();
    let answer = exchange(&server, &together).await;
    // Each answer as its status and whether it has a body.
    let answers: Vec<(&str, bool)> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| (&answer[..3], !answer.split_once("\r\n\r\n").expect("a head").1.is_empty()))
        .collect();
    let (head, get, post, chunked) = (("200", false), ("200", true), ("201", true), ("400", true));
    assert_eq!(answers, [head, get, post, get, head, chunked, head, chunked, ("404", true)], "{answer}");
}

#[actix_web::test]
async fn nothing_is_served_behind_an_answer_that_closes() {
    // What a body without an end still brings is thrown away for that long.
    let server = Server::start(crate::serve::Limits { write_stall: super::wire::SHORT, ..patient() }).await;
    let get = server.get("/partner/v1/all-users");
    let post = get.replace("GET /partner/v1/all-users", "POST /partner/v1/register-user");
    let chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for (request, more) in [
        (&get, "Connection: close\r\n\r\n"),
        (&get, "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        (&get, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
        (&post, "Connection: close\r\nContent-Length: 2\r\n\r\n{}"),
        (&post, &format!("Connection: close\r\n{chunks}")),
        (&post, &format!("Connection: Upgrade\r\nUpgrade: h2c\r\n{chunks}")),
        (&post, &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{chunks}")),
    ] {
        let last = request.strip_suffix("\r\n").expect("a head").to_owned() + more;
        let answers = exchange(&server, &(last + &get)).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{more}: {answers}");
        assert!(answers.contains("connection: close\r\n"), "{more}: {answers}");
    }
}

#[actix_web::test]
async fn a_next_request_that_came_early_is_held_to_its_own_limits() {
    let limits = crate::serve::Limits { head: super::wire::SHORT, ..patient() };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send(&(server.get("/partner/v1/all-users") + "GET /docs HTT")).await;
    let answers = client.rest().await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

#[actix_web::test]
async fn no_wish_for_another_protocol_is_granted() {
    let server = Server::start(patient()).await;
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = exchange(&server, &server.get("/docs").replace("\r\n\r\n", &format!("\r\n{upgrade}"))).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("connection: close\r\n"), "{answer}");

    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\n{}";
    let post = server.get("/partner/v1/register-user").replace("GET", "POST");
    let mut client = server.connect().await;
    client.send(&post.replace("\r\n\r\n", &format!("\r\n{socket}"))).await;
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("validation_failed"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

/// The body of one answer.
async fn body(client: &mut Client) -> Value {
    let answer = client.answer().await;
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
}

#[actix_web::test]
async fn a_body_that_is_asked_for_is_read_and_the_connection_kept() {
    let server = Server::start(patient()).await;
    let mut client = server.connect().await;
    for number in 0..2 {
        let json = format!(r#"{{"name":"John Doe","email":"john{number}@example.com"}}"#);
        let labels =
            format!("Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue", json.len());
        let post = server.get("/partner/v1/register-user").replace("GET", "POST");
        client.send(&post.replace("\r\n\r\n", &format!("\r\n{labels}\r\n\r\n"))).await;
        assert_eq!(client.answer().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.send(&json).await;
        assert_eq!(body(&mut client).await["success"], true);
    }
    client.send(&server.get("/partner/v1/all-users")).await;
    assert_eq!(body(&mut client).await["data"]["pagination"]["total"], 2);
}

#[actix_web::test]
async fn old_and_unusual_forms_of_a_request_are_understood() {
    let server = Server::start(patient()).await;
    let authorization = format!("Authorization: Bearer {}", server.world.key);
    for (request, status) in [
        (format!("GET /partner/v1/all-users HTTP/1.0\r\n{authorization}\r\n\r\n"), "200"),
        (
            format!(
                "GET http://a/partner/v1/all-users HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization}\r\n\r\n"
            ),
            "200",
        ),
        (format!("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization}\r\n\r\n"), "404"),
        (
            format!("GET /partner/v1/all%2Dusers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization}\r\n\r\n"),
            "200",
        ),
        (
            format!("GET /partner/v1/all-users/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{authorization}\r\n\r\n"),
            "404",
        ),
    ] {
        let answer = exchange(&server, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) || answer.starts_with(&format!("HTTP/1.0 {status}")),
            "{request}: {answer}"
        );
        assert!(answer.contains("x-request-id: "), "{answer}");
    }
}

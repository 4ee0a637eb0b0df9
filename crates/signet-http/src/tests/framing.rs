//! Which bytes are which request, and what bytes get that are none.

use std::sync::Arc;

use async_trait::async_trait;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::Value;
use signet_conformance::InMemoryStore;
use signet_domain::{
    ApiKey, ApiKeyId, PartnerId, Timestamp,
    ports::{ApiKeyRepository, KeyLookup, KeyRecord, StoreError},
};
use tokio::sync::Notify;

use super::{
    support::World,
    wire::{Client, Server, patient},
};
use crate::Options;

/// Keys that are found only after the gate is opened.
#[derive(Default)]
struct Gate {
    store: Arc<InMemoryStore>,
    reached: Notify,
    is_open: Notify,
}

#[async_trait]
impl ApiKeyRepository for Gate {
    async fn insert(&self, key: ApiKey) -> Result<bool, StoreError> {
        ApiKeyRepository::insert(&*self.store, key).await
    }

    async fn find(&self, id: ApiKeyId, lookup: KeyLookup) -> Result<Option<KeyRecord>, StoreError> {
        self.reached.notify_one();
        self.is_open.notified().await;
        ApiKeyRepository::find(&*self.store, id, lookup).await
    }

    async fn list(&self, partner: PartnerId) -> Result<Vec<ApiKey>, StoreError> {
        ApiKeyRepository::list(&*self.store, partner).await
    }

    async fn revoke(&self, id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, StoreError> {
        ApiKeyRepository::revoke(&*self.store, id, at).await
    }
}

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
    let server = Server::start(patient()).await;
    let get = server.get("/partner/v1/all-users");
    let post = get.replace("GET /partner/v1/all-users", "POST /partner/v1/register-user");
    let chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for (request, more) in [
        (&get, "Connection: close\r\n\r\n"),
        (&get, "Connection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        (&post, "Connection: close\r\nContent-Length: 2\r\n\r\n{}"),
        (&post, &format!("Connection: close\r\n{chunks}")),
        (&post, "Transfer-Encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n"),
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

/// What `java.net.http.HttpClient` of JDK 17 sends on plain HTTP, byte for byte except path, key and body.
const JAVA: &str = "{line} HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: {length}\r\n\
                    Host: 127.0.0.1:4401\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n\
                    Upgrade: h2c\r\nUser-Agent: Java-http-client/17.0.15\r\nAuthorization: Bearer {key}\r\n\
                    Content-Type: application/json\r\n\r\n{body}";

#[actix_web::test]
async fn standard_java_client_can_write_over_plain_http() {
    let server = Server::start(patient()).await;
    let mut client = server.connect().await;
    let java = |line: &str, body: &str| {
        JAVA.replace("{line}", line)
            .replace("{length}", &body.len().to_string())
            .replace("{key}", &server.world.key)
            .replace("{body}", body)
    };
    client.send(&java("POST /partner/v1/register-user", r#"{"name":"John Doe","email":"john@example.com"}"#)).await;
    let registered = body(&mut client).await;
    let id = registered["data"]["userId"].as_str().expect("registered");
    for (line, body) in [
        ("PATCH /partner/v1/update-user", format!(r#"{{"userId":"{id}","status":"suspended"}}"#)),
        ("DELETE /partner/v1/remove-user", format!(r#"{{"userId":"{id}"}}"#)),
        (&format!("GET /partner/v1/get-user?userId={id}"), String::new()),
    ] {
        client.send(&java(line, &body)).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{line}: {answer}");
        assert!(!answer.contains("connection:") && !answer.contains("upgrade"), "{line}: {answer}");
    }
}

#[actix_web::test]
async fn offered_upgrade_is_ignored_whatever_the_protocol_and_the_body() {
    let server = Server::start(patient()).await;
    let json = r#"{"name":"John Doe","email":"john@example.com"}"#;
    let sized = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len());
    let chunked = format!(
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{json}\r\n0\r\n\r\n",
        json.len()
    );
    let get = server.get("/partner/v1/all-users");
    let post = get.replace("GET /partner/v1/all-users", "POST /partner/v1/register-user");
    for protocol in ["h2c", "websocket", "WebSocket", "TLS/1.0", "foo/2, websocket"] {
        let mut client = server.connect().await;
        let offer = format!("Connection: keep-alive, Upgrade\r\nUpgrade: {protocol}\r\n");
        for (request, more, statuses) in [
            (&get, "\r\n", &["200"][..]),
            (&get.replace("GET", "HEAD"), "\r\n", &["200"]),
            (&post, &sized, &["201", "409"]),
            (&post, &chunked, &["409"]),
            (&get, "\r\n", &["200"]),
        ] {
            let head = request.strip_suffix("\r\n").expect("a head");
            client.send(&format!("{head}{offer}{more}")).await;
            let answer = if request.starts_with("HEAD") { client.head().await } else { client.answer().await };
            assert!(statuses.contains(&&answer[9..12]), "{protocol}: {answer}");
            assert!(!answer.contains("connection: close"), "{protocol}: {answer}");
        }
    }
}

#[actix_web::test]
async fn connect_is_rejected_and_nothing_behind_it_is_served() {
    let server = Server::start(patient()).await;
    let hidden = server.get("/partner/v1/all-users");
    let length = hidden.len();
    for head in [
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "CONNECT /docs HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "CONNECT localhost:80 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
        format!("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!("CONNECT localhost:80 HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        format!(
            "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{hidden}\r\n0\r\n\r\n"
        ),
    ] {
        for behind in [hidden.clone(), hidden.replace("GET", "HEAD")] {
            let answer = exchange(&server, &format!("{head}{behind}")).await;
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{head}: {answer}");
            assert!(answer.contains("connection: close\r\n") && answer.contains("\r\nallow: GET"), "{answer}");
            assert!(answer.contains("method_not_allowed"), "{answer}");
        }
    }
}

#[actix_web::test]
async fn head_is_limited_to_32_kib_in_pieces_of_any_size() {
    let server = Server::start(patient()).await;
    let get = server.get("/partner/v1/all-users");
    let padded = |length: usize| {
        let head = get.strip_suffix("\r\n").expect("a head").to_owned() + "X-Long: ";
        let filler = length - head.len() - 4;
        format!("{head}{}\r\n\r\n", "a".repeat(filler))
    };
    for size in [100, 4_000, 32 * 1024] {
        let mut client = server.connect().await;
        for (length, expected) in
            [(20_000, "HTTP/1.1 200"), (32 * 1024, "HTTP/1.1 200"), (32 * 1024 + 1, "HTTP/1.1 400")]
        {
            for piece in padded(length).as_bytes().chunks(size) {
                client.send(std::str::from_utf8(piece).expect("ASCII")).await;
            }
            let answer = client.answer().await;
            assert!(answer.starts_with(expected), "{length} bytes in pieces of {size}: {answer}");
        }
    }
}

#[actix_web::test]
async fn refused_head_is_answered_without_asking_for_the_body() {
    let server = Server::start(patient()).await;
    let key = format!("Authorization: Bearer {}\r\n", server.world.key);
    let json = "Content-Type: application/json\r\n";
    for (line, headers, status) in [
        ("POST /partner/v1/register-user", json.to_owned(), "401"),
        ("POST /partner/v1/nowhere", format!("{key}{json}"), "404"),
        ("POST /partner/v1/all-users", format!("{key}{json}"), "405"),
        ("POST /partner/v1/register-user", format!("{key}Content-Type: text/plain\r\n"), "415"),
        ("POST /partner/v1/register-user", format!("{key}{json}Content-Encoding: br\r\n"), "415"),
    ] {
        for length in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
            let head = format!("{line} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{length}\r\n{headers}\r\n");
            let answer = exchange(&server, &head).await;
            assert_eq!(answer.get(9..12), Some(status), "{head}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{head}: {answer}");
        }
    }
    let large = "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n";
    let head = format!("POST /partner/v1/register-user HTTP/1.1\r\nHost: a\r\n{key}{json}{large}");
    assert!(exchange(&server, &head).await.starts_with("HTTP/1.1 413 "));
}

#[actix_web::test]
async fn http_1_0_client_is_never_sent_100_continue() {
    let server = Server::start(patient()).await;
    let head = format!(
        "POST /partner/v1/register-user HTTP/1.0\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        server.world.key
    );
    let mut client = server.connect().await;
    client.send(&head).await;
    // The handler waits for the body by then.
    client.send("{").await;
    client.send("}").await;
    let answer = client.rest().await;
    assert!(answer.contains(" 400 Bad Request\r\n") && answer.contains("validation_failed"), "{answer}");
    assert!(!answer.contains(" 100 "), "{answer}");
}

const MALFORMED_CHUNKS: [&str; 5] =
    ["nonsense\r\n", "2\r\n{}nonsense\r\n", "2\r\n{}\r\n-1\r\n", "2 2\r\n{}", "2;\u{1}\r\n{}\r\n0\r\n\r\n"];

fn chunked_post(server: &Server) -> String {
    let post = server.get("/partner/v1/register-user").replace("GET", "POST");
    post.strip_suffix("\r\n").expect("a head").to_owned()
        + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
}

fn assert_malformed_chunks_are_refused(answer: &str) {
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("validation_failed") && answer.contains("connection: close\r\n"), "{answer}");
}

#[actix_web::test]
async fn malformed_chunks_get_400_together_with_the_head_and_after_it() {
    let server = Server::start(patient()).await;
    let (post, get) = (chunked_post(&server), server.get("/partner/v1/all-users"));
    for chunks in MALFORMED_CHUNKS {
        assert_malformed_chunks_are_refused(&exchange(&server, &format!("{post}{chunks}{get}")).await);
        let mut client = server.connect().await;
        client.send(&post).await;
        for byte in chunks.chars() {
            client.send(&byte.to_string()).await;
        }
        client.send(&get).await;
        assert_malformed_chunks_are_refused(&client.rest().await);
    }
}

#[actix_web::test]
async fn malformed_chunks_get_400_while_the_key_is_verified() {
    let gate = Arc::new(Gate::default());
    let store = gate.store.clone();
    let world = World::over(store.clone(), store, gate.clone(), Options::default()).await;
    let server = Server::of(world, patient());
    let mut client = server.connect().await;
    client.send(&chunked_post(&server)).await;
    gate.reached.notified().await;
    client.send(MALFORMED_CHUNKS[0]).await;
    // One worker serves both connections in turn, so it has read the chunks once it has answered this.
    exchange(&server, "nonsense\r\n\r\n").await;
    gate.is_open.notify_one();
    assert_malformed_chunks_are_refused(&client.rest().await);
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

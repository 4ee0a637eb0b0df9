//! Connections: what a slow client may take, and how the server stops.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use prometheus_client::{encoding::text::encode, registry::Registry};
use signet_conformance::InMemoryStore;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    faults::Fault,
    support::World,
    wire::{Client, LONG, SHORT, Server, patient},
};
use crate::{Options, serve::Limits};

#[actix_web::test]
async fn one_connection_serves_many_requests_also_pipelined() {
    let server = Server::start(patient()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(&server.get("/partner/v1/all-users")).await;
        assert!(client.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let twice = server.get("/partner/v1/all-users").repeat(2);
    client.send(&twice).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(client.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[actix_web::test]
async fn a_panic_is_answered_and_counted_and_its_connection_goes_on() {
    let store = Arc::new(InMemoryStore::default());
    let world = World::over(store.clone(), Arc::new(Fault::Panics), store, Options::default()).await;
    let server = Server::of(world, patient());
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(&server.get("/partner/v1/all-users")).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
        assert!(answer.contains("internal_error"), "{answer}");
    }
    let mut registry = Registry::default();
    server.metrics.register(&mut registry);
    let mut metrics = String::new();
    encode(&mut metrics, &registry).expect("text");
    let line = r#"http_requests_total{route="/partner/v1/all-users",method="GET",status="500"} 2"#;
    assert!(metrics.contains(line), "{line} is not in\n{metrics}");
}

#[actix_web::test]
async fn a_first_head_that_does_not_end_is_closed() {
    let server = Server::start(Limits { head: SHORT, ..patient() }).await;
    for begun in ["", "GET /docs HTTP/1.1\r\nHost:"] {
        let mut client = server.connect().await;
        client.send(begun).await;
        assert_eq!(client.rest().await, "");
    }
}

#[actix_web::test]
async fn a_second_head_that_does_not_end_is_closed() {
    let server = Server::start(Limits { head: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    client.send(&server.get("/partner/v1/all-users")).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    client.send("GET /partner/v1/all-users HTTP/1.1\r\nHost: local").await;
    assert_eq!(client.rest().await, "");
}

#[actix_web::test]
async fn an_idle_connection_is_closed() {
    let server = Server::start(Limits { idle: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    client.send(&server.get("/partner/v1/all-users")).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(client.rest().await, "");
}

#[actix_web::test]
async fn a_body_that_does_not_end_is_answered_and_closed() {
    let server = Server::start(Limits { request: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    let head = server.get("/partner/v1/register-user").replace("GET", "POST");
    let head =
        head.trim_end().to_owned() + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":";
    client.send(&head).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("malformed_json"), "{answer}");
}

#[actix_web::test]
async fn a_client_that_does_not_read_is_closed() {
    let server = Server::start(Limits { write_stall: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    // More answers than all buffers between the two can hold.
    let request = server.get("/openapi.json").repeat(16);
    let sent = async { while client.0.write_all(request.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(LONG, sent).await.expect("closed");
}

/// The kernel would take all of it, and the client would pass for an idle one.
#[cfg(target_os = "linux")]
#[actix_web::test]
async fn a_client_that_does_not_read_a_single_large_answer_is_closed_and_the_rest_thrown_away() {
    let server = Server::start(Limits { write_stall: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    client.send(&server.get("/docs/swagger-ui-bundle.js")).await;
    let reset = client.0.ready(tokio::io::Interest::ERROR);
    tokio::time::timeout(LONG, reset).await.expect("it is reset").expect("a socket");
}

#[actix_web::test]
async fn a_client_that_reads_slowly_gets_all_of_it() {
    // More than all buffers between the two can hold.
    const ANSWERS: usize = 200;
    let server = Server::start(Limits { write_stall: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    client
        .send(&(server.get("/openapi.json").repeat(ANSWERS) + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        .await;
    let begun = std::time::Instant::now();
    let (mut all, mut piece) = (Vec::new(), vec![0; 128 * 1024]);
    loop {
        let read = client.0.read(&mut piece).await.expect("it is not cut off");
        if read == 0 {
            break;
        }
        all.extend_from_slice(&piece[..read]);
        // The pace of the client is what is tested.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begun.elapsed() > SHORT * 2, "the client was too fast to show anything");
    let text = String::from_utf8_lossy(&all);
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), ANSWERS);
    assert!(text.ends_with('}'), "the last answer is whole");
}

/// A socket that is closed with unread bytes sends a reset, and the client loses what it has not read.
#[actix_web::test]
async fn client_that_still_sends_gets_the_whole_last_answer() {
    let server = Server::start(patient()).await;
    let last = "GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned();
    let post = server.get("/partner/v1/register-user").replace("GET", "POST");
    let too_large = post.replace("\r\n\r\n", "\r\nContent-Length: 4000000\r\n\r\n");
    let more = server.get("/partner/v1/all-users").repeat(100);
    for (request, tail, end) in [
        (last.clone(), &more, "}"),
        (format!("CONNECT a:1 HTTP/1.1\r\n\r\n{more}"), &more, "}"),
        (too_large, &"a".repeat(4_000_000), "}"),
    ] {
        for _ in 0..20 {
            let mut client = server.connect().await;
            client.send(&request).await;
            client.send(tail).await;
            let answer = client.whole_rest().await;
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            assert_eq!(body.len().to_string(), length, "{head}");
            assert!(body.ends_with(end), "{body}");
        }
    }
}

/// The counters of what happened to connections.
fn ended(server: &Server, reason: &str) -> u64 {
    let mut registry = Registry::default();
    server.metrics.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("text");
    let name = format!("http_connections_ended_total{{reason=\"{reason}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

#[actix_web::test]
async fn new_connection_is_refused_while_all_others_serve_a_request() {
    let server = Server::start(Limits { connections: 1, ..patient() }).await;
    let mut busy = server.connect().await;
    let post = server.get("/partner/v1/register-user").replace("GET", "POST");
    let head = post.replace("\r\n\r\n", "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n");
    busy.send(&(head + "Expect: 100-continue\r\n\r\n")).await;
    assert!(busy.answer().await.starts_with("HTTP/1.1 100 "));
    assert_eq!(server.connect().await.rest().await, "");
    assert_eq!((ended(&server, "full"), ended(&server, "made_room")), (1, 0));
    busy.send("{}").await;
    assert!(busy.answer().await.starts_with("HTTP/1.1 400 "));
    // It makes room once the server has noticed that it is idle.
    while ended(&server, "made_room") == 0 {
        let mut next = server.connect().await;
        let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        // It may be refused before.
        let _ = next.0.write_all(last.as_bytes()).await;
        next.rest().await;
    }
    assert_eq!(busy.rest().await, "");
}

#[actix_web::test]
async fn longest_idle_connection_is_closed_for_a_new_one() {
    let server = Server::start(Limits { connections: 3, ..patient() }).await;
    let get = server.get("/partner/v1/all-users");
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.send(&get).await;
        client.answer().await;
        clients.push(client);
        // Idle times are compared by the millisecond.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clients[0].send(&get).await;
    clients[0].answer().await;
    for longest_idle in [1, 2, 0] {
        let mut new = server.connect().await;
        new.send(&get).await;
        assert!(new.answer().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(clients[longest_idle].rest().await, "");
        clients.push(new);
    }
    assert_eq!((ended(&server, "made_room"), ended(&server, "full")), (3, 0));
}

#[actix_web::test]
async fn address_may_have_as_many_connections_as_its_limit() {
    let limits = Limits { connections_per_address: NonZeroUsize::new(2), ..patient() };
    let server = Server::start(limits).await;
    let get = server.get("/partner/v1/all-users");
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send(&get).await;
        client.answer().await;
        clients.push(client);
    }
    assert_eq!(server.connect().await.rest().await, "");
    assert_eq!(ended(&server, "full_for_address"), 1);
}

#[cfg(target_os = "linux")]
#[actix_web::test]
async fn pages_that_nobody_reads_end_in_503_for_their_partner_alone() {
    let server = Server::start(patient()).await;
    let metadata = serde_json::json!({ "filler": "a".repeat(15_000) });
    for number in 0..100 {
        let user = serde_json::json!({
            "name": "John Doe", "email": format!("john{number}@example.com"), "metadata": metadata
        });
        assert_eq!(server.world.call("POST", "/register-user", user).await.status, 201);
    }
    let page = server.get("/partner/v1/all-users?limit=100");
    let mut unread = Vec::new();
    // 32 MiB of pages of 1.5 MB.
    let refused = loop {
        let mut client = server.connect().await;
        client.send(&page).await;
        let head = client.head().await;
        if !head.starts_with("HTTP/1.1 200 ") {
            break head;
        }
        unread.push(client);
        assert!(unread.len() < 50, "memory without a bound");
    };
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(unread.len() >= 15, "{} pages", unread.len());

    let mut client = server.connect().await;
    client.send(&server.get("/partner/v1/audit-trail?limit=1")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 503 "), "no other page is read, either");
    let stranger = server.world.stranger().await;
    let mut client = server.connect().await;
    client.send(&server.get("/partner/v1/all-users").replace(&server.world.key, &stranger)).await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200 "), "another partner has room");

    drop(unread);
    loop {
        let mut client = server.connect().await;
        client.send(&page).await;
        if client.head().await.starts_with("HTTP/1.1 200 ") {
            break;
        }
    }
}

#[actix_web::test]
async fn what_strangers_do_to_connections_is_counted() {
    let server = Server::start(Limits { head: SHORT, write_stall: SHORT, ..patient() }).await;
    let mut client = server.connect().await;
    client.send("GET /docs HTTP/1.1\r\n").await;
    assert_eq!(client.rest().await, "");
    for request in ["nonsense\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n\r\n", &"a".repeat(40_000)] {
        let mut client = server.connect().await;
        client.send(request).await;
        client.rest().await;
    }
    let mut client = server.connect().await;
    client.send(&server.get("/docs/swagger-ui-bundle.js")).await;
    let reset = client.0.ready(tokio::io::Interest::ERROR);
    tokio::time::timeout(LONG, reset).await.expect("it is reset").expect("a socket");
    for (reason, count) in [
        ("head_timeout", 1),
        ("malformed_request", 1),
        ("connect_method", 1),
        ("head_too_large", 1),
        ("slow_reader", 1),
        ("full", 0),
    ] {
        assert_eq!(ended(&server, reason), count, "{reason}");
    }
}

#[actix_web::test]
async fn a_stopping_server_answers_what_has_begun_and_closes_what_is_idle() {
    let server = Server::start(patient()).await;
    let mut idle = server.connect().await;
    idle.send(&server.get("/partner/v1/all-users")).await;
    assert!(!idle.answer().await.contains("connection: close"));
    let mut busy = server.connect().await;
    let head = server.get("/partner/v1/register-user").replace("GET", "POST");
    let body = r#"{"name":"John Doe","email":"john@example.com"}"#;
    let head =
        format!("{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", head.trim_end(), body.len());
    busy.send(&head).await;
    busy.send(&body[..10]).await;
    let stopped = tokio::spawn({
        let handle = server.handle.clone();
        async move { handle.stop(LONG).await }
    });
    // Whoever still comes is answered, and told not to come back, once the server has heard.
    let mut last = String::new();
    while !last.contains("connection: close\r\n") {
        let mut late = server.connect().await;
        late.send(&server.get("/partner/v1/all-users")).await;
        last = late.answer().await;
        assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{last}");
    }
    assert_eq!(idle.rest().await, "");
    assert!(!stopped.is_finished());
    busy.send(&body[10..]).await;
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.contains("connection: close\r\n"), "{answer}");
    stopped.await.expect("stops");
    assert!(TcpStream::connect(server.address).await.is_err(), "the listener is closed");
    server.ended.await.expect("ends").expect("in good order");
}

#[actix_web::test]
async fn a_stopping_server_waits_no_longer_than_it_was_told() {
    let server = Server::start(patient()).await;
    let mut busy = server.connect().await;
    busy.send("GET /docs HTTP/1.1\r\n").await;
    // The head alone may take a minute.
    let stopped = tokio::time::timeout(LONG / 2, server.handle.stop(SHORT)).await;
    assert!(stopped.is_ok(), "it waits");
    assert_eq!(busy.rest().await, "");
}

/// A listener that closes resets what is in its queue.
#[cfg(target_os = "linux")]
#[actix_web::test]
async fn whoever_is_let_in_while_the_server_stops_is_answered() {
    let server = Server::start(patient()).await;
    let handle = server.handle.clone();
    let stopped = tokio::spawn(async move { handle.stop(LONG).await });
    let mut answered = 0;
    while let Ok(stream) = TcpStream::connect(server.address).await {
        let mut client = Client(stream);
        client.send(&server.get("/partner/v1/all-users")).await;
        let answer = client.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "the answer after {answered} others is {answer:?}");
        answered += 1;
    }
    assert!(answered > 0, "nobody was let in");
    stopped.await.expect("stops");
}

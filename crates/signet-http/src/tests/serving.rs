//! Connections: what a slow client may take, and how the server stops.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::support::World;
use crate::{
    Metrics, Options,
    serve::{Handle, Limits, serve},
};

/// Short enough to wait for, and each of another length, so that a test can tell which one came.
const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

fn patient() -> Limits {
    Limits { handshake: LONG, head: LONG, request: LONG, write_stall: LONG, idle: LONG, connections: 100, workers: 1 }
}

struct Server {
    address: SocketAddr,
    handle: Handle,
    ended: JoinHandle<std::io::Result<()>>,
    world: World,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let world = World::new().await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let api = world.shared.api.clone();
        let serving = serve(listener, None, api, Options::default(), limits, Metrics::default()).expect("serves");
        let handle = serving.handle();
        Self { address, handle, ended: tokio::spawn(serving), world }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("accepted"))
    }

    fn get(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", self.world.key)
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the server reads");
    }

    /// One answer with a `Content-Length`.
    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    return text;
                }
            }
            let byte = self.0.read_u8().await.expect("an answer");
            answer.push(byte);
        }
    }

    /// What comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset after the last byte is as closed as an orderly end.
        let _ = self.0.read_to_end(&mut rest).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}

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

#[actix_web::test]
async fn one_connection_too_many_is_closed_at_once() {
    let server = Server::start(Limits { connections: 1, ..patient() }).await;
    let mut first = server.connect().await;
    first.send(&server.get("/partner/v1/all-users")).await;
    assert!(first.answer().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(server.connect().await.rest().await, "");
    drop(first);
    // The place is free once the server has noticed.
    loop {
        let mut next = server.connect().await;
        let _ = next.0.write_all(server.get("/partner/v1/all-users").as_bytes()).await;
        let mut answer = [0; 12];
        if next.0.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            break;
        }
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
    let mut late = server.connect().await;
    late.send(&server.get("/partner/v1/all-users")).await;
    late.answer().await;

    let stopped = tokio::spawn({
        let handle = server.handle.clone();
        async move { handle.stop(LONG).await }
    });
    // The listener closes once the server has heard.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    late.send(&server.get("/partner/v1/all-users")).await;
    let last = late.rest().await;
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n") && last.contains("connection: close\r\n"), "{last}");
    assert_eq!(idle.rest().await, "");
    assert!(!stopped.is_finished());
    busy.send(&body[10..]).await;
    let answer = busy.rest().await;
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.contains("connection: close\r\n"), "{answer}");
    stopped.await.expect("stops");
    server.ended.await.expect("ends").expect("in good order");
}

#[actix_web::test]
async fn a_stopping_server_waits_no_longer_than_it_was_told() {
    let server = Server::start(patient()).await;
    let mut busy = server.connect().await;
    busy.send("GET /docs HTTP/1.1\r\n").await;
    server.handle.stop(SHORT).await;
}

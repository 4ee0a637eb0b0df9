//! A server on a socket, and a client that speaks to it byte by byte.

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
pub(super) const SHORT: Duration = Duration::from_millis(200);
pub(super) const LONG: Duration = Duration::from_mins(1);

pub(super) fn patient() -> Limits {
    Limits {
        handshake: LONG,
        head: LONG,
        request: LONG,
        write_stall: LONG,
        idle: LONG,
        connections: 100,
        connections_per_address: None,
        workers: 1,
    }
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) handle: Handle,
    pub(super) ended: JoinHandle<std::io::Result<()>>,
    pub(super) metrics: Metrics,
    pub(super) world: World,
}

impl Server {
    pub(super) async fn start(limits: Limits) -> Self {
        Self::of(World::new().await, limits)
    }

    pub(super) fn of(world: World, limits: Limits) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let api = world.shared.api.clone();
        let metrics = Metrics::default();
        let serving = serve(listener, None, api, Options::default(), limits, metrics.clone()).expect("serves");
        let handle = serving.handle();
        Self { address, handle, ended: tokio::spawn(serving), metrics, world }
    }

    pub(super) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.expect("accepted"))
    }

    pub(super) fn get(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", self.world.key)
    }
}

pub(super) struct Client(pub(super) TcpStream);

impl Client {
    pub(super) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("the server reads");
    }

    /// One answer with a `Content-Length`.
    pub(super) async fn answer(&mut self) -> String {
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

    /// Reads one answer, and returns the length and the coding that its head announces.
    pub(super) async fn head_of_answer(&mut self, has_body: bool) -> (usize, Option<String>) {
        let head = self.head().await.to_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let length = header("content-length").and_then(|length| length.parse().ok()).expect("a length");
        if has_body {
            self.0.read_exact(&mut vec![0; length]).await.expect("a body");
        }
        (length, header("content-encoding").map(str::to_owned))
    }

    /// The head of one answer.
    pub(super) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("an answer"));
        }
        String::from_utf8(head).expect("a head")
    }

    /// What comes until the server closes in good order.
    pub(super) async fn whole_rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.expect("no reset");
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// What comes until the server closes.
    pub(super) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset after the last byte is as closed as an orderly end.
        let _ = self.0.read_to_end(&mut rest).await;
        String::from_utf8_lossy(&rest).into_owned()
    }
}

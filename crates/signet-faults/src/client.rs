use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

/// Where the API is, and how to be let in.
#[derive(Clone)]
pub struct Endpoint {
    /// The address of the API.
    pub address: SocketAddr,
    /// Whom to trust, where it speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// The API key.
    pub key: String,
}

/// A partner's program: it has one connection, which it keeps as long as that lives, and one request at a time.
pub struct Client {
    endpoint: Endpoint,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// How many connections it has made.
    pub connections: usize,
    /// For how long to wait for an answer, the connection included: 15 seconds, more than the service ever takes.
    pub patience: Duration,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; text where it is no JSON.
    pub body: Value,
    /// How long it took, from before the connection to the last byte.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReply {
    /// Nobody took the connection; the request was not sent.
    Refused(String),
    /// The connection ended after the request, or a part of it, was sent.
    Broken(String),
    /// Nothing came for as long as the client would wait.
    TimedOut,
}

impl Reply {
    /// The code of an error; empty for a success.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// Whether the service says that it cannot now, and when to come again.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.status == 503 && self.code() == "service_unavailable" && self.headers.contains_key("retry-after")
    }
}

impl Client {
    /// One that is not connected yet.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, connection: None, connections: 0, patience: Duration::from_secs(15) }
    }

    /// Registers a user.
    pub async fn register(&mut self, name: &str, email: &str) -> Result<Reply, NoReply> {
        let body = json!({ "name": name, "email": email });
        self.send("POST", "/partner/v1/register-user", None, Some(&body)).await
    }

    /// The same with a request id, by which its audit entry is known.
    pub async fn register_as(&mut self, request_id: &str, name: &str, email: &str) -> Result<Reply, NoReply> {
        let body = json!({ "name": name, "email": email });
        self.send("POST", "/partner/v1/register-user", Some(request_id), Some(&body)).await
    }

    /// Reads a user.
    pub async fn find(&mut self, user_id: &str) -> Result<Reply, NoReply> {
        self.get(&format!("/partner/v1/get-user?userId={user_id}")).await
    }

    /// Reads whatever is there.
    pub async fn get(&mut self, path: &str) -> Result<Reply, NoReply> {
        self.send("GET", path, None, None).await
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        request_id: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, NoReply> {
        let begun = Instant::now();
        let request = self.request(method, path, request_id, body);
        let (status, headers, bytes) = self.exchange_in_time(request).await?;
        let took = begun.elapsed();
        let body = serde_json::from_slice(&bytes);
        let body = body.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Ok(Reply { status, headers, body, took })
    }

    /// Reads a large page and drops it unparsed, because parsing it would cost this machine more than serving it. Returns
    /// the status and the length of the body in bytes.
    pub(crate) async fn fetch(&mut self, path: &str) -> Result<(u16, usize), NoReply> {
        let (status, _, bytes) = self.exchange_in_time(self.request("GET", path, None, None)).await?;
        Ok((status, bytes.len()))
    }

    async fn exchange_in_time(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, HeaderMap, Bytes), NoReply> {
        let exchanged = tokio::time::timeout(self.patience, self.exchange(request)).await;
        let exchanged = exchanged.unwrap_or(Err(NoReply::TimedOut));
        if exchanged.is_err() {
            self.disconnect();
        }
        exchanged
    }

    /// Asks with that key from now on.
    pub(crate) fn use_key(&mut self, key: String) {
        self.endpoint.key = key;
    }

    /// Closes the connection, if there is one.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        request_id: Option<&str>,
        body: Option<&Value>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(path).header("Host", "localhost");
        if !self.endpoint.key.is_empty() {
            request = request.header("Authorization", format!("Bearer {}", self.endpoint.key));
        }
        if let Some(id) = request_id {
            request = request.header("X-Request-Id", id);
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        request.body(Full::new(body.into())).expect("a request")
    }

    async fn exchange(&mut self, mut request: Request<Full<Bytes>>) -> Result<(u16, HeaderMap, Bytes), NoReply> {
        let broken = |error: hyper::Error| NoReply::Broken(error.to_string());
        let response = loop {
            let (mut connection, is_kept) = match self.connection.take() {
                Some(kept) if !kept.is_closed() => (kept, true),
                _ => (self.connect().await?, false),
            };
            match connection.try_send_request(request).await {
                Ok(response) => {
                    self.connection = Some(connection);
                    break response;
                }
                // The server had closed a connection that it kept idle: nothing was sent.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(broken(error.into_error())),
                },
            }
        };
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        Ok((head.status.as_u16(), head.headers, bytes))
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, NoReply> {
        let refused = |error: std::io::Error| NoReply::Refused(error.to_string());
        let stream = TcpStream::connect(self.endpoint.address).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let connection = match &self.endpoint.tls {
            None => speak(stream).await?,
            Some(config) => {
                let name = ServerName::try_from("localhost").expect("a name");
                speak(TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(refused)?).await?
            }
        };
        self.connections += 1;
        Ok(connection)
    }
}

async fn speak<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, NoReply>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let made = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|error| NoReply::Refused(error.to_string()))?;
    // Its error comes back with the request that it concerns.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

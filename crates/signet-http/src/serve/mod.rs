//! HTTP/1.1 over TCP, with or without TLS, and the limits of a connection.
//!
//! The protocol is actix's; the limits are enforced on the bytes below it, in `connection`, where one place sees the
//! first request of a connection, the hundredth and the answers alike.

mod alarm;
mod body_signal;
mod chunks;
mod connection;
mod connections;
mod door;
mod drain;
mod head;
mod incoming;
mod lingering;
mod open;
mod outgoing;
mod refusing;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{HttpService, KeepAlive, error::DispatchError};
use actix_server::{Server, ServerHandle};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use arc_swap::ArcSwap;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

pub(crate) use self::{body_signal::BodySignal, drain::Drain};
use self::{
    connection::Connection,
    connections::{ConnectionPermit, Connections},
    door::Door,
    drain::LINGER,
    open::open,
};
use crate::{Api, Metrics, Options, Shared, app, connection_events::ConnectionEvent, log_sampler};

/// How long the threads of a server may take to hear of what one of them was told, and a client to complete a connection
/// that it has begun.
const SETTLE: Duration = Duration::from_millis(200);

/// What a client may take, and how many may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long the TLS handshake may take.
    pub handshake: Duration,
    /// How long a request head may take, from its first byte; for the first one from the connection on.
    pub head: Duration,
    /// How long the rest may take until the answer begins: the body, and what the request asks for.
    pub request: Duration,
    /// How long an answer may wait for the client to read it, or the next 64 KiB of it.
    pub write_stall: Duration,
    /// How long a connection is kept for a next request.
    pub idle: Duration,
    /// How many connections there may be at once. For one more, the longest idle one is closed, or that one itself.
    pub connections: usize,
    /// How many of them may come from one address, or from one network of 64 bits; `None` for any number. Those of
    /// trusted proxies are not counted.
    pub connections_per_address: Option<NonZeroUsize>,
    /// How many threads serve them.
    pub workers: usize,
}

impl Default for Limits {
    /// 5 s for a handshake or a head, 12 s for a request, 10 s for a client that does not read, 75 s of idleness, 10,000
    /// connections from anywhere, a worker for each core.
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(5),
            request: Self::request_for(Options::default().deadline),
            write_stall: Duration::from_secs(10),
            // Load balancers keep a connection for 60 s or less, and must be the first to close it.
            idle: Duration::from_secs(75),
            connections: 10_000,
            connections_per_address: None,
            workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

impl Limits {
    /// A limit for requests that all get an answer by `deadline`: the connection ends only where one does not.
    #[must_use]
    pub fn request_for(deadline: Duration) -> Duration {
        deadline + Duration::from_secs(2)
    }
}

/// The certificate to show. Looked at for each connection, so a new one takes effect at once; its ALPN must offer
/// nothing but `http/1.1`.
pub type TlsConfig = Arc<ArcSwap<rustls::ServerConfig>>;

/// A running server: a future that ends when the server does.
#[must_use = "the server runs only while it is polled"]
pub struct Serving {
    server: Server,
    handle: Handle,
}

/// Stops a [`Serving`].
#[derive(Clone)]
pub struct Handle {
    server: ServerHandle,
    drain: Arc<Drain>,
    door: Arc<Door>,
}

/// Serves `api` on `listener`, over TLS where a certificate is given. Needs a Tokio runtime around it.
pub fn serve(
    listener: TcpListener,
    tls: Option<TlsConfig>,
    api: Arc<Api>,
    options: Options,
    limits: Limits,
    metrics: Metrics,
) -> io::Result<Serving> {
    let drain = Arc::new(Drain::default());
    let door = Arc::new(Door::of(&listener)?);
    let connections = Arc::new(Connections::new(&limits, &options.trusted_proxies, metrics.clone()));
    let shared = Arc::new(Shared::new(api, options, metrics, Arc::clone(&drain)));
    tokio::spawn(log_sampler::report_every_second(Arc::downgrade(&shared)));

    let server = Server::build()
        .workers(limits.workers.max(1))
        // Counted in `open`, which closes what is too many; actix would leave it waiting unanswered.
        .max_concurrent_connections(usize::MAX / 2)
        .disable_signals()
        // The grace is up to whoever stops the server.
        .shutdown_timeout(u64::from(u32::MAX))
        .listen("http", listener, move || {
            let (tls, shared, connections) = (tls.clone(), Arc::clone(&shared), Arc::clone(&connections));
            let http = HttpService::build()
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(Duration::ZERO)
                // It would read on for that long after a response. The connection does, and shuts down its side first.
                .client_disconnect_timeout(Duration::ZERO)
                .on_connect_ext(|connection: &Connection, data| {
                    data.insert(connection.body_signal().clone());
                })
                // Whoever sends nothing more is gone, and waits for nothing.
                .h1_allow_half_closed(false)
                .h1(map_config(app(&shared), |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let (tls, shared) = (tls.clone(), Arc::clone(&shared));
                let peer = stream.peer_addr().ok();
                let permit = admit(&connections, peer, &shared);
                async move {
                    let permit = permit?;
                    let stream =
                        open(stream, tls, limits.handshake, &shared, &permit).await.map_err(DispatchError::Io)?;
                    Ok((Connection::new(stream, limits, &shared, permit, peer), peer))
                }
            })
            .and_then(http.map_init_err(|_error| ()))
        })?
        .run();
    let handle = Handle { server: server.handle(), drain, door };
    Ok(Serving { server, handle })
}

/// Lets a connection in, or counts that it is not.
fn admit(
    connections: &Arc<Connections>,
    peer: Option<SocketAddr>,
    shared: &Shared,
) -> Result<ConnectionPermit, DispatchError> {
    let address = peer.map(|peer| peer.ip());
    match connections.admit(address) {
        Ok((permit, made_room)) => {
            if made_room {
                shared.connection_event(ConnectionEvent::MadeRoom, None);
            }
            Ok(permit)
        }
        Err(event) => {
            shared.connection_event(event, address);
            Err(DispatchError::Io(io::ErrorKind::QuotaExceeded.into()))
        }
    }
}

impl Serving {
    /// The way to stop it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Future for Serving {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.server).poll(context)
    }
}

impl Handle {
    /// Answers what was accepted, each answer with `Connection: close`, stops to accept, and returns when all
    /// connections are closed: idle ones a moment later, so that a request that is on its way still gets its answer;
    /// whatever is left after `grace`, at once. [`Serving`] must be polled meanwhile.
    pub async fn stop(&self, grace: Duration) {
        self.drain.begin();
        let stopped = async {
            // Whoever connects in this moment is served like any other.
            sleep(LINGER).await;
            if !self.door.shut() {
                // Whoever comes until the listener is closed is lost.
                self.server.pause().await;
            }
            // Whoever is in is handed over; workers that stop drop what they have not begun.
            sleep(SETTLE).await;
            self.server.stop(true).await;
        };
        if timeout(grace, stopped).await.is_err() {
            self.door.shut();
            tracing::warn!("connections were still open at the end of the grace period");
            // Cuts them off, which needs no time unless a worker is stuck.
            let _ = timeout(SETTLE, self.server.stop(false)).await;
        }
    }
}

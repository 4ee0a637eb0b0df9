use std::{future::poll_fn, io, time::Duration};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsAcceptor;

use super::{
    TlsConfig,
    connection::Stream,
    connections::ConnectionPermit,
    refusing::{Refusing, Rejection},
};
use crate::{Shared, connection_events::ConnectionEvent};

/// How much of an answer the kernel takes beyond what it has sent. Else it takes megabytes for a client that does not
/// read, which would then pass for an idle one.
#[cfg(target_os = "linux")]
const MOST_UNSENT: u32 = 64 * 1024;

/// Makes a stream of bytes ready for requests: with a TLS handshake, where that is configured, in the time it may take.
pub(super) async fn open(
    stream: TcpStream,
    tls: Option<TlsConfig>,
    limit: Duration,
    shared: &Shared,
    permit: &ConnectionPermit,
) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MOST_UNSENT)?;
    let Some(config) = tls else {
        return Ok(Stream::Plain(stream));
    };
    let client = stream.peer_addr().ok().map(|peer| peer.ip());
    let handshake = timeout_at(Instant::now() + limit, async {
        if speaks_plain_http(&stream).await? {
            reject_plain_http(stream, shared).await;
            return Ok(None);
        }
        TlsAcceptor::from(config.load_full()).accept(stream).await.map(Some)
    });
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        // The connection that needed the room counts this.
        () = poll_fn(|context| permit.poll_evicted(context)) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let event = match handshake {
        Ok(Ok(Some(stream))) => return Ok(Stream::Tls(Box::new(stream))),
        // It was counted when it was answered.
        Ok(Ok(None)) => return Err(io::ErrorKind::InvalidData.into()),
        Ok(Err(_)) => ConnectionEvent::HandshakeFailed,
        Err(_elapsed) => ConnectionEvent::HandshakeTimedOut,
    };
    shared.connection_event(event, client);
    Err(io::ErrorKind::InvalidData.into())
}

/// Methods begin with a capital letter, and no TLS record does (RFC 8446, section 5.1).
async fn speaks_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok(first[0].is_ascii_uppercase())
}

/// Says in plain HTTP that this is the wrong protocol.
async fn reject_plain_http(stream: TcpStream, shared: &Shared) {
    let mut stream = Stream::Plain(stream);
    let mut refusing = Refusing::new(shared, Rejection::PlainHttp);
    let deadline = refusing.deadline;
    // Whether the client has read it or not, the connection ends.
    drop(timeout_at(deadline.into(), poll_fn(|context| refusing.poll(&mut stream, context))).await);
}

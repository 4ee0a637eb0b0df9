use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// What happens to a connection, or to a request that no handler sees, and that a stranger can cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionEvent {
    /// Refused: all connections are in use.
    Full,
    /// Refused: its address has as many as it may.
    FullForAddress,
    /// Closed while it was idle, to make room for another one.
    MadeRoom,
    /// Closed because a head did not end in time.
    HeadTimedOut,
    /// Cut off because the client did not read its answer.
    SlowReader,
    /// No TLS handshake in time.
    HandshakeTimedOut,
    HandshakeFailed,
    /// A request that is not valid HTTP/1.1.
    Malformed,
    HeadTooLarge,
    Connect,
    /// Plain HTTP where TLS is spoken.
    PlainHttp,
}

impl ConnectionEvent {
    const ALL: [Self; 11] = [
        Self::Full,
        Self::FullForAddress,
        Self::MadeRoom,
        Self::HeadTimedOut,
        Self::SlowReader,
        Self::HandshakeTimedOut,
        Self::HandshakeFailed,
        Self::Malformed,
        Self::HeadTooLarge,
        Self::Connect,
        Self::PlainHttp,
    ];

    /// Its name in the metrics and in the log.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullForAddress => "full_for_address",
            Self::MadeRoom => "made_room",
            Self::HeadTimedOut => "head_timeout",
            Self::SlowReader => "slow_reader",
            Self::HandshakeTimedOut => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::Malformed => "malformed_request",
            Self::HeadTooLarge => "head_too_large",
            Self::Connect => "connect_method",
            Self::PlainHttp => "plain_http",
        }
    }
}

/// What the server counts about connections. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct ConnectionMetrics {
    pub(crate) open: Gauge,
    pub(crate) response_bytes: Gauge,
    ended: Family<EndedLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndedLabels {
    reason: &'static str,
}

impl ConnectionMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("http_connections", "Open connections to the API", self.open.clone());
        let help = "Bytes of large responses in memory until clients have read them";
        registry.register("http_response_bytes_held", help, self.response_bytes.clone());
        for event in ConnectionEvent::ALL {
            // A counter that appears with its first event hides that event from alerts.
            drop(self.ended.get_or_create(&EndedLabels { reason: event.reason() }));
        }
        registry.register("http_connections_ended", "Connections refused or ended by the server", self.ended.clone());
    }

    pub(crate) fn count(&self, event: ConnectionEvent) {
        self.ended.get_or_create(&EndedLabels { reason: event.reason() }).inc();
    }
}

use std::{fmt, time::Duration};

use actix_web::http::Method;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{connection_events::ConnectionMetrics, error::Shed};

/// What the server counts about requests and connections. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    requests: Family<Answered, Counter>,
    durations: Family<Asked, Histogram>,
    in_flight: Gauge,
    shed: Family<ShedLabels, Counter>,
    pub(crate) connections: ConnectionMetrics,
}

/// Labels come from this program only, never from a request, so the number of series is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    route: &'static str,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShedLabels {
    cause: &'static str,
}

/// From a cached read to the deadline of a request, in seconds.
const BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Metrics {
    /// Adds `http_requests_total` by route pattern, method and status, `http_request_duration_seconds` by route
    /// pattern and method, `http_requests_in_flight`, `http_requests_shed_total` by cause, `http_connections`, and `http_connections_ended_total` by reason to
    /// the registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register("http_requests_in_flight", "Requests being answered", self.in_flight.clone());
        registry.register("http_requests_shed", "Requests turned away, by cause", self.shed.clone());
        // All of them from the start, so that the first one is seen as an increase.
        for shed in Shed::ALL {
            drop(self.shed.get_or_create(&ShedLabels { cause: shed.as_str() }));
        }
        self.connections.register(registry);
    }

    pub(crate) fn begin(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn count_shed(&self, shed: Shed) {
        self.shed.get_or_create(&ShedLabels { cause: shed.as_str() }).inc();
    }

    pub(crate) fn end(&self, route: &'static str, method: &'static str, status: u16, latency: Duration) {
        self.in_flight.dec();
        self.requests.get_or_create(&Answered { route, method, status }).inc();
        self.durations.get_or_create(&Asked { route, method }).observe(latency.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            shed: Family::default(),
            connections: ConnectionMetrics::default(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The method of what is no request, or of one whose method a client made up.
pub(crate) const NO_METHOD: &str = "OTHER";

/// The method's name, or [`NO_METHOD`].
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "CONNECT" => "CONNECT",
        _ => NO_METHOD,
    }
}

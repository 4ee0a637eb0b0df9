use std::{net::IpAddr, sync::Arc, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use signet_application::{
    api_keys::VerifyApiKey,
    audit::ListAuditTrail,
    users::{GetUser, ListUsers, RegisterUser, RemoveUser, UpdateUser},
};
use signet_domain::{PartnerId, ports::IdGenerator};

use crate::{
    Metrics, Options, RateLimit, connection_events::ConnectionEvent, error::Failure, log_sampler::LogSampler,
    response_memory::ResponseMemory, serve::Drain,
};

/// The use cases that the routes call.
#[expect(missing_docs, reason = "each is the use case of the same name")]
pub struct Api {
    pub register_user: RegisterUser,
    pub list_users: ListUsers,
    pub get_user: GetUser,
    pub update_user: UpdateUser,
    pub remove_user: RemoveUser,
    pub list_audit_trail: ListAuditTrail,
    pub verify_api_key: VerifyApiKey,
    /// Names the requests that come without an id.
    pub ids: Arc<dyn IdGenerator>,
}

/// What the workers of the server share.
pub(crate) struct Shared {
    pub(crate) api: Arc<Api>,
    pub(crate) options: Options,
    pub(crate) metrics: Metrics,
    /// Whether the server stops.
    pub(crate) drain: Arc<Drain>,
    /// Limits the log lines that strangers cause.
    pub(crate) log_sampler: LogSampler,
    pub(crate) response_memory: Arc<ResponseMemory>,
    rate_limiter: Option<DefaultKeyedRateLimiter<PartnerId>>,
}

impl Shared {
    pub(crate) fn new(api: Arc<Api>, options: Options, metrics: Metrics, drain: Arc<Drain>) -> Self {
        let rate_limiter = options.rate_limit.map(|RateLimit { per_second, burst }| {
            // Keyed by partners that hold a valid key, so there are never more buckets than partners.
            RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst))
        });
        let response_memory = Arc::new(ResponseMemory::new(metrics.connections.response_bytes.clone()));
        Self { api, options, metrics, drain, response_memory, log_sampler: LogSampler::default(), rate_limiter }
    }

    /// Counts an event of a connection, and logs it unless there are many of its kind.
    pub(crate) fn connection_event(&self, event: ConnectionEvent, client: Option<IpAddr>) {
        self.metrics.connections.count(event);
        let reason = event.reason();
        if self.log_sampler.admits(reason) {
            let client_address = client.filter(|_| self.options.log_client_address);
            tracing::info!(reason, client_address = client_address.map(tracing::field::display), "connection ended");
        }
    }

    /// Counts a request of the partner, or says when it may come again.
    pub(crate) fn admit(&self, partner_id: PartnerId) -> Result<(), Failure> {
        let Some(limiter) = &self.rate_limiter else { return Ok(()) };
        limiter.check_key(&partner_id).map_err(|refused| {
            let wait = refused.wait_time_from(limiter.clock().now());
            Failure::rate_limited((wait + Duration::from_nanos(999_999_999)).as_secs())
        })
    }
}

//! What happens to every request, whatever its route: a deadline, a net under panics, headers, metrics, one log line.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        ConnectionType, StatusCode,
        header::{
            CACHE_CONTROL, HeaderName, HeaderValue, InvalidHeaderValue, STRICT_TRANSPORT_SECURITY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    web::Payload,
};
use futures_util::FutureExt;
use signet_domain::{ApiKeyId, RequestId};

use crate::{
    Shared,
    body::{Unread, in_pieces, large},
    compression::compress,
    cors,
    envelope::{Answer, refusal},
    error::{Code, Failure, Shed},
    exchange::Exchange,
    metrics::{NO_METHOD, method_label},
    response_memory::HeldBytes,
    routes::NO_ROUTE,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// What nginx calls a request whose client went away before the answer; it shows in logs and metrics only.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Kinds of log lines that have no error code.
const NOT_HTTP: &str = "not_http";
const CLIENT_CLOSED: &str = "client_closed_request";

/// Answers a request by `handle`, in time and in an envelope, come what may.
pub(crate) async fn observe<H>(
    shared: Arc<Shared>,
    route: &'static str,
    http: HttpRequest,
    payload: Payload,
    handle: H,
) -> HttpResponse
where
    H: AsyncFnOnce(&Exchange) -> Answer,
{
    let exchange = Exchange::new(shared, http, payload);
    let observation = Observation::begin(&exchange, route);
    let deadline = exchange.begun + exchange.shared.options.deadline;
    let in_time = tokio::time::timeout_at(deadline.into(), handle(&exchange));
    let answer = match AssertUnwindSafe(in_time).catch_unwind().await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_elapsed)) => Err(Failure::unavailable(Shed::Deadline, &"the request took too long")),
        Err(_panic) => Err(Failure::internal(&"the handler panicked")),
    };
    let held = answer.and_then(|response| Ok((hold(&exchange, &response)?, response)));
    let (mut code, mut held_bytes) = (None, None);
    let answer = held.map(|(held, response)| {
        held_bytes = held;
        response
    });
    let mut response = answer.unwrap_or_else(|failure| {
        report(&failure, &exchange, route);
        code = Some(failure.code);
        refusal(&failure, &exchange.request_id)
    });
    response = compress(&exchange.http, response).await.map_body(|_, answer| in_pieces(answer, held_bytes));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if let Ok(id) = HeaderValue::from_str(exchange.request_id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
    let options = &exchange.shared.options;
    cors::expose(&exchange.http, &options.cors_origins, headers);
    if let Some(hsts) = options.hsts.and_then(|max_age| hsts(max_age).ok()) {
        headers.insert(STRICT_TRANSPORT_SECURITY, hsts);
    }
    if exchange.shared.drain.is_draining() {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    observation.end(response.status(), code);
    match exchange.into_unread() {
        Some(request) => response.map_body(|_, answer| BoxBody::new(Unread::new(answer, request))),
        None => response,
    }
}

/// Accounts for a large answer to a partner. All others are the same bytes for everybody.
fn hold(exchange: &Exchange, response: &HttpResponse) -> Result<Option<HeldBytes>, Failure> {
    let large = exchange.caller.get().zip(large(response.body()));
    large.map(|(caller, bytes)| exchange.shared.response_memory.hold(caller.partner_id, bytes)).transpose()
}

fn hsts(max_age: Duration) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::try_from(format!("max-age={}", max_age.as_secs()))
}

/// Counts and logs what was refused because it is no request: no route and no caller are known.
pub(crate) fn no_request(shared: &Shared, request_id: &RequestId, code: Code) {
    let (method, route, status) = (NO_METHOD, NO_ROUTE, code.status().as_u16());
    shared.metrics.begin();
    shared.metrics.end(route, method, status, Duration::ZERO);
    if shared.log_sampler.admits(NOT_HTTP) {
        let (request_id, code) = (request_id.as_str(), code.as_str());
        tracing::info!(request_id, method, route, status, code, latency_us = 0, "request");
    }
}

/// Tells whoever runs the service why it failed; a client that did something wrong is no news.
fn report(failure: &Failure, exchange: &Exchange, route: &'static str) {
    if let Some(shed) = failure.shed {
        exchange.shared.metrics.count_shed(shed);
    }
    let Some(cause) = &failure.cause else { return };
    let request_id = exchange.request_id.as_str();
    match failure.shed {
        None => tracing::error!(request_id, route, cause, "failed to serve a request"),
        Some(shed) if exchange.shared.log_sampler.admits(shed.as_str()) => {
            tracing::warn!(request_id, route, cause, "could not serve a request");
        }
        Some(_) => {}
    }
}

/// Writes the log line and the metrics of one request when it ends, or when its client gives up.
struct Observation<'a> {
    exchange: &'a Exchange,
    route: &'static str,
    status: u16,
    code: Option<Code>,
}

impl<'a> Observation<'a> {
    fn begin(exchange: &'a Exchange, route: &'static str) -> Self {
        exchange.shared.metrics.begin();
        Self { exchange, route, status: CLIENT_CLOSED_REQUEST, code: None }
    }

    fn end(mut self, status: StatusCode, code: Option<Code>) {
        (self.status, self.code) = (status.as_u16(), code);
    }

    /// The kind of line that is written for some requests only: what a stranger can cause, and what is shed.
    fn sampled_as(&self) -> Option<&'static str> {
        let is_known = self.exchange.caller.get().is_some();
        match self.code {
            Some(code @ (Code::RateLimited | Code::ServiceUnavailable)) => Some(code.as_str()),
            Some(code) if !is_known => Some(code.as_str()),
            None if !is_known && self.status == CLIENT_CLOSED_REQUEST => Some(CLIENT_CLOSED),
            _ => None,
        }
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        let latency = self.exchange.begun.elapsed();
        let method = method_label(self.exchange.http.method());
        self.exchange.shared.metrics.end(self.route, method, self.status, latency);
        if self.sampled_as().is_some_and(|kind| !self.exchange.shared.log_sampler.admits(kind)) {
            return;
        }
        let client_address = self.exchange.shared.options.log_client_address.then(|| self.exchange.client_address());
        let caller = self.exchange.caller.get();
        tracing::info!(
            request_id = self.exchange.request_id.as_str(),
            method,
            route = self.route,
            status = self.status,
            code = self.code.map(Code::as_str),
            latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            partner_id = caller.map(|caller| tracing::field::display(caller.partner_id)),
            key_id = caller.map(|caller| &caller.key_id).or(self.exchange.refused_key.get()).map(ApiKeyId::as_str),
            client_address = client_address.flatten().map(tracing::field::display),
            "request",
        );
    }
}

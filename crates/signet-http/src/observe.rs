//! What happens to every request, whatever its route: a deadline, a net under panics, headers, metrics, one log line.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    body::BoxBody,
    http::{
        ConnectionType, StatusCode,
        header::{CACHE_CONTROL, HeaderName, HeaderValue, UPGRADE, X_CONTENT_TYPE_OPTIONS},
    },
    web::Payload,
};
use futures_util::FutureExt;
use signet_domain::RequestId;

use crate::{
    Shared,
    body::Unread,
    envelope::{Answer, refusal},
    error::{Code, Failure},
    exchange::Exchange,
    metrics::{NO_METHOD, method_label},
    routes::NO_ROUTE,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// What nginx calls a request whose client went away before the answer; it shows in logs and metrics only.
const CLIENT_CLOSED_REQUEST: u16 = 499;

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
        Ok(Err(_elapsed)) => Err(Failure::unavailable(&"the request took too long")),
        Err(_panic) => Err(Failure::internal(&"the handler panicked")),
    };
    let mut response = answer.unwrap_or_else(|failure| {
        report(&failure, &exchange, route);
        refusal(&failure, &exchange.request_id)
    });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if let Ok(id) = HeaderValue::from_str(exchange.request_id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
    // Nothing here is upgraded to; the server would repeat the wish for it as if it were granted, and close.
    let wants_upgrade = exchange.http.head().upgrade() || exchange.http.headers().contains_key(UPGRADE);
    if exchange.shared.drain.is_draining() || wants_upgrade {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    observation.end(response.status());
    match exchange.into_unread() {
        Some(request) => response.map_body(|_, answer| BoxBody::new(Unread::new(answer, request))),
        None => response,
    }
}

/// Counts and logs what was refused because it is no request: no route and no caller are known.
pub(crate) fn no_request(shared: &Shared, request_id: &RequestId, status: StatusCode) {
    let (method, route, status) = (NO_METHOD, NO_ROUTE, status.as_u16());
    shared.metrics.begin();
    shared.metrics.end(route, method, status, Duration::ZERO);
    tracing::info!(request_id = request_id.as_str(), method, route, status, latency_us = 0, "request");
}

/// Tells whoever runs the service why it failed; a client that did something wrong is no news.
fn report(failure: &Failure, exchange: &Exchange, route: &'static str) {
    let Some(cause) = &failure.cause else { return };
    let request_id = exchange.request_id.as_str();
    if failure.code == Code::ServiceUnavailable {
        tracing::warn!(request_id, route, cause, "could not serve a request");
    } else {
        tracing::error!(request_id, route, cause, "failed to serve a request");
    }
}

/// Writes the log line and the metrics of one request when it ends, or when its client gives up.
struct Observation<'a> {
    exchange: &'a Exchange,
    route: &'static str,
    status: u16,
}

impl<'a> Observation<'a> {
    fn begin(exchange: &'a Exchange, route: &'static str) -> Self {
        exchange.shared.metrics.begin();
        Self { exchange, route, status: CLIENT_CLOSED_REQUEST }
    }

    fn end(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        let latency = self.exchange.begun.elapsed();
        let method = method_label(self.exchange.http.method());
        self.exchange.shared.metrics.end(self.route, method, self.status, latency);
        let caller = self.exchange.caller.get();
        tracing::info!(
            request_id = self.exchange.request_id.as_str(),
            method,
            route = self.route,
            status = self.status,
            latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
            partner_id = caller.map(|caller| tracing::field::display(caller.partner_id)),
            key_id = caller.map(|caller| caller.key_id.as_str()),
            "request",
        );
    }
}

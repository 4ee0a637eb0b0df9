//! The second listener, for machines: `/livez`, `/readyz` and `/metrics`.

mod collector;
mod process;
mod state;

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{App, FromRequest, Handler, HttpResponse, HttpServer, Resource, dev::ServerHandle, http::header, web};
use prometheus_client::encoding::text::encode;

pub(crate) use state::{Phase, State};

/// As [OpenMetrics 1.0](https://prometheus.io/docs/specs/om/open_metrics_spec/) asks.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves on one thread of its own until the handle is told to stop.
pub(crate) fn start(listener: TcpListener, state: Arc<State>) -> io::Result<ServerHandle> {
    let state = web::Data::from(state);
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes))
        .workers(1)
        .max_connections(256)
        .client_request_timeout(Duration::from_secs(5))
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/livez", live)).service(resource("/readyz", ready)).service(resource("/metrics", metrics));
}

/// Answers `GET` and `HEAD`, for which the server leaves the body out; refuses other methods.
fn resource<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output = HttpResponse>,
    Args: FromRequest + 'static,
{
    let refuse = || async { HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, "GET, HEAD")).finish() };
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
        .default_service(web::to(refuse))
}

/// The process can answer. Nothing else is looked at: a restart heals no database.
async fn live() -> HttpResponse {
    text(HttpResponse::Ok(), "live\n")
}

/// The service should be sent requests.
async fn ready(state: web::Data<State>) -> HttpResponse {
    match state.readiness().await {
        Ok(()) => text(HttpResponse::Ok(), "ready\n"),
        Err(reason) => text(HttpResponse::ServiceUnavailable(), &format!("not ready: {reason}\n")),
    }
}

async fn metrics(state: web::Data<State>) -> HttpResponse {
    let mut body = String::new();
    match encode(&mut body, state.registry()) {
        Ok(()) => HttpResponse::Ok().insert_header((header::CONTENT_TYPE, OPENMETRICS)).body(body),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn text(mut response: actix_web::HttpResponseBuilder, body: &str) -> HttpResponse {
    response
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body.to_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::{body::to_bytes, test};
    use signet_application::api_keys::VerifiedKeys;

    use super::*;
    use crate::backend::{Backend, BackendOptions};

    fn state() -> State {
        let lost_lines = tracing_appender::non_blocking(std::io::sink()).0.error_counter();
        State::new(
            &signet_http::Metrics::default(),
            Arc::new(VerifiedKeys::default()),
            lost_lines,
            crate::tls::Expiry::default(),
        )
    }

    async fn get(state: &Arc<State>, path: &str) -> (u16, String) {
        let app = App::new().app_data(web::Data::from(Arc::clone(state))).configure(routes);
        let app = test::init_service(app).await;
        let response = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[actix_web::test]
    async fn readiness_follows_the_phases_and_the_database() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}/signet.db", directory.path().display()).parse().expect("a URL");
        let options = BackendOptions { threads: None, statement_cache: true, deadline: None };
        let backend = Backend::open(&url, options).expect("opened");
        let state = Arc::new(state());

        assert_eq!(get(&state, "/readyz").await, (503, "not ready: starting\n".to_owned()));
        assert!(!get(&state, "/metrics").await.1.contains("signet_database_connections"));
        state.opened(backend.clone());
        state.enter(Phase::Serving);
        assert_eq!(get(&state, "/readyz").await, (503, "not ready: database\n".to_owned()), "it is not migrated");
        backend.migrate().await.expect("migrated");
        assert_eq!(get(&state, "/readyz").await, (200, "ready\n".to_owned()));
        state.enter(Phase::Stopping);
        assert_eq!(get(&state, "/readyz").await, (503, "not ready: stopping\n".to_owned()));
        assert_eq!(get(&state, "/livez").await.0, 200);
        assert_eq!(get(&state, "/").await.0, 404);
    }

    #[actix_web::test]
    async fn the_metrics_are_complete() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}/signet.db", directory.path().display()).parse().expect("a URL");
        let options = BackendOptions { threads: None, statement_cache: true, deadline: None };
        let state = Arc::new(state());
        state.opened(Backend::open(&url, options).expect("opened"));
        let (status, text) = get(&state, "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            "signet_database_connections 3.0",
            "signet_database_connections_idle 3.0",
            "signet_verified_keys 0",
            "signet_verified_keys_hits_total 0",
            "signet_log_lines_lost_total 0",
            "signet_build_info{version=",
            "signet_database_queue_length{queue=\"user_writes\"} 0",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_start_time_seconds ",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}

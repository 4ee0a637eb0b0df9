use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use prometheus_client::registry::Registry;
use signet_application::api_keys::VerifiedKeys;
use signet_domain::ports::StoreError;

use super::collector::Gauges;
use crate::{backend::Backend, tls::Expiry};
use tracing_appender::non_blocking::ErrorCounter;

/// Where the service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It cannot answer yet.
    Starting,
    /// It answers.
    Serving,
    /// It still answers, and wants no more requests.
    Stopping,
}

/// What the management listener tells about.
pub(crate) struct State {
    phase: Mutex<Phase>,
    backend: Arc<OnceLock<Backend>>,
    registry: Registry,
    /// Whether the database answered the last time it was asked, so that a change is logged, once.
    database_was_ready: AtomicBool,
}

impl State {
    /// A service that is starting.
    pub(crate) fn new(
        metrics: &signet_http::Metrics,
        verified: Arc<VerifiedKeys>,
        lost_lines: ErrorCounter,
        expiry: Expiry,
    ) -> Self {
        let backend = Arc::new(OnceLock::new());
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        registry.register_collector(Box::new(Gauges::new(Arc::clone(&backend), verified, lost_lines, expiry)));
        Self { phase: Mutex::new(Phase::Starting), backend, registry, database_was_ready: AtomicBool::new(true) }
    }

    /// The database is open: from now on it is part of the readiness and of the metrics.
    pub(crate) fn opened(&self, backend: Backend) {
        // It is opened once.
        let _ = self.backend.set(backend);
    }

    /// Nothing uses the database any more.
    pub(crate) fn close_database(&self) {
        if let Some(backend) = self.backend.get() {
            backend.close();
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Why the service should be sent no requests, in a word; the log has the reason.
    pub(super) async fn readiness(&self) -> Result<(), &'static str> {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let backend = match (phase, self.backend.get()) {
            (Phase::Serving, Some(backend)) => backend,
            (Phase::Stopping, _) => return Err("stopping"),
            (Phase::Starting | Phase::Serving, _) => return Err("starting"),
        };
        match backend.ready().await {
            // A database with too much to do is there; taking the service away from it would help nobody.
            Ok(()) | Err(StoreError::Overloaded) => {
                if !self.database_was_ready.swap(true, Ordering::Relaxed) {
                    tracing::info!("the database is ready again");
                }
                Ok(())
            }
            Err(error) => {
                if self.database_was_ready.swap(false, Ordering::Relaxed) {
                    tracing::warn!(reason = %error, "the database is not ready");
                }
                Err("database")
            }
        }
    }
}

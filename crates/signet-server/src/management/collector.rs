use std::{
    env::consts,
    fmt,
    sync::{Arc, OnceLock},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use signet_application::api_keys::VerifiedKeys;

use super::process;
use crate::{backend::Backend, tls::Expiry};
use tracing_appender::non_blocking::ErrorCounter;

/// What is looked up when it is asked for: connections, the memory of verified keys, the process.
pub(super) struct Gauges {
    backend: Arc<OnceLock<Backend>>,
    verified: Arc<VerifiedKeys>,
    lost_lines: ErrorCounter,
    expiry: Expiry,
}

impl Gauges {
    pub(super) fn new(
        backend: Arc<OnceLock<Backend>>,
        verified: Arc<VerifiedKeys>,
        lost_lines: ErrorCounter,
        expiry: Expiry,
    ) -> Self {
        Self { backend, verified, lost_lines, expiry }
    }
}

impl fmt::Debug for Gauges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gauges").finish_non_exhaustive()
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: f64| write(&mut encoder, name, help, &ConstGauge::new(value));
        if let Some(backend) = self.backend.get() {
            let connections = backend.connections();
            gauge("signet_database_connections", "Open connections to the database", connections.open.into())?;
            gauge("signet_database_connections_idle", "Those of them that wait for work", connections.idle.into())?;
        }
        let build = [("version", env!("CARGO_PKG_VERSION")), ("arch", consts::ARCH), ("os", consts::OS)];
        family(&mut encoder, "signet_build_info", "Which program this is", [(build, 1)])?;
        if let Some(backend) = self.backend.get() {
            let queues =
                backend.queue_lengths().into_iter().map(|(queue, length)| ([("queue", queue)], number(length)));
            family(&mut encoder, "signet_database_queue_length", "Operations that wait for a database thread", queues)?;
        }
        let mut gauge = |name: &str, help: &str, value: f64| write(&mut encoder, name, help, &ConstGauge::new(value));
        let process = process::Usage::read();
        if let Some(bytes) = process.resident_bytes {
            gauge("process_resident_memory_bytes", "Resident memory", bytes)?;
        }
        if let Some(bytes) = process.virtual_bytes {
            gauge("process_virtual_memory_bytes", "Virtual memory", bytes)?;
        }
        if let Some(count) = process.open_files {
            gauge("process_open_fds", "Open file descriptors", count)?;
        }
        if let Some(count) = process.max_files {
            gauge("process_max_fds", "The most file descriptors that may be open", count)?;
        }
        if let Some(count) = process.threads {
            gauge("process_threads", "Threads", count)?;
        }
        if let Some(seconds) = process.started_at {
            gauge("process_start_time_seconds", "When the process started, since 1970", seconds)?;
        }
        if let Some(seconds) = self.expiry.unix_seconds() {
            let (name, help) =
                ("signet_certificate_expiry_timestamp_seconds", "When the TLS certificate expires, since 1970");
            write(&mut encoder, name, help, &ConstGauge::new(seconds))?;
        }
        let keys = self.verified.state();
        write(&mut encoder, "signet_verified_keys", "Verified keys in memory", &ConstGauge::new(keys.entries))?;
        let mut counter =
            |name: &str, help: &str, value: u64| write(&mut encoder, name, help, &ConstCounter::new(value));
        counter("signet_verified_keys_hits", "Requests that the memory spared a verification", keys.hits)?;
        counter("signet_verified_keys_misses", "Requests that it did not", keys.misses)?;
        let lost = u64::try_from(self.lost_lines.dropped_lines()).unwrap_or(u64::MAX);
        counter("signet_log_lines_lost", "Log lines that nobody read fast enough", lost)?;
        if let Some(seconds) = process.cpu_seconds {
            write(&mut encoder, "process_cpu_seconds", "CPU time, user and system", &ConstCounter::new(seconds))?;
        }
        Ok(())
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A gauge for each set of labels.
fn family<const LABELS: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = ([(&'static str, &'static str); LABELS], i64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn write(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

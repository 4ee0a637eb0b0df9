//! Logs: one event a line on stderr, as text or JSON, written by a thread of its own.

mod line;

use std::io::{BufWriter, IsTerminal};

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::error::Failure;

/// How many lines may wait to be written. One more is lost, and counted: a reader of the log that stands still must not
/// make the service stand still.
const BUFFERED_LINES: usize = 65_536;

/// How many bytes of lines that wait are written with one call.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// How an event looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Writes what is left when it is dropped.
#[must_use]
pub(crate) struct Telemetry {
    _guard: WorkerGuard,
    lost: ErrorCounter,
}

impl Telemetry {
    /// Counts the lines that were lost.
    pub(crate) fn lost_lines(&self) -> ErrorCounter {
        self.lost.clone()
    }
}

/// Starts to log what passes `filter`.
pub(crate) fn start(format: LogFormat, filter: EnvFilter) -> Result<Telemetry, Failure> {
    let is_terminal = std::io::stderr().is_terminal();
    // Lines that wait together are written together.
    let writer = BufWriter::with_capacity(WRITTEN_AT_ONCE, std::io::stderr());
    let (writer, guard) = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(BUFFERED_LINES).finish(writer);
    let lost = writer.error_counter();
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(writer);
    if format == LogFormat::Text && is_terminal {
        registry.with(layer.with_target(false)).try_init()
    } else {
        registry.with(layer.event_format(format)).try_init()
    }
    .map_err(|error| Failure::runtime("cannot start the log", error))?;
    log_panics();
    Ok(Telemetry { _guard: guard, lost })
}

/// Writes one last line, whether or not the log has been started.
pub(crate) fn log_fatal(format: LogFormat, text: &str) {
    let layer = fmt::layer().event_format(format).with_writer(std::io::stderr);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || tracing::error!("{text}"));
}

/// A panic is an event like others, and must not show what it was about: only a message that is part of the program
/// is repeated, since a formatted one may hold a name, an address or a secret.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown)");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message, location, thread = std::thread::current().name(), "panic");
    }));
}

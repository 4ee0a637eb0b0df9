use std::{
    fmt::{self, Write},
    fs,
    time::{Duration, SystemTime},
};

use signet_domain::Timestamp;

use crate::{Comparison, Run, Scale, Scenario, Traffic};

/// What a scenario did and saw: short phrases, which become the cells of its row.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    did: Vec<String>,
    measured: Vec<String>,
    lost: Vec<String>,
    broken: Vec<String>,
}

impl Findings {
    /// What was done, and how often.
    pub fn did(&mut self, text: impl Into<String>) {
        self.did.push(text.into());
    }

    /// What was measured.
    pub fn measured(&mut self, text: impl Into<String>) {
        self.measured.push(text.into());
    }

    /// What was lost, if only nothing.
    pub fn lost(&mut self, text: impl Into<String>) {
        self.lost.push(text.into());
    }

    /// Something that must hold, and whether it did. One that does not makes the whole run fail; its text, which should
    /// say what was seen instead, comes below the table.
    pub fn promise(&mut self, holds: bool, text: impl Into<String>) {
        if !holds {
            self.broken.push(text.into());
        }
    }

    /// What of the acknowledged changes was lost, which must be nothing, and what the clients had to complain about.
    pub fn compared(&mut self, comparison: &Comparison, complaints: impl IntoIterator<Item = String>) {
        self.lost(comparison.to_string());
        self.promise(comparison.is_exact(), comparison.to_string());
        self.broken.extend(complaints);
    }

    /// How many requests were answered, how and how slowly, and how many were not.
    pub fn attempted(&mut self, traffic: &Traffic) {
        self.measured(format!(
            "{} answers, slowest {:.1} s, {} of them 503; {} requests without an answer",
            traffic.answers.len(),
            traffic.answers.max().as_secs_f64(),
            traffic.unavailable,
            traffic.unanswered
        ));
    }

    /// Whether every promise held.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.broken.is_empty()
    }
}

/// The table that a run ends with, as Markdown.
#[derive(Debug)]
pub struct Report {
    head: String,
    rows: String,
    broken: String,
}

impl Report {
    /// An empty one, headed by date, machine and seed.
    #[must_use]
    pub fn new(run: &Run) -> Self {
        let counts = match run.scale {
            Scale::Smoke => "smoke",
            Scale::Short => "short",
            Scale::Full => "full",
        };
        let head = format!("{}, {}; {counts} counts, seed {}.", today(), machine(), run.seed);
        Self { head, rows: String::new(), broken: String::new() }
    }

    /// Adds a row.
    pub fn add(&mut self, scenario: &Scenario, findings: &Findings, took: Duration) {
        let cell = |phrases: &[String]| phrases.join("; ").replace('|', "\\|").replace('\n', " ");
        let verdict = if findings.hold() { "held" } else { "**FAILED**" };
        let Findings { did, measured, lost, .. } = findings;
        let (did, measured, lost) = (cell(did), cell(measured), cell(lost));
        let Scenario { name, fault, .. } = scenario;
        // Writing to a String cannot fail.
        let _ = writeln!(
            self.rows,
            "| `{name}`: {fault} | {did} | {measured} | {lost} | {verdict} | {:.0} s |",
            took.as_secs_f64()
        );
        for promise in &findings.broken {
            let _ = writeln!(self.broken, "- `{name}`: {promise}");
        }
    }

    /// Whether every promise of every scenario held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, rows, broken } = self;
        write!(
            formatter,
            "{head}\n\n| fault | done | measured | lost | verdict | took |\n|---|---|---|---|---|---|\n{rows}"
        )?;
        if broken.is_empty() { Ok(()) } else { write!(formatter, "\nBroken promises:\n\n{broken}") }
    }
}

#[expect(clippy::disallowed_methods, reason = "the report tells the real day")]
fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_millis()).ok().and_then(|millis| Timestamp::from_unix_millis(millis).ok());
    now.map(|now| now.to_string().chars().take(10).collect()).unwrap_or_default()
}

fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| -> Option<String> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "an unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let kib = memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores ({processor}), {} GiB, Linux {}", kib.div_ceil(1024 * 1024), kernel.trim())
}

//! The Nth write or sync of a thread or process fails, made to by `strace`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use rustix::process::{Pid, Signal, kill_process};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::{
    Client, Findings, Ledger, Run, Service, Times, Writers,
    disk::{self, Reader, comes_back},
    run::mix,
};

const WRITERS: usize = 16;
const PATIENCE: Duration = Duration::from_mins(1);
const HEALED_WITHIN: Duration = Duration::from_secs(5);
/// The calls that fail, and how.
const KINDS: [(&str, &str); 4] = [
    ("pwrite64,pwritev,ftruncate", "EIO"),
    ("pwrite64,pwritev,ftruncate", "ENOSPC"),
    ("fsync,fdatasync", "EIO"),
    ("fsync,fdatasync", "ENOSPC"),
];

pub(super) async fn on_sqlite(run: &Run) -> Findings {
    let mut random = run.random("disk errors on SQLite");
    let (mut findings, times) = (Findings::default(), run.choose(1, 3, 50));
    let mut service = Service::on_sqlite(run);
    service.arguments.extend(["--shutdown-delay", "0s"].map(str::to_owned));
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let ledger = Ledger::default();
    let reader = Reader::start(Client::new(endpoint.clone()), &ledger).await;
    let writers = Writers::start(WRITERS, &[endpoint], &ledger, mix(run.seed, "disk errors")).await;
    let (mut healed, mut failed, mut reads) = (Times::default(), 0, Reads::default());
    for fault in (0..times).flat_map(|_| KINDS).map(|kind| Fault::choose(kind, 20..300, &mut random)) {
        service.stop();
        let trace = service.directory().join("strace.log");
        // The tracer is its grandchild: signals go to the program.
        let tracer = ["strace", "-D", "-f", "--seccomp-bpf"].map(str::to_owned).to_vec();
        service.wrapper = [tracer, fault.options(&trace)].concat();
        service.start().await;
        let started = Instant::now();
        has_failed(&trace, &ledger).await;
        let (begun, before) = (Instant::now(), ledger.acknowledged());
        ledger.reached(before + WRITERS).await;
        healed.add(begun.elapsed());
        ledger.reached(before + 50).await;
        failed += injected(&trace);
        reads.add(reader.since(started));
    }
    findings.promise(service.is_running(), "the service goes on running");
    service.stop();
    service.wrapper.clear();
    service.start().await;
    writers.stop().await;
    service.stop();
    drop(reader);
    tell(&mut findings, &ledger, &service, (times, failed), &healed).await;
    reads.tell(&mut findings);
    findings.promise(reads.refused == 0, format!("reads go on, but for {} × 503", reads.refused));
    let verdict = disk::integrity(&service.directory().join("signet.db"));
    findings.measured(format!("integrity_check: {verdict}"));
    findings.promise(verdict == "ok", format!("a sound file: {verdict}"));
    findings
}

pub(super) async fn on_postgres(run: &Run) -> Findings {
    let mut random = run.random("disk errors on PostgreSQL");
    let (mut findings, times) = (Findings::default(), run.choose(1, 2, 25));
    let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&postgres);
    let mut service = Service::new(run, &postgres.url(database.name()));
    service.arguments.extend(["--shutdown-delay", "0s", "--wait-for-database", "60s"].map(str::to_owned));
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let ledger = Ledger::default();
    let reader = Reader::start(Client::new(endpoint.clone()), &ledger).await;
    let writers = Writers::start(WRITERS, &[endpoint], &ledger, mix(run.seed, "disk errors")).await;
    let (mut healed, mut failed, mut restarts, mut reads) = (Times::default(), 0, 0, Reads::default());
    for fault in (0..times).flat_map(|_| KINDS).map(|kind| Fault::choose(kind, 5..200, &mut random)) {
        let tracer = match Tracer::attach(&postgres, &fault).await {
            Ok(tracer) => tracer,
            Err(reason) => {
                findings.promise(false, format!("left out: {reason}"));
                break;
            }
        };
        // Its next sessions are processes that are traced from their birth.
        service.stop();
        // The call may fail before it is ready, and so may the recovery: then somebody has to start PostgreSQL first.
        service.spawn();
        let started = Instant::now();
        has_failed(&tracer.trace, &ledger).await;
        failed += injected(&tracer.trace);
        drop(tracer);
        restarts += usize::from(comes_back(&postgres).await);
        let (begun, before) = (Instant::now(), ledger.acknowledged());
        ledger.reached(before + WRITERS).await;
        healed.add(begun.elapsed());
        reads.add(reader.since(started));
    }
    writers.stop().await;
    drop(reader);
    findings.promise(service.is_running(), "the service goes on running");
    service.stop();
    let panics = postgres.log().iter().filter(|line| line.contains("PANIC:")).count();
    tell(&mut findings, &ledger, &service, (times, failed), &healed).await;
    // Those that come while it recovers from a failed sync are refused.
    reads.tell(&mut findings);
    let verdict = disk::amcheck(&postgres, &database);
    findings.measured(format!(
        "PostgreSQL: {panics} × PANIC, {restarts} × started by hand; pg_amcheck: {}",
        if verdict.is_ok() { "clean" } else { "not clean" }
    ));
    findings.promise(verdict.is_ok(), format!("a sound database: {verdict:?}"));
    findings
}

async fn tell(
    findings: &mut Findings,
    ledger: &Ledger,
    service: &Service,
    (times, failed): (usize, usize),
    healed: &Times,
) {
    let compared = ledger.compare(&service.stores()).await;
    findings.did(format!("{times} × each of EIO and ENOSPC on writes and syncs: {failed} calls failed"));
    let traffic = ledger.traffic();
    findings.attempted(&traffic);
    findings.promise(traffic.unavailable > 0, "writes are refused");
    findings.measured(format!("{WRITERS} writes {:.2} s after the failure at most", healed.max().as_secs_f64()));
    findings.promise(healed.max() <= HEALED_WITHIN, format!("healed in {HEALED_WITHIN:?}, not {:?}", healed.max()));
    findings.compared(&compared, ledger.complaints());
}

/// What became of the reads while calls failed.
#[derive(Default)]
struct Reads {
    done: usize,
    refused: usize,
    wrong: Vec<String>,
}

impl Reads {
    fn add(&mut self, (done, refused, wrong): (usize, usize, Vec<String>)) {
        self.done += done;
        self.refused += refused;
        // Whoever asks while the server starts again is not let in.
        self.wrong.extend(wrong.into_iter().filter(|what| !what.contains("Refused(") && !what.contains("Broken(")));
    }

    fn tell(&self, findings: &mut Findings) {
        findings.measured(format!("reads meanwhile: {} × 200, {} × 503", self.done, self.refused));
        findings.promise(self.done > 0, "reads are answered");
        for what in self.wrong.iter().take(5) {
            findings.promise(false, what);
        }
    }
}

/// Which calls fail, counted in each thread by itself.
struct Fault {
    calls: &'static str,
    error: &'static str,
    from: u32,
    to: u32,
}

impl Fault {
    /// One call, or a row of them, so that repeating it does not help.
    fn choose((calls, error): (&'static str, &'static str), range: std::ops::Range<u32>, random: &mut StdRng) -> Self {
        let from = random.random_range(range);
        let to = from + if random.random() { random.random_range(1..40) } else { 0 };
        Self { calls, error, from, to }
    }

    /// Options for `strace`, which writes to `trace` what it has made fail.
    fn options(&self, trace: &Path) -> Vec<String> {
        let Self { calls, error, from, to } = self;
        // One that is there still tells of the last fault.
        drop(fs::remove_file(trace));
        let inject = format!("inject={calls}:error={error}:when={from}..{to}");
        let quiet = ["-qq", "-e", "signal=none", "-e", "status=failed", "-o"].map(str::to_owned);
        let what = [trace.display().to_string(), "-e".to_owned(), format!("trace={calls}"), "-e".to_owned(), inject];
        [quiet.to_vec(), what.to_vec()].concat()
    }
}

/// An `strace` of a server and of all processes that it makes from now on. It lets go with this value.
struct Tracer {
    process: Child,
    trace: PathBuf,
    _directory: TempDir,
}

impl Tracer {
    async fn attach(postgres: &PostgresServer, fault: &Fault) -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("signet-strace-").tempdir().expect("a folder");
        let trace = directory.path().join("strace.log");
        let server = postgres.pid();
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &server.to_string()]).args(fault.options(&trace));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let missing = |error| format!("strace: {error}; install it (on Debian: apt-get install strace)");
        let process = command.spawn().map_err(missing)?;
        let mut tracer = Self { process, trace, _directory: directory };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = fs::read_to_string(format!("/proc/{server}/status")).unwrap_or_default();
            if status.contains(&format!("TracerPid:\t{}\n", tracer.process.id())) {
                return Ok(tracer);
            }
            if tracer.process.try_wait().expect("it can be waited for").is_some() {
                return Err("strace may not look at PostgreSQL: it needs root".to_owned());
            }
            assert!(Instant::now() < deadline, "strace does not attach");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        // Asked to, it lets all of them go on; killed, it would not have to. It may have ended with the server.
        let _ = kill_process(id, Signal::INT);
        let _ = self.process.wait();
    }
}

/// Waits until a call was made to fail.
async fn has_failed(trace: &Path, ledger: &Ledger) {
    let deadline = Instant::now() + PATIENCE;
    while injected(trace) == 0 {
        assert!(Instant::now() < deadline, "no call has failed; complaints: {:?}", ledger.complaints());
        sleep(Duration::from_millis(10)).await;
    }
}

fn injected(trace: &Path) -> usize {
    String::from_utf8_lossy(&fs::read(trace).unwrap_or_default()).matches("(INJECTED)").count()
}

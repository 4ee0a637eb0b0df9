//! A small disk runs full while writers work.

use std::time::{Duration, Instant};

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::time::sleep;

use crate::{
    Findings, Ledger, Run, Service, Times, Writers,
    disk::{self, Disk, Reader},
    run::mix,
};

const WRITERS: usize = 16;
/// How long nothing must have been acknowledged before the disk counts as full.
const STANDSTILL: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(2);
const HEALED_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn under_sqlite(run: &Run) -> Findings {
    let Some(disk) = small_disk(48) else { return left_out() };
    let file = disk.path().join("signet.db");
    let mut service = Service::new(run, &format!("sqlite://{}", file.display()));
    service.arguments.extend(["--tls-dir", "signet-tls"].map(str::to_owned));
    let mut findings = fill_up(run, &mut service, &disk, None).await;
    let verdict = disk::integrity(&file);
    findings.measured(format!("integrity_check: {verdict}"));
    findings.promise(verdict == "ok", format!("a sound file: {verdict}"));
    findings
}

pub(super) async fn under_tables(run: &Run) -> Findings {
    under_postgres(run, "base", 96).await
}

pub(super) async fn under_the_log(run: &Run) -> Findings {
    under_postgres(run, "pg_wal", 96).await
}

async fn under_postgres(run: &Run, folder: &str, mib: usize) -> Findings {
    let Some(disk) = small_disk(mib) else { return left_out() };
    let settings = ["min_wal_size=32MB", "max_wal_size=48MB"].map(str::to_owned).to_vec();
    let postgres = PostgresServer::start_new(&ServerOptions { durable: true, settings, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&postgres);
    disk.take_over(&postgres, folder);
    let mut service = Service::new(run, &postgres.url(database.name()));
    let mut findings = fill_up(run, &mut service, &disk, Some(&postgres)).await;
    let verdict = disk::amcheck(&postgres, &database);
    findings.measured(format!("pg_amcheck: {}", if verdict.is_ok() { "clean" } else { "not clean" }));
    findings.promise(verdict.is_ok(), format!("a sound database: {verdict:?}"));
    findings
}

async fn fill_up(run: &Run, service: &mut Service, disk: &Disk, postgres: Option<&PostgresServer>) -> Findings {
    let (times, length) = (run.choose(1, 3, 20), Duration::from_secs(run.choose(1, 3, 5)));
    let mut findings = Findings::default();
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let ledger = Ledger::default();
    let reader = Reader::start(crate::Client::new(endpoint.clone()), &ledger).await;
    let writers = Writers::start(WRITERS, &[endpoint], &ledger, mix(run.seed, "full")).await;
    let begun = Instant::now();
    let (mut healed, mut refused, mut reads, mut refused_reads) = (Times::default(), 0, 0, 0);
    let (mut panics, mut restarts) = (0, 0);
    for _ in 0..times {
        ledger.reached(ledger.acknowledged() + run.choose(50, 300, 300)).await;
        let logged = postgres.map_or(0, |postgres| postgres.log().len());
        stands_still(disk, &ledger, postgres).await;
        let (full, before) = (Instant::now(), ledger.traffic().unavailable);
        sleep(length).await;
        refused += ledger.traffic().unavailable - before;
        let (read, unread, _) = reader.since(full);
        (reads, refused_reads) = (reads + read, refused_reads + unread);
        if let Some(postgres) = postgres {
            panics += postgres.log()[logged..].iter().filter(|line| line.contains("PANIC:")).count();
        }

        disk.make_room();
        if let Some(postgres) = postgres {
            restarts += usize::from(disk::comes_back(postgres).await);
        }
        let (back, before) = (Instant::now(), ledger.acknowledged());
        ledger.reached(before + 1).await;
        healed.add(back.elapsed());
    }
    ledger.reached(ledger.acknowledged() + run.choose(50, 300, 300)).await;
    writers.stop().await;
    let (_, _, wrong) = reader.since(begun);
    drop(reader);
    findings.promise(service.is_running(), "the service goes on running");
    service.stop();

    let compared = ledger.compare(&service.stores()).await;
    findings.did(format!("{times} × full for {length:?} under {WRITERS} writers"));
    findings.measured(format!("while full: {refused} × 503 for writes; reads {reads} × 200, {refused_reads} × 503"));
    if postgres.is_some() {
        findings.measured(format!("PostgreSQL: {panics} × PANIC, {restarts} × started by hand"));
    }
    findings.measured(format!("a write {:.2} s after there was room at most", healed.max().as_secs_f64()));
    findings.promise(refused > 0, "writes are refused");
    if panics == 0 {
        findings.promise(reads > 0 && refused_reads == 0, format!("reads go on: {reads}, but {refused_reads} × 503"));
    }
    findings.promise(healed.max() <= HEALED_WITHIN, format!("healed in {HEALED_WITHIN:?}, not {:?}", healed.max()));
    findings.compared(&compared, ledger.complaints());
    for what in wrong.into_iter().take(5) {
        findings.promise(false, what);
    }
    findings
}

/// Fills the disk until no write is successful any more: what is freed meanwhile is taken, too, and so are the parts of
/// the log that Postgres has at hand.
async fn stands_still(disk: &Disk, ledger: &Ledger, postgres: Option<&PostgresServer>) {
    let deadline = Instant::now() + PATIENCE;
    let mut last = (ledger.acknowledged(), Instant::now());
    while last.1.elapsed() < STANDSTILL {
        assert!(Instant::now() < deadline, "writes go on on a full disk");
        disk.fill();
        if let Some(mut session) = postgres.and_then(|it| PgConnection::establish(&it.url("postgres")).ok()) {
            // It fails where that is the last straw.
            drop(session.batch_execute("SELECT pg_switch_wal()"));
        }
        sleep(Duration::from_millis(20)).await;
        if ledger.acknowledged() != last.0 {
            last = (ledger.acknowledged(), Instant::now());
        }
    }
}

fn small_disk(mib: usize) -> Option<Disk> {
    Disk::mount(mib).inspect_err(|reason| eprintln!("{reason}")).ok()
}

fn left_out() -> Findings {
    let mut findings = Findings::default();
    findings.promise(false, "left out: a small disk can be mounted by root alone");
    findings
}

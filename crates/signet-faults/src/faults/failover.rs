//! The primary is lost, or made read-only, and a synchronous standby takes over.

use std::time::{Duration, Instant};

use diesel::{
    Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types::BigInt,
};
use rand::RngExt;
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::time::sleep;

use crate::{Comparison, Findings, Ledger, Run, Service, Times, Traffic, Writers, run::mix};

const WRITERS: usize = 32;
/// How soon after the promotion writes go on.
const GOES_ON_WITHIN: Duration = Duration::from_secs(5);
/// How long the standby may keep all writes waiting: longer than any time-out of the service and of its sessions.
const FROZEN: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum Loss {
    /// `kill -9` of all its processes.
    Killed,
    /// It stays, with its sessions, and takes no more writes.
    Demoted,
    /// It answers nothing any more, and its kernel goes on as if it would.
    Frozen,
}

pub(super) async fn killed(run: &Run) -> Findings {
    fail_over(run, Loss::Killed, run.choose(1, 2, 10)).await
}

pub(super) async fn demoted(run: &Run) -> Findings {
    fail_over(run, Loss::Demoted, run.choose(1, 2, 10)).await
}

pub(super) async fn frozen(run: &Run) -> Findings {
    fail_over(run, Loss::Frozen, run.choose(1, 2, 10)).await
}

/// What came of one failover, or of several.
#[derive(Default)]
struct Outcome {
    /// How long after the promotion the first write was acknowledged.
    first: Times,
    /// And as many as there are writers.
    all: Times,
    traffic: Traffic,
    compared: Comparison,
    broken: Vec<String>,
}

async fn fail_over(run: &Run, loss: Loss, times: usize) -> Findings {
    let mut outcome = Outcome::default();
    for number in 0..times {
        once(run, loss, number, &mut outcome).await;
    }
    let Outcome { first, all, traffic, compared, broken } = outcome;
    let mut findings = Findings::default();
    findings.did(format!("{times} × with {WRITERS} writers and synchronous replication"));
    findings.attempted(&traffic);
    findings.measured(format!(
        "the first write {:.2} s after the promotion at most, {WRITERS} after {:.2} s",
        first.max().as_secs_f64(),
        all.max().as_secs_f64()
    ));
    findings.compared(&compared, broken);
    let slowest = all.max();
    findings.promise(slowest <= GOES_ON_WITHIN, format!("writes within {GOES_ON_WITHIN:?}, not {slowest:?}"));
    findings
}

async fn once(run: &Run, loss: Loss, number: usize, outcome: &mut Outcome) {
    let mut random = run.random(&format!("failover {number}"));
    let primary = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&primary);
    let standby = primary.start_standby("standby");
    let mut order = session(&primary);
    // From here on a commit is acknowledged once the standby has it on its disk.
    execute(&mut order, "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    execute(&mut order, "SELECT pg_reload_conf()");
    becomes(&mut order, 1, "SELECT count(*) AS number FROM pg_stat_replication WHERE sync_state = 'sync'").await;

    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    let url = format!("postgres://postgres@{hosts}/{}?sslmode=disable", database.name());
    let mut service = Service::new(run, &url);
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let ledger = Ledger::default();
    let writers = Writers::start(WRITERS, &[endpoint], &ledger, mix(run.seed, number)).await;
    ledger.reached(run.choose(100, 500, 1_000)).await;
    sleep(Duration::from_millis(random.random_range(0..50))).await;

    match loss {
        Loss::Killed => {
            if number % 2 == 1 {
                // What is written now waits for the standby, and must not be acknowledged without it when time is out.
                standby.freeze();
                sleep(FROZEN).await;
            }
            primary.kill();
            standby.thaw();
            sleep(Duration::from_millis(random.random_range(0..2_000))).await;
        }
        Loss::Demoted => {
            execute(&mut order, "ALTER SYSTEM SET default_transaction_read_only = on");
            execute(&mut order, "SELECT pg_reload_conf()");
            // What is being written must reach the standby before that goes its own way.
            let writing = "SELECT count(*) AS number FROM pg_stat_activity WHERE backend_xid IS NOT NULL";
            sleep(Duration::from_millis(200)).await;
            becomes(&mut order, 0, writing).await;
        }
        Loss::Frozen => {
            primary.freeze();
            // Whatever watches over servers does not give one up any sooner.
            sleep(Duration::from_millis(random.random_range(8_000..10_000))).await;
        }
    }
    execute(&mut session(&standby), "SELECT pg_promote()");
    let (promoted, before) = (Instant::now(), ledger.acknowledged());
    ledger.reached(before + 1).await;
    outcome.first.add(promoted.elapsed());
    ledger.reached(before + WRITERS).await;
    outcome.all.add(promoted.elapsed());
    ledger.reached(before + run.choose(100, 500, 1_000)).await;
    writers.stop().await;
    if !service.is_running() {
        outcome.broken.push("the service goes on running".to_owned());
    }
    service.stop();
    // It would keep the comparison waiting, too.
    primary.kill();

    outcome.compared += ledger.compare(&service.stores()).await;
    outcome.traffic += ledger.traffic();
    outcome.broken.extend(ledger.complaints());
}

fn session(server: &PostgresServer) -> PgConnection {
    PgConnection::establish(&server.url("postgres")).expect("a session")
}

fn execute(session: &mut PgConnection, sql: &str) {
    session.batch_execute(sql).expect(sql);
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Waits until the statement counts so many.
async fn becomes(session: &mut PgConnection, wanted: i64, sql: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: Count = sql_query(sql).get_result(session).expect(sql);
        if found.number == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: still {}", found.number);
        sleep(Duration::from_millis(10)).await;
    }
}

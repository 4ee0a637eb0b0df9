//! Postgres is away for a while, in each of the ways it can be.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, RunQueryDsl, connection::SimpleConnection};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::{task::JoinHandle, time::sleep};

use crate::{Client, Cut, Endpoint, Findings, Load, Proxy, Run, Service, run::mix};

const CLIENTS: usize = 16;
const USERS: usize = 100;
/// How much longer than usual an answer may take.
const MORE: Duration = Duration::from_secs(2);
/// How soon after the return all must be as before.
const RECOVERED_WITHIN: Duration = Duration::from_secs(3);
/// Which part of the former rate counts as full speed, on a machine that others use, too.
const FULL_SPEED: f64 = 0.8;
const WINDOW: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn stopped(run: &Run) -> Findings {
    let length = run.choose(2, 10, 45);
    let mut scene = Scene::new(run, &[]).await;
    scene.measure().await;
    scene.postgres.stop();
    scene.goes_away(&format!("stopped for {length} s"));
    sleep(Duration::from_secs(length)).await;
    scene.postgres.start();
    scene.returns(true).await
}

pub(super) async fn restarted(run: &Run) -> Findings {
    let times = run.choose(2, 5, 20);
    let mut scene = Scene::new(run, &[]).await;
    scene.measure().await;
    scene.goes_away(&format!("restarted {times} times"));
    for _ in 0..times {
        scene.postgres.stop();
        scene.postgres.start();
        sleep(Duration::from_secs(1)).await;
    }
    // It was there, but for moments.
    scene.returns(false).await
}

pub(super) async fn frozen(run: &Run) -> Findings {
    let length = run.choose(3, 10, 30);
    let mut scene = Scene::new(run, &[]).await;
    scene.measure().await;
    scene.postgres.freeze();
    scene.goes_away(&format!("SIGSTOP for {length} s"));
    sleep(Duration::from_secs(length)).await;
    scene.postgres.thaw();
    scene.returns(true).await
}

pub(super) async fn black_hole(run: &Run) -> Findings {
    let length = run.choose(3, 10, 30);
    let mut scene = Scene::new(run, &[]).await;
    scene.measure().await;
    scene.proxy.black_hole();
    scene.goes_away(&format!("nothing passed for {length} s, and then the connections are reset"));
    sleep(Duration::from_secs(length)).await;
    scene.proxy.cut_all(Cut::Reset);
    scene.proxy.heal();
    scene.returns(true).await
}

pub(super) async fn silent(run: &Run) -> Findings {
    let length = run.choose(3, 10, 30);
    let mut scene = Scene::new(run, &[]).await;
    scene.measure().await;
    scene.proxy.black_hole();
    scene.goes_away(&format!("nothing passed for {length} s, and then all that was kept back"));
    sleep(Duration::from_secs(length)).await;
    scene.proxy.heal();
    scene.returns(true).await
}

pub(super) async fn exhausted(run: &Run) -> Findings {
    let length = run.choose(2, 10, 30);
    let mut scene = Scene::new(run, &["max_connections=20"]).await;
    scene.measure().await;
    let others = take_all(&scene.postgres);
    scene.goes_away(&format!("all connections taken by others for {length} s"));
    sleep(Duration::from_secs(length)).await;
    drop(others);
    scene.returns(true).await
}

/// Sessions on each of the server's connections: the service's own are ended, and somebody else is faster.
fn take_all(postgres: &PostgresServer) -> Vec<PgConnection> {
    let connect = || PgConnection::establish(&postgres.url("postgres"));
    let mut sessions = vec![connect().expect("a session")];
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let own = "FROM pg_stat_activity WHERE application_name = 'signet'";
        let count = |session: &mut PgConnection| {
            diesel::sql_query(format!("SELECT 1 {own}")).execute(session).expect("an answer")
        };
        // One that has just ended is not counted, and may have left its place free: it has to be taken, too.
        let left = count(&mut sessions[0]);
        let taken = sessions.len();
        while let Ok(session) = connect() {
            sessions.push(session);
        }
        if left == 0 && sessions.len() == taken && count(&mut sessions[0]) == 0 {
            return sessions;
        }
        assert!(Instant::now() < deadline, "the service keeps {left} of its sessions");
        sessions[0].batch_execute(&format!("SELECT pg_terminate_backend(pid) {own}")).expect("they are ended");
    }
}

struct Scene {
    postgres: PostgresServer,
    proxy: Proxy,
    service: Service,
    load: Load,
    probes: Arc<Mutex<Vec<Probe>>>,
    prober: JoinHandle<()>,
    findings: Findings,
    usual_time: Duration,
    usual_rate: f64,
    /// From right before the fault on.
    begun: Instant,
    /// From when on the database is away for certain.
    gone: Instant,
    _database: TestDatabase,
}

/// What the management listener answered.
struct Probe {
    begun: Instant,
    ended: Instant,
    is_live: bool,
    ready: Option<u16>,
}

impl Scene {
    async fn new(run: &Run, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let postgres =
            PostgresServer::start_new(&ServerOptions { durable: true, settings, ..ServerOptions::default() });
        let database = TestDatabase::create_on(&postgres);
        let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await;
        let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port(), database.name());
        let mut service = Service::new(run, &url);
        service.start().await;
        let endpoint = service.endpoint(&service.partner("Acme").key);
        let load = Load::start(CLIENTS, USERS, &endpoint, mix(run.seed, "outages")).await;
        let seen = Arc::default();
        let prober = tokio::spawn(probe(service.management(), Arc::clone(&seen)));
        Self {
            postgres,
            proxy,
            service,
            load,
            probes: seen,
            prober,
            findings: Findings::default(),
            usual_time: Duration::ZERO,
            usual_rate: 0.0,
            begun: Instant::now(),
            gone: Instant::now(),
            _database: database,
        }
    }

    /// Finds out what is usual.
    async fn measure(&mut self) {
        sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        sleep(WINDOW).await;
        let window = self.load.between(begun, Instant::now());
        self.usual_time = window.times.max();
        self.usual_rate = window.rate();
        self.findings.measured(format!(
            "before: {:.0} requests a second, slowest {:.0} ms",
            self.usual_rate,
            self.usual_time.as_secs_f64() * 1000.0
        ));
        self.begun = Instant::now();
    }

    fn goes_away(&mut self, how: &str) {
        self.gone = Instant::now();
        self.findings.did(how);
    }

    /// Looks at what happened; `was_away` says whether it was so all the time.
    async fn returns(mut self, was_away: bool) -> Findings {
        let back = Instant::now();
        let recovered = back + RECOVERED_WITHIN;
        sleep(RECOVERED_WITHIN + WINDOW).await;
        self.load.stop().await;
        self.prober.abort();
        let findings = &mut self.findings;

        let meanwhile = self.load.between(self.begun, recovered);
        let (slowest, limit) = (meanwhile.times.max(), self.usual_time + MORE);
        findings.measured(format!(
            "meanwhile: {} × 200, {} × 503, slowest {:.2} s",
            meanwhile.done,
            meanwhile.unavailable,
            slowest.as_secs_f64()
        ));
        findings.promise(slowest <= limit, format!("an answer within {limit:?}, not after {slowest:?}"));

        let after = self.load.between(recovered, recovered + WINDOW);
        let tail = self.load.last_failure().map_or(Duration::ZERO, |last| last.saturating_duration_since(back));
        let share = after.rate() / self.usual_rate;
        findings.measured(format!(
            "last refusal {:.1} s after the return; {:.0} % of the former rate in the 5 s from 3 s on",
            tail.as_secs_f64(),
            share * 100.0
        ));
        findings.promise(
            tail <= RECOVERED_WITHIN,
            format!("no refusal later than {RECOVERED_WITHIN:?}, but after {tail:?}"),
        );
        findings.promise(share >= FULL_SPEED, format!("full speed after {RECOVERED_WITHIN:?}, not {share:.2} of it"));

        let wrong = [meanwhile.wrong, after.wrong].concat();
        findings.lost(format!("{} answers other than 200 and 503", wrong.len()));
        for what in wrong.into_iter().take(5) {
            findings.promise(false, what);
        }
        findings.promise(self.service.is_running(), "the service goes on running");

        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let dead = probes.iter().filter(|probe| !probe.is_live).count();
        findings.promise(dead == 0, format!("/livez answers 200 at all times, but for {dead} of {}", probes.len()));
        if was_away {
            let probes: Vec<_> = probes.iter().filter(|probe| probe.begun > self.gone && probe.ended < back).collect();
            let wrong: Vec<_> =
                probes.iter().filter(|probe| probe.ready != Some(503)).map(|probe| probe.ready).collect();
            findings.measured(format!("{} probes meanwhile", probes.len()));
            findings.promise(!probes.is_empty() && wrong.is_empty(), format!("/readyz answers 503, not {wrong:?}"));
        }
        self.findings
    }
}

async fn probe(management: SocketAddr, probes: Arc<Mutex<Vec<Probe>>>) {
    let mut client = Client::new(Endpoint { address: management, tls: None, key: String::new() });
    loop {
        let begun = Instant::now();
        let is_live = client.get("/livez").await.is_ok_and(|reply| reply.status == 200);
        let ready = client.get("/readyz").await.ok().map(|reply| reply.status);
        let probe = Probe { begun, ended: Instant::now(), is_live, ready };
        probes.lock().unwrap_or_else(PoisonError::into_inner).push(probe);
        sleep(PROBE_EVERY).await;
    }
}

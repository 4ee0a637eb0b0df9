//! Too much is asked for: by all of them, or by one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    Endpoint, Findings, Proxy, Run, Service,
    open_loop::{Ask, Outcomes, Pace, ask},
};

const USERS: u64 = 200;
/// Tells a new user from all others.
static NEXT: AtomicU64 = AtomicU64::new(0);
const PARTNERS: [&str; 4] = ["Acme", "Umbrella", "Initech", "Globex"];
const PARTNER_COUNT: f64 = 4.0;
/// What makes the database the bottleneck, and so slow that this machine can ask for ten times of what it carries: each
/// way, for whatever goes through.
const FAR: Duration = Duration::from_millis(100);
const FACTORS: [u32; 3] = [2, 5, 10];
/// Which part of the best it must still do.
const GOODPUT: f64 = 0.9;
const SHED_WITHIN: Duration = Duration::from_millis(50);
/// What all that waits may take.
const MIB_MORE: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Reads,
    Writes,
}

pub(super) async fn by_all(run: &Run) -> Findings {
    let length = Duration::from_secs(run.choose(2, 5, 30));
    let scene = Scene::new(run, &[], FAR).await;
    let mut findings = Findings::default();
    let before = scene.service.usage().resident_kib;
    for kind in [Kind::Reads, Kind::Writes] {
        // Twice as many as the threads take at once, of each partner.
        let best = scene.ask(kind, Pace::Closed(64), length).await;
        let best = goodput(&best);
        findings.measured(format!("{kind:?}: at best {best:.0} a second"));
        for factor in FACTORS {
            let rate = best * f64::from(factor);
            let all = scene.ask(kind, Pace::Open(rate / PARTNER_COUNT), length).await;
            let (done, share) = (goodput(&all), goodput(&all) / best);
            let mut shed = crate::Times::default();
            let mut wrong = Vec::new();
            for one in all {
                shed.append(one.shed);
                wrong.extend(one.wrong);
            }
            let (p99, last) = (shed.per_mille(990), shed.max());
            findings.did(format!("{kind:?} {factor} × ({rate:.0} a second)"));
            findings.measured(format!(
                "{kind:?} {factor} ×: {done:.0} a second, {:.0} %; {} shed, p99 {:.1} ms, {} beyond {} ms, slowest {:.1} ms",
                share * 100.0,
                shed.len(),
                p99.as_secs_f64() * 1000.0,
                shed.beyond(SHED_WITHIN),
                SHED_WITHIN.as_millis(),
                last.as_secs_f64() * 1000.0
            ));
            findings.promise(share >= GOODPUT, format!("{kind:?} {factor} ×: {share:.2} of the best"));
            findings
                .promise(p99 <= SHED_WITHIN, format!("{kind:?} {factor} ×: shed within {SHED_WITHIN:?}, not {p99:?}"));
            findings.promise(!shed.is_empty(), format!("{kind:?} {factor} ×: something is shed"));
            for what in wrong.into_iter().take(3) {
                findings.promise(false, format!("{kind:?} {factor} ×: {what}"));
            }
        }
    }
    let most = scene.most_kib.load(Ordering::SeqCst);
    let more = most.saturating_sub(before) / 1024;
    findings.measured(format!("{} MiB resident at most, {more} more than before", most / 1024));
    findings.promise(more <= MIB_MORE, format!("{MIB_MORE} MiB more at most, not {more}"));
    findings.lost("0 answers other than a success and 503");
    findings
}

/// How much one partner asks for, in multiples of all that the service carries.
const FLOOD: f64 = 10.0;
/// How far the database is then, each way.
const DISTANCE: Duration = Duration::from_millis(50);

/// What a partner may ask for in a second; the noisy one asks for ten times as much.
const LIMIT: f64 = 200.0;
const QUIET: f64 = 50.0;
/// How much the p99 of another may rise, and what of that the scheduler of a small machine may add.
const RISE: f64 = 1.2;
const NOISE: Duration = Duration::from_millis(2);

pub(super) async fn by_one(run: &Run) -> Findings {
    let length = Duration::from_secs(run.choose(2, 10, 60));
    let mut findings = Findings::default();
    for limit in [None, Some("200:200")] {
        noise(run, limit, length, &mut findings).await;
    }
    for kind in [Kind::Reads, Kind::Writes] {
        flood(run, kind, length / 2, &mut findings).await;
    }
    findings
}

/// One partner asks for ten times of all that the service carries, so that every thread is always at work for it. What
/// another asks for waits for what is being done, and for nothing that waits: two turns at the distant database, where it
/// was one.
async fn flood(run: &Run, kind: Kind, length: Duration, findings: &mut Findings) {
    // One thread that reads, so that this machine can ask for ten times of what it carries.
    let scene = Scene::new(run, &["--database-threads", "1"], DISTANCE).await;
    let (noisy, quiet) = (&scene.partners[0], &scene.partners[1]);
    let best = noisy.ask(kind, Pace::Closed(256), length).await.expect("it does not panic").goodput();
    let usual = quiet.ask(kind, Pace::Open(QUIET), length).await.expect("it does not panic");
    let asked = [noisy.ask(kind, Pace::Open(best * FLOOD), length), quiet.ask(kind, Pace::Open(QUIET), length)];
    let [loud, other] = both(asked).await;
    let (before, after) = (usual.done.per_mille(990), other.done.per_mille(990));
    let how = format!("{kind:?} by one at {FLOOD:.0} × of all that the service carries");
    findings.did(format!("{how} ({:.0} a second)", best * FLOOD));
    findings.measured(format!(
        "{how}: {:.0} of them a second are answered, {} shed; p99 of another {:.0} ms, {:.0} ms before",
        loud.goodput(),
        loud.shed.len(),
        after.as_secs_f64() * 1000.0,
        before.as_secs_f64() * 1000.0
    ));
    let limit = (DISTANCE * 4).max(before).mul_f64(RISE);
    findings.promise(after <= limit, format!("{how}: two turns for another, {limit:?} at most, not {after:?}"));
    findings.promise(!loud.shed.is_empty(), format!("{how}: something is shed"));
    let refused = other.shed.len() + other.wrong.len();
    findings.promise(refused == 0, format!("{how}: no request of another is refused, but {refused}"));
    for what in loud.wrong.into_iter().take(3) {
        findings.promise(false, format!("{how}: {what}"));
    }
    findings.lost(format!("{refused} of the other's requests"));
}

async fn noise(run: &Run, limit: Option<&str>, length: Duration, findings: &mut Findings) {
    let arguments: Vec<&str> = limit.iter().flat_map(|limit| ["--rate-limit", limit]).collect();
    let limited = Scene::new(run, &arguments, Duration::ZERO).await;
    sleep(Duration::from_secs(1)).await;
    let (noisy, quiet) = (&limited.partners[0], &limited.partners[1]);
    let usual = [noisy.ask(Kind::Reads, Pace::Open(LIMIT), length), quiet.ask(Kind::Reads, Pace::Open(QUIET), length)];
    let [_, usual] = both(usual).await;
    let [loud, other] = both([
        noisy.ask(Kind::Reads, Pace::Open(LIMIT * 10.0), length),
        quiet.ask(Kind::Reads, Pace::Open(QUIET), length),
    ])
    .await;
    let (before, after) = (usual.done.per_mille(990), other.done.per_mille(990));
    let how = if limit.is_some() { "with --rate-limit 200:200" } else { "without a limit" };
    findings.did(format!("one at 10 × of its {LIMIT:.0} a second, {how}"));
    findings.measured(format!(
        "{how}: {:.0} of its requests a second are answered, {} refused; p99 of another {:.1} ms, {:.1} ms before",
        loud.goodput(),
        loud.wrong.len(),
        after.as_secs_f64() * 1000.0,
        before.as_secs_f64() * 1000.0
    ));
    findings.promise(
        after <= before.mul_f64(RISE) + NOISE,
        format!("{how}, the p99 of another was {before:?}, and is {after:?}"),
    );
    findings.promise(other.shed.is_empty() && other.wrong.is_empty(), "no request of another is refused");
    let odd = loud.wrong.iter().find(|what| !what.starts_with("429 "));
    findings.promise(odd.is_none(), format!("what is too much gets 429, not {odd:?}"));
    findings.lost(format!("{} of the other's requests", other.shed.len() + other.wrong.len()));
}

async fn both(asked: [JoinHandle<Outcomes>; 2]) -> [Outcomes; 2] {
    let [one, other] = asked;
    [one.await.expect("it does not panic"), other.await.expect("it does not panic")]
}

fn goodput(all: &[Outcomes]) -> f64 {
    all.iter().map(Outcomes::goodput).sum()
}

struct Scene {
    service: Arc<Service>,
    partners: Vec<Partner>,
    most_kib: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    _proxy: Proxy,
    _database: TestDatabase,
    _postgres: PostgresServer,
}

struct Partner {
    endpoint: Endpoint,
    users: Vec<String>,
}

impl Scene {
    async fn new(run: &Run, arguments: &[&str], distance: Duration) -> Self {
        let postgres = PostgresServer::start_new(&ServerOptions::default());
        let database = TestDatabase::create_on(&postgres);
        let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await;
        let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port(), database.name());
        let mut service = Service::new(run, &url);
        service.arguments.extend(["--tls", "off"].iter().chain(arguments).map(|argument| (*argument).to_owned()));
        service.start().await;
        let mut partners = Vec::new();
        for name in PARTNERS {
            let endpoint = service.endpoint(&service.partner(name).key);
            let users = register(&endpoint).await;
            partners.push(Partner { endpoint, users });
        }
        proxy.delay(distance);
        let (service, most_kib, over) = (Arc::new(service), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (watched, most, ended) = (Arc::clone(&service), Arc::clone(&most_kib), Arc::clone(&over));
        tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                most.fetch_max(watched.usage().resident_kib, Ordering::SeqCst);
                sleep(Duration::from_millis(100)).await;
            }
        });
        Self { service, partners, most_kib, over, _proxy: proxy, _database: database, _postgres: postgres }
    }

    /// Each partner at that pace.
    async fn ask(&self, kind: Kind, pace: Pace, length: Duration) -> Vec<Outcomes> {
        let each = self.partners.iter().map(|partner| partner.ask(kind, pace, length));
        futures_util::future::join_all(each).await.into_iter().map(|one| one.expect("it does not panic")).collect()
    }
}

impl Partner {
    fn ask(&self, kind: Kind, pace: Pace, length: Duration) -> JoinHandle<Outcomes> {
        let (endpoint, users) = (self.endpoint.clone(), self.users.clone());
        tokio::spawn(async move { ask(pace, length, &endpoint, |number| wish(kind, &users, number)).await })
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

async fn register(endpoint: &Endpoint) -> Vec<String> {
    let mut client = crate::Client::new(endpoint.clone());
    let mut users = Vec::new();
    for number in 0..USERS {
        let reply = client.register("John Doe", &format!("user{number}@example.com")).await.expect("an answer");
        users.push(reply.body["data"]["userId"].as_str().expect("registered").to_owned());
    }
    users
}

/// Each user in turn, or a new one.
fn wish(kind: Kind, users: &[String], number: u64) -> Ask {
    let next = || NEXT.fetch_add(1, Ordering::Relaxed);
    let place = usize::try_from(number).unwrap_or_default() % users.len();
    let user = &users[place];
    match kind {
        Kind::Reads => {
            Ask { method: "GET", path: format!("/partner/v1/get-user?userId={user}"), body: None, key: None }
        }
        Kind::Writes => Ask {
            method: "POST",
            path: "/partner/v1/register-user".to_owned(),
            body: Some(json!({ "name": "John Doe", "email": format!("new{}@example.com", next()) })),
            key: None,
        },
    }
}

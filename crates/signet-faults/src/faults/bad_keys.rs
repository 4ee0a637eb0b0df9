//! Whoever tries keys costs the others nothing.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, distr::Alphanumeric, rngs::StdRng};
use signet_domain::{ApiKeyToken, Secret};
use signet_testkit::TestDatabase;
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    Endpoint, Findings, Run, Service,
    open_loop::{Ask, Outcomes, Pace, ask},
};

const RATE: f64 = 1_000.0;
const GOOD_RATE: f64 = 100.0;
const MOST_RUNS: usize = 2;
/// What a run of Argon2 takes, and what the requests themselves may.
const KIB_A_RUN: u64 = 19_456;
const KIB_MORE: u64 = 12 * 1024;
/// How much the p99 of a good key may rise, and what of that the scheduler of a small machine may add.
const RISE: f64 = 1.2;
const NOISE: Duration = Duration::from_millis(3);

/// Wrong secrets for keys that there are, which is the dearest that anyone can ask for without a key.
pub(super) async fn flood(run: &Run) -> Findings {
    let length = Duration::from_secs(run.choose(2, 10, 60));
    let database = TestDatabase::create();
    let mut service = Service::new(run, database.url());
    service.start().await;
    let good = service.endpoint(&service.partner("Acme").key);
    let known: Vec<ApiKeyToken> = (0..8)
        .map(|number| service.partner(&format!("Umbrella {number}")).key)
        .map(|key| ApiKeyToken::parse(&key).expect("a key"))
        .collect();
    let new: Vec<String> =
        (0..run.choose(2, 5, 20)).map(|number| service.partner(&format!("New {number}")).key).collect();
    let over = Arc::new(AtomicBool::new(false));
    let service = Arc::new(service);
    let ask_good = |length| {
        let endpoint = good.clone();
        tokio::spawn(async move {
            let what =
                |_| Ask { method: "GET", path: "/partner/v1/all-users?limit=1".to_owned(), body: None, key: None };
            ask(Pace::Open(GOOD_RATE), length, &endpoint, what).await
        })
    };
    // The first ones verify the key, and make the connections.
    ask_good(Duration::from_secs(1)).await.expect("it does not panic");
    let usual = ask_good(length).await.expect("it does not panic");
    let before = service.usage();

    let watch = tokio::spawn(watch(Arc::clone(&service), Arc::clone(&over)));
    let mut random = StdRng::seed_from_u64(crate::run::mix(run.seed, "bad keys"));
    let bad = {
        let endpoint = good.clone();
        tokio::spawn(async move {
            let what = |number| {
                let token = &known[usize::try_from(number).unwrap_or_default() % known.len()];
                let secret: String = (0..Secret::CHARS).map(|_| char::from(random.sample(Alphanumeric))).collect();
                let token = ApiKeyToken { secret: Secret::parse(&secret).expect("letters"), ..token.clone() };
                let path = "/partner/v1/all-users?limit=1".to_owned();
                Ask { method: "GET", path, body: None, key: Some(token.expose()) }
            };
            ask(Pace::Open(RATE), length, &endpoint, what).await
        })
    };
    let first_uses = use_first(&good, new, length);
    let under = ask_good(length).await.expect("it does not panic");
    let first_uses = first_uses.await.expect("it does not panic");
    let bad: Outcomes = bad.await.expect("it does not panic");
    over.store(true, Ordering::SeqCst);
    let seen = watch.await.expect("it does not panic");

    let mut findings = Findings::default();
    findings.did(format!("{RATE:.0} wrong secrets a second for {} s", length.as_secs()));
    let unauthorized = bad.wrong.iter().filter(|what| what.starts_with("401 ")).count();
    let odd: Vec<_> = bad.wrong.iter().filter(|what| !what.starts_with("401 ")).collect();
    findings.measured(format!(
        "{unauthorized} × 401, {} × 503; {} threads hash, {} at once at most",
        bad.shed.len(),
        seen.threads,
        seen.running
    ));
    findings
        .promise(odd.is_empty() && bad.done.is_empty(), format!("a bad key gets 401 or 503, not {:?}", odd.first()));
    findings.promise(unauthorized > 0, "some are verified");
    findings.promise(
        seen.threads <= MOST_RUNS && seen.running <= MOST_RUNS,
        format!("{MOST_RUNS} runs of Argon2 at a time, not {}", seen.threads),
    );
    let grown = seen.most_kib.saturating_sub(before.resident_kib);
    let allowed = u64::try_from(MOST_RUNS).unwrap_or_default() * KIB_A_RUN + KIB_MORE;
    findings.measured(format!("{} MiB more resident at most", grown / 1024));
    findings.promise(grown <= allowed, format!("{allowed} KiB more at most, not {grown}"));
    let (usual_p99, p99) = (usual.done.per_mille(990), under.done.per_mille(990));
    findings.measured(format!(
        "p99 of a good key {:.1} ms, {:.1} ms before",
        p99.as_secs_f64() * 1000.0,
        usual_p99.as_secs_f64() * 1000.0
    ));
    findings.promise(
        p99 <= usual_p99.mul_f64(RISE) + NOISE,
        format!("the p99 of a good key was {usual_p99:?}, and is {p99:?}"),
    );
    let refused = under.shed.len() + under.wrong.len();
    findings.lost(format!("{refused} requests with a good key"));
    findings.promise(refused == 0, format!("no good key is refused, but for {refused} times"));
    let refused = first_uses.shed.len() + first_uses.wrong.len();
    findings.measured(format!(
        "{} keys used for the first time, slowest {:.0} ms",
        first_uses.done.len(),
        first_uses.done.max().as_secs_f64() * 1000.0
    ));
    findings.promise(refused == 0, format!("every first use of a key is served, but {refused} were refused"));
    findings
}

/// Uses each of the keys once, spread over the time.
pub(super) fn use_first(endpoint: &Endpoint, keys: Vec<String>, length: Duration) -> JoinHandle<Outcomes> {
    let endpoint = endpoint.clone();
    let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    let pace = Pace::Open(f64::from(count) / length.as_secs_f64());
    tokio::spawn(async move {
        let what = |number: u64| {
            let key = keys[usize::try_from(number).unwrap_or_default() % keys.len()].clone();
            Ask { method: "GET", path: "/partner/v1/all-users?limit=1".to_owned(), body: None, key: Some(key) }
        };
        ask(pace, length, &endpoint, what).await
    })
}

#[derive(Default)]
struct Seen {
    threads: usize,
    running: usize,
    most_kib: u64,
}

/// Looks at the process, and at its threads for hashing, again and again.
async fn watch(service: Arc<Service>, over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::SeqCst) {
        let states = hashing(service.process());
        seen.threads = seen.threads.max(states.len());
        seen.running = seen.running.max(states.iter().filter(|state| **state == 'R').count());
        seen.most_kib = seen.most_kib.max(service.usage().resident_kib);
        sleep(Duration::from_millis(20)).await;
    }
    seen
}

/// The states of the threads that hash.
fn hashing(process: u32) -> Vec<char> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    // `<id> (<name>) <state> …`
    stats.filter_map(|stat| stat.split_once("(argon2-")?.1.split_once(") ")?.1.chars().next()).collect()
}

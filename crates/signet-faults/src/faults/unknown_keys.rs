//! Keys that anybody can make up, because their checksum is public, cost the holders of good keys nothing.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, distr::Alphanumeric, rngs::StdRng};
use signet_domain::{ApiKeyId, ApiKeyToken, Secret};
use signet_testkit::TestDatabase;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};

use super::bad_keys::use_first;
use crate::{
    Endpoint, Findings, Run, Service,
    open_loop::{Ask, Outcomes, Pace, ask},
    run::mix,
};

/// Requests a second that are asked for in all; what this machine sends of them is measured.
const RATE: u32 = 20_000;
const CONNECTIONS: usize = 3_000;
const GOOD_RATE: f64 = 100.0;
/// Keys that are used for the first time while the flood lasts.
const NEW_KEYS: u32 = 10;
/// How much the p99 of a good key may rise over that beside keys that are refused without a look-up, and what of that the
/// scheduler of a small machine may add.
const RISE: f64 = 1.2;
const NOISE: Duration = Duration::from_millis(3);
/// Log lines a second that are not those of good requests.
const LINES: usize = 30;

const PATH: &str = "/partner/v1/all-users?limit=1";

/// What a flood is made of.
#[derive(Clone, Copy)]
enum Flood {
    /// Keys with a wrong checksum, which cost no look-up: the measure for the others.
    Malformed,
    /// Well-formed keys with ids that do not exist.
    Unknown,
}

pub(super) async fn flood(run: &Run) -> Findings {
    // Longer than a verdict on a key is trusted, so that each key in use is renewed during the flood.
    let length = Duration::from_secs(run.choose(3, 35, 60));
    let connections = run.choose(300, CONNECTIONS, CONNECTIONS);
    let database = TestDatabase::create();
    let mut service = Service::new(run, database.url());
    service.arguments = ["--log", "info", "--tls", "off"].map(str::to_owned).to_vec();
    service.start().await;
    let good = service.endpoint(&service.partner("Acme").key);
    let new: Vec<String> = (0..NEW_KEYS).map(|number| service.partner(&format!("New {number}")).key).collect();

    // The first requests verify the key and make the connections.
    ask_good(&good, Duration::from_secs(1)).await.expect("it does not panic");
    let mut findings = Findings::default();

    let alone = ask_good(&good, length / 5).await.expect("it does not panic");
    let malformed = Strangers::start(good.address, connections, Flood::Malformed, run.seed).await;
    let usual = ask_good(&good, length).await.expect("it does not panic");
    let sent = malformed.stop().await;
    findings.measured(format!("{:.0} malformed keys a second", rate(sent.answered, length)));

    let lines_before = service.log().lines().count();
    let unknown = Strangers::start(good.address, connections, Flood::Unknown, run.seed).await;
    let first_uses = use_first(&good, new, length);
    let under = ask_good(&good, length).await.expect("it does not panic");
    let first_uses = first_uses.await.expect("it does not panic");
    let sent = unknown.stop().await;
    let lines = service.log().lines().count() - lines_before;

    findings.did(format!("{} unknown keys over {connections} connections in {} s", sent.answered, length.as_secs()));
    findings.measured(format!(
        "{:.0} unknown keys a second of {RATE} asked for: {} × 401, {} × 503, {} others",
        rate(sent.answered, length),
        sent.unauthorized,
        sent.unavailable,
        sent.odd
    ));
    findings.promise(sent.unauthorized > 0 && sent.odd == 0, "an unknown key gets 401 or 503 and nothing else");
    for (what, outcomes) in [("a key in use", &under), ("a key used for the first time", &first_uses)] {
        let refused = outcomes.shed.len() + outcomes.wrong.len();
        findings.lost(format!("{refused} requests with {what}"));
        findings.promise(refused == 0, format!("{what} is served, not refused {refused} times"));
        findings.promise(!outcomes.done.is_empty(), format!("{what} is used"));
    }
    let (before, after) = (usual.done.per_mille(990), under.done.per_mille(990));
    findings.measured(format!(
        "p99 of a key in use {:.1} ms, {:.1} ms beside malformed keys, {:.1} ms without a flood; slowest first use {:.0} ms",
        after.as_secs_f64() * 1000.0,
        before.as_secs_f64() * 1000.0,
        alone.done.per_mille(990).as_secs_f64() * 1000.0,
        first_uses.done.max().as_secs_f64() * 1000.0
    ));
    findings.promise(
        after <= run.unless_smoke(before.mul_f64(RISE) + NOISE),
        format!("the p99 of a key in use was {before:?}, and is {after:?}"),
    );
    let seconds = usize::try_from(length.as_secs()).unwrap_or(usize::MAX);
    let allowed = under.done.len() + first_uses.done.len() + LINES * (seconds + 5);
    findings.measured(format!("{lines} log lines"));
    findings.promise(lines <= allowed, format!("{allowed} log lines at most, not {lines}"));
    findings
}

fn ask_good(endpoint: &Endpoint, length: Duration) -> JoinHandle<Outcomes> {
    let endpoint = endpoint.clone();
    let what = |_| Ask { method: "GET", path: PATH.to_owned(), body: None, key: None };
    tokio::spawn(async move { ask(Pace::Open(GOOD_RATE), length, &endpoint, what).await })
}

fn rate(count: usize, length: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / length.as_secs_f64()
}

/// How the requests of strangers were answered.
#[derive(Default)]
struct Counts {
    unauthorized: AtomicUsize,
    unavailable: AtomicUsize,
    odd: AtomicUsize,
}

struct Sent {
    answered: usize,
    unauthorized: usize,
    unavailable: usize,
    odd: usize,
}

/// Clients without a key, each with one connection and a made-up key for each request.
struct Strangers {
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
    tasks: JoinSet<()>,
}

impl Strangers {
    async fn start(address: SocketAddr, connections: usize, flood: Flood, seed: u64) -> Self {
        let (over, counts) = (Arc::<AtomicBool>::default(), Arc::<Counts>::default());
        let mut tasks = JoinSet::new();
        let period = Duration::from_secs(1) * u32::try_from(connections).expect("a few thousand") / RATE;
        let start = Instant::now() + Duration::from_secs(1);
        for number in 0..connections {
            let stream = TcpStream::connect(address).await.expect("the service accepts");
            stream.set_nodelay(true).expect("a socket");
            let random = StdRng::seed_from_u64(mix(seed, ("unknown keys", number)));
            // One after the other, not all in the same moment.
            let share = u32::try_from(number).unwrap_or_default();
            let start = start + period * share / u32::try_from(connections).unwrap_or(1);
            let stranger = Stranger { stream, random, flood, over: Arc::clone(&over), counts: Arc::clone(&counts) };
            tasks.spawn(stranger.ask(start, period));
        }
        sleep(start.saturating_duration_since(Instant::now())).await;
        Self { over, counts, tasks }
    }

    async fn stop(mut self) -> Sent {
        self.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a stranger does not panic");
        }
        let [unauthorized, unavailable, odd] = [&self.counts.unauthorized, &self.counts.unavailable, &self.counts.odd]
            .map(|count| count.load(Ordering::SeqCst));
        Sent { answered: unauthorized + unavailable + odd, unauthorized, unavailable, odd }
    }
}

struct Stranger {
    stream: TcpStream,
    random: StdRng,
    flood: Flood,
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Stranger {
    async fn ask(mut self, start: Instant, period: Duration) {
        let mut ticks = interval_at(start, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.over.load(Ordering::SeqCst) {
            ticks.tick().await;
            let count = match self.exchange().await {
                Ok(status) if status == "401" => &self.counts.unauthorized,
                Ok(status) if status == "503" => &self.counts.unavailable,
                Ok(_other) => &self.counts.odd,
                Err(_closed) => {
                    self.counts.odd.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            };
            count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sends one request and reads the whole response, without a parser: this machine has to make many of them.
    async fn exchange(&mut self) -> std::io::Result<String> {
        let request = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", self.key());
        self.stream.write_all(request.as_bytes()).await?;
        let mut response = Vec::with_capacity(1024);
        loop {
            if self.stream.read_buf(&mut response).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&response);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(head.split(' ').nth(1).unwrap_or_default().to_owned());
            }
        }
    }

    fn key(&mut self) -> String {
        let mut letters =
            |count: usize| -> String { (0..count).map(|_| char::from(self.random.sample(Alphanumeric))).collect() };
        let token = ApiKeyToken {
            mode: signet_domain::KeyMode::Live,
            id: ApiKeyId::parse(&letters(16)).expect("letters"),
            secret: Secret::parse(&letters(Secret::CHARS)).expect("letters"),
        };
        let mut key = token.expose();
        if let (Flood::Malformed, Some(last)) = (self.flood, key.pop()) {
            key.push(if last == '0' { '1' } else { '0' });
        }
        key
    }
}

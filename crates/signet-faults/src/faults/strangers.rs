//! What a client does without a key, or without reading, costs memory that is bounded, and others little.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Endpoint, Findings, Run, Service, Times,
    open_loop::{Ask, Outcomes, Pace, ask},
};

/// How many come in a second, so that it is not the burst that is measured: all are open before the first one times out.
const HEADS_IN_A_SECOND: u64 = 1_000;
const READERS_IN_A_SECOND: u64 = 100;
const GOOD_RATE: f64 = 50.0;
/// How much slower a good client may become, by its p99, and what of that the scheduler of a small machine may add.
const RISE: f64 = 3.0;
const NOISE: Duration = Duration::from_millis(50);

/// What one connection may cost: the buffers of both sides, and a head of 32 KiB while it comes.
const KIB_A_HEAD: u64 = 64;
/// Twice of what every head may have, as one client sends it.
const LONG_HEAD: usize = 262 * 1024;
/// Hardly less than what a head may have.
const OPEN_HEAD: usize = 31 * 1024;

/// Heads without an end: half of them beyond the limit, half of them as large as they may be, and then silence.
pub(super) async fn heads_without_end(run: &Run) -> Findings {
    let count = super::slow::affordable(run.choose(200, 4_000, 4_000));
    let (service, endpoint) = service(run, &[]).await;
    let mut findings = Findings::default();
    let usual = good(&endpoint, run.choose(1, 5, 5)).await;
    let watch = Watch::start(&service);
    let mut attack = JoinSet::new();
    for number in 0..count {
        let (address, length) = (endpoint.address, if number % 2 == 0 { LONG_HEAD } else { OPEN_HEAD });
        attack.spawn(async move {
            sleep(due(number, HEADS_IN_A_SECOND)).await;
            let mut stream = TcpStream::connect(address).await?;
            let head = format!("GET /docs HTTP/1.1\r\nHost: localhost\r\nX: {}", "a".repeat(length));
            stream.write_all(head.as_bytes()).await?;
            // It is answered, or closed when its time is over.
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 400 "))
        });
    }
    let under = good(&endpoint, run.choose(1, 8, 8)).await;
    let ended = attack.join_all().await;
    let grown = watch.stop().await;
    let refused = ended.iter().filter(|ended| matches!(ended, Ok(true))).count();
    findings.did(format!("{count} connections, half of them with {} KiB of headers", LONG_HEAD / 1024));
    findings.measured(format!("{grown} KiB more resident at most, {refused} × 400"));
    let allowed = count * KIB_A_HEAD + 16 * 1024;
    findings.promise(grown <= allowed, format!("{allowed} KiB more at most, not {grown}"));
    findings.promise(refused > 0, "what is too long is answered");
    compare(&mut findings, &usual, &under);
    findings
}

/// One client without a key holds all connections, each by a request now and then, and comes again when one is closed.
pub(super) async fn held_connections(run: &Run) -> Findings {
    let limit = run.choose(50, 500, 500);
    let text = limit.to_string();
    let (service, endpoint) = service(run, &["--max-connections", &text]).await;
    let mut findings = Findings::default();
    let length = run.choose(1, 8, 30);
    let usual = newcomer(&endpoint, length).await;
    let over = Arc::new(AtomicBool::new(false));
    let held = Arc::new(AtomicU64::new(0));
    let mut attack = JoinSet::new();
    for _ in 0..limit {
        let (address, over, held) = (endpoint.address, Arc::clone(&over), Arc::clone(&held));
        attack.spawn(async move {
            while !over.load(Ordering::SeqCst) {
                hold(address, &held).await;
                sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let begun = Instant::now();
    while held.load(Ordering::SeqCst) < limit && begun.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(20)).await;
    }
    let most = held.load(Ordering::SeqCst);
    let under = newcomer(&endpoint, length).await;
    over.store(true, Ordering::SeqCst);
    drop(service);
    attack.join_all().await;
    findings.did(format!("{most} of {limit} connections held by one client without a key"));
    findings.promise(most == limit, format!("all connections are held before a good client comes, not {most}"));
    compare(&mut findings, &usual, &under);
    findings
}

/// A request without a key on a connection that is then kept until the service closes it.
async fn hold(address: std::net::SocketAddr, held: &AtomicU64) {
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let request = "GET /partner/v1/all-users HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut piece = [0; 4096];
    if stream.write_all(request.as_bytes()).await.is_ok() && stream.read(&mut piece).await.is_ok_and(|read| read > 0) {
        held.fetch_add(1, Ordering::SeqCst);
        while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {}
        held.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A good client that makes a connection for each request.
async fn newcomer(endpoint: &Endpoint, seconds: u64) -> Outcomes {
    let (begun, mut outcomes) = (Instant::now(), Outcomes::default());
    let mut client = crate::Client::new(endpoint.clone());
    client.patience = Duration::from_secs(5);
    while begun.elapsed() < Duration::from_secs(seconds) {
        client.disconnect();
        match client.get("/partner/v1/all-users?limit=1").await {
            Ok(reply) if reply.status == 200 => outcomes.done.add(reply.took),
            other => outcomes.wrong.push(format!("{other:?}")),
        }
        sleep(Duration::from_millis(20)).await;
    }
    outcomes
}

const METADATA: usize = 15_000;
const READERS: u64 = 400;
/// The bound of all large responses, and as much again for what is read and dropped.
const MIB_OF_ANSWERS: u64 = 128;

/// Pages of 1.5 MB whose readers do not read them.
pub(super) async fn unread_answers(run: &Run) -> Findings {
    let readers = run.choose(60, READERS, READERS);
    let (service, endpoint) = service(run, &[]).await;
    let fat = service.endpoint(&service.partner("Umbrella").key);
    let mut client = crate::Client::new(fat.clone());
    for number in 0..100 {
        let metadata = json!({ "filler": "a".repeat(METADATA) });
        let body = json!({ "name": "John Doe", "email": format!("fat{number}@example.com"), "metadata": metadata });
        let reply = client.send("POST", "/partner/v1/register-user", None, Some(&body)).await;
        assert!(reply.is_ok_and(|reply| reply.status == 201), "registered");
    }
    let mut findings = Findings::default();
    let usual = good(&endpoint, run.choose(1, 5, 5)).await;
    let watch = Watch::start(&service);
    let mut attack = JoinSet::new();
    for number in 0..readers {
        let fat = fat.clone();
        attack.spawn(async move {
            sleep(due(number, READERS_IN_A_SECOND)).await;
            read_nothing(&fat).await
        });
    }
    let under = good(&endpoint, run.choose(1, 8, 8)).await;
    let statuses: Vec<_> = attack.join_all().await.into_iter().flatten().collect();
    let grown = watch.stop().await;
    let count = |status: &str| statuses.iter().filter(|found| *found == status).count();
    findings.did(format!("{readers} pages of 1.5 MB asked for, and not read"));
    findings.measured(format!("{} × 200, {} × 503, {grown} KiB more resident at most", count("200"), count("503")));
    let allowed = MIB_OF_ANSWERS * 1024 + readers * KIB_A_HEAD;
    findings.promise(grown <= allowed, format!("{allowed} KiB more at most, not {grown}"));
    findings.promise(count("200") > 0 && count("503") > 0, "some are served, and what is too much is not");
    let odd = statuses.len() - count("200") - count("503");
    findings.promise(odd == 0, format!("200 or 503, not {statuses:?}"));
    compare(&mut findings, &usual, &under);
    findings
}

/// The status of an answer of which nothing else is read until the service gives up.
async fn read_nothing(endpoint: &Endpoint) -> Option<String> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_recv_buffer_size(4096).ok()?;
    let mut stream = socket.connect(endpoint.address).await.ok()?;
    let request = format!(
        "GET /partner/v1/all-users?limit=100 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        endpoint.key
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; 12];
    timeout(Duration::from_secs(15), stream.read_exact(&mut head)).await.ok()?.ok()?;
    let status = String::from_utf8_lossy(&head[9..]).into_owned();
    if status == "200" {
        sleep(Duration::from_secs(5)).await;
    }
    Some(status)
}

fn due(number: u64, in_a_second: u64) -> Duration {
    Duration::from_millis(number * 1000 / in_a_second)
}

async fn service(run: &Run, arguments: &[&str]) -> (Arc<Service>, Endpoint) {
    let mut service = Service::on_sqlite(run);
    service.arguments.extend(["--tls", "off"].iter().chain(arguments).map(|argument| (*argument).to_owned()));
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let service = Arc::new(service);
    // The first request verifies the key.
    good(&endpoint, 1).await;
    (service, endpoint)
}

/// A client that keeps its connections.
async fn good(endpoint: &Endpoint, seconds: u64) -> Outcomes {
    let what = |_| Ask { method: "GET", path: "/partner/v1/all-users?limit=1".to_owned(), body: None, key: None };
    ask(Pace::Open(GOOD_RATE), Duration::from_secs(seconds), endpoint, what).await
}

fn compare(findings: &mut Findings, usual: &Outcomes, under: &Outcomes) {
    let p99 = |times: &Times| times.per_mille(990);
    let (before, after) = (p99(&usual.done), p99(&under.done));
    findings.measured(format!(
        "p99 of a good client {:.1} ms, {:.1} ms before",
        after.as_secs_f64() * 1000.0,
        before.as_secs_f64() * 1000.0
    ));
    findings.promise(
        after <= before.mul_f64(RISE) + NOISE,
        format!("the p99 of a good client was {before:?}, and is {after:?}"),
    );
    let failed = under.shed.len() + under.wrong.len();
    findings.lost(format!("{failed} of {} good requests", under.done.len() + failed));
    findings.promise(failed == 0 && !under.done.is_empty(), format!("no good request fails, but {failed}"));
    for what in under.wrong.iter().take(3) {
        findings.promise(false, what.clone());
    }
}

/// Looks at the memory of the service again and again.
struct Watch {
    before: u64,
    most: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Watch {
    fn start(service: &Arc<Service>) -> Self {
        let before = service.usage().resident_kib;
        let (service, most) = (Arc::clone(service), Arc::new(AtomicU64::new(before)));
        let seen = Arc::clone(&most);
        let task = tokio::spawn(async move {
            loop {
                seen.fetch_max(service.usage().resident_kib, Ordering::SeqCst);
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { before, most, task }
    }

    /// How many KiB it had more at most.
    async fn stop(self) -> u64 {
        self.task.abort();
        // Its end lets go of the service.
        drop(self.task.await);
        self.most.load(Ordering::SeqCst).saturating_sub(self.before)
    }
}

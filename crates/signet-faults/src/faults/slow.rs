//! Whoever is slow costs little, and not for long.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls_pki_types::ServerName;
use signet_testkit::TestDatabase;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::{TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Endpoint, Findings, Run, Service, Times,
    open_loop::{Ask, Outcomes, Pace, ask},
};

const CLOSED_WITHIN: Duration = Duration::from_secs(15);
/// How long a slow client waits after each byte.
const PAUSE: Duration = Duration::from_secs(1);
/// How many come in a second; each handshake costs a millisecond of both sides.
const COME_IN_A_SECOND: u64 = 500;
/// How often a good client asks, by the clock, so that a stall is not one slow answer but many.
const GOOD_RATE: f64 = 50.0;
/// Files of this process that are not slow clients.
const OTHER_FILES: u64 = 1_000;
/// What one of them may cost the service, most of it for TLS.
const KIB_EACH: u64 = 64;
/// The largest answer there is, more than the kernel buffers.
const LARGE: &str = "/docs/swagger-ui-bundle.js";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Head,
    Body,
    NextHead,
    Reader,
}

/// With their names in the table.
const KINDS: [(Kind, &str); 4] =
    [(Kind::Head, "slow heads"), (Kind::Body, "bodies"), (Kind::NextHead, "second heads"), (Kind::Reader, "readers")];

pub(super) async fn clients(run: &Run) -> Findings {
    let wanted = run.choose(200, 5_000, 5_000);
    let rounds = run.choose(1, 1, 5);
    // Not optimised, and with other tests beside it, it has no such times to keep.
    let quick = run.choose(Duration::from_secs(2), Duration::from_millis(100), Duration::from_millis(100));
    let count = affordable(wanted);
    let database = TestDatabase::create();
    let mut service = Service::new(run, database.url());
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let mut good = service.client(&endpoint.key);
    let user = good.register("John Doe", "john@example.com").await.expect("an answer");
    let path = format!("/partner/v1/get-user?userId={}", user.body["data"]["userId"].as_str().expect("registered"));
    let before = service.usage();
    let (mut most_files, mut most_kib) = (before.files, before.resident_kib);
    let mut seen: Vec<(Kind, Result<Duration, String>)> = Vec::new();
    let management = Endpoint { address: service.management(), tls: None, key: String::new() };
    let [mut good, mut ready] = [(); 2].map(|()| Outcomes::default());
    for _ in 0..rounds {
        let begun = Instant::now();
        let coming = Duration::from_millis(count * 1000 / COME_IN_A_SECOND);
        // Those whose first head is slow come last: they are closed before any other. All others begin to be slow while
        // they come, one after the other: in the same instant, what they send would be a burst of its own.
        let slow_from = begun + coming * 3 / 4;
        let watched = [(&endpoint, path.as_str()), (&management, "/readyz")]
            .map(|(endpoint, path)| watch(endpoint, path, coming + CLOSED_WITHIN));
        let mut clients = JoinSet::new();
        for number in 0..count {
            let due = Duration::from_millis(number * 1000 / COME_IN_A_SECOND);
            let slow_at = slow_from + due / 3;
            let kind = kind(number, count);
            let endpoint = endpoint.clone();
            clients.spawn(async move {
                tokio::time::sleep_until((begun + due).into()).await;
                (kind, be_slow(kind, &endpoint, slow_at).await)
            });
        }
        while !clients.is_empty() {
            sleep(Duration::from_millis(100)).await;
            let usage = service.usage();
            most_files = most_files.max(usage.files);
            most_kib = most_kib.max(usage.resident_kib);
            while let Some(ended) = clients.try_join_next() {
                seen.push(ended.expect("a client does not panic"));
            }
        }
        for (all, one) in [&mut good, &mut ready].into_iter().zip(watched) {
            all.append(one.await.expect("it does not panic"));
        }
    }
    // What lingers after a refusal is gone by then.
    sleep(Duration::from_secs(3)).await;
    let after = service.usage();

    let mut findings = Findings::default();
    let held = most_files.saturating_sub(before.files);
    findings.did(format!("{rounds} × {count} slow clients, {held} connections at once"));
    if count < wanted {
        findings.did(format!("not {wanted}, by the limit of open files"));
    }
    for (kind, name) in KINDS {
        let (mut times, mut failed) = (Times::default(), Vec::new());
        for (_, closed) in seen.iter().filter(|(of, _)| *of == kind) {
            match closed {
                Ok(time) => times.add(*time),
                Err(error) => failed.push(error),
            }
        }
        let (last, example) = (times.max(), failed.first());
        findings.promise(failed.is_empty(), format!("{name}: {} were not closed: {example:?}", failed.len()));
        match kind {
            // It is drained then, and was cut off some time before.
            Kind::Reader => findings.measured(format!("{name} cut off within {:.0} s", last.as_secs_f64())),
            _ => findings.measured(format!("{name} closed after {:.1} s at most", last.as_secs_f64())),
        }
        findings.promise(last <= CLOSED_WITHIN, format!("{name} closed within {CLOSED_WITHIN:?}, not {last:?}"));
    }
    for (who, watched) in [("a good client", good), ("/readyz", ready)] {
        let p99 = watched.done.per_mille(990);
        let failed = watched.shed.len() + watched.wrong.len();
        findings.measured(format!(
            "p99 of {who} {:.1} ms, slowest {:.1} ms of {}",
            p99.as_secs_f64() * 1000.0,
            watched.done.max().as_secs_f64() * 1000.0,
            watched.done.len()
        ));
        findings.promise(p99 < quick, format!("p99 of {who} below {quick:?}, not {p99:?}"));
        findings.promise(failed == 0, format!("{who} fails never, not {failed} times"));
    }
    let grown = most_kib.saturating_sub(before.resident_kib);
    findings.measured(format!("{} MiB resident, {} MiB more than before", most_kib / 1024, grown / 1024));
    let allowed = count * KIB_EACH + 16 * 1024;
    findings.promise(grown <= allowed, format!("{allowed} KiB at most for {count} clients, not {grown}"));
    let left = after.files.saturating_sub(before.files);
    findings.lost(format!("{left} descriptors"));
    findings.promise(left <= 8, format!("no descriptor is kept, but {left}"));
    findings
}

fn kind(number: u64, count: u64) -> Kind {
    match number % 3 {
        _ if number >= count * 3 / 4 => Kind::Head,
        0 => Kind::Body,
        1 => Kind::NextHead,
        _ => Kind::Reader,
    }
}

/// Asks for that by the clock.
fn watch(endpoint: &Endpoint, path: &str, length: Duration) -> JoinHandle<Outcomes> {
    let (endpoint, path) = (endpoint.clone(), path.to_owned());
    tokio::spawn(async move {
        let what = |_| Ask { method: "GET", path: path.clone(), body: None, key: None };
        ask(Pace::Open(GOOD_RATE), length, &endpoint, what).await
    })
}

/// So many clients as files may be open, after that limit was raised as far as it may.
pub(super) fn affordable(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = maximum.unwrap_or(u64::MAX).min((wanted + OTHER_FILES).max(current.unwrap_or(u64::MAX)));
    // It may be forbidden.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
    let current = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    wanted.min(current.saturating_sub(OTHER_FILES))
}

/// For how long the service stood it, from when the slowness begins.
async fn be_slow(kind: Kind, endpoint: &Endpoint, slow_at: Instant) -> Result<Duration, String> {
    let began = async {
        let mut stream = connect(endpoint, kind == Kind::Reader).await?;
        let head = |line: &str, more: &str| {
            format!("{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{more}\r\n", endpoint.key)
        };
        if kind != Kind::Head {
            stream.write_all(head("GET /partner/v1/all-users?limit=1", "").as_bytes()).await?;
            if stream.read(&mut [0; 4096]).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            tokio::time::sleep_until(slow_at.into()).await;
        }
        let post = "POST /partner/v1/register-user";
        match kind {
            Kind::Head | Kind::NextHead => {}
            Kind::Body => {
                let more = "Content-Type: application/json\r\nContent-Length: 2000\r\n";
                stream.write_all(head(post, more).as_bytes()).await?;
            }
            Kind::Reader => stream.write_all(head(&format!("GET {LARGE}"), "").as_bytes()).await?,
        }
        Ok::<_, std::io::Error>(stream)
    };
    let stream = began.await.map_err(|error| format!("it is not let in: {error}"))?;
    match kind {
        Kind::Reader => read_slowly(stream).await,
        _ => write_slowly(stream).await,
    }
}

async fn connect(endpoint: &Endpoint, is_narrow: bool) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    if is_narrow {
        socket.set_recv_buffer_size(4096)?;
    }
    let stream = socket.connect(endpoint.address).await?;
    stream.set_nodelay(true)?;
    let tls = endpoint.tls.clone().expect("it speaks TLS");
    TlsConnector::from(tls).connect(ServerName::try_from("localhost").expect("a name"), stream).await
}

/// A byte of what is a head, or JSON, for as long as it likes; and now and then the next.
async fn write_slowly(stream: TlsStream<TcpStream>) -> Result<Duration, String> {
    let begun = Instant::now();
    let (mut from, mut to) = split(stream);
    let write = async {
        loop {
            if to.write_all(b"X").await.is_err() || to.flush().await.is_err() {
                return;
            }
            sleep(PAUSE).await;
        }
    };
    let read = async {
        // An answer may come before the end.
        while let Ok(1..) = from.read(&mut [0; 1024]).await {}
    };
    let closed = async {
        tokio::select! { () = write => {}, () = read => {} }
    };
    let patience = CLOSED_WITHIN + Duration::from_secs(15);
    timeout(patience, closed).await.map_err(|_elapsed| format!("it is open after {patience:?}"))?;
    Ok(begun.elapsed())
}

/// Reads a byte now and then, and all that is left after the time in which it must be cut off: less than the answer.
async fn read_slowly(mut stream: TlsStream<TcpStream>) -> Result<Duration, String> {
    let begun = Instant::now();
    let mut head = Vec::new();
    while begun.elapsed() < CLOSED_WITHIN {
        let mut byte = [0; 1];
        match timeout(CLOSED_WITHIN, stream.read(&mut byte)).await {
            Ok(Ok(1..)) => head.push(byte[0]),
            _ => return Ok(begun.elapsed()),
        }
        sleep(PAUSE.min(CLOSED_WITHIN.saturating_sub(begun.elapsed()))).await;
    }
    let mut rest = Vec::new();
    let drained = timeout(CLOSED_WITHIN, stream.read_to_end(&mut rest)).await;
    head.extend(&rest);
    let text = String::from_utf8_lossy(&head);
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let body = head.windows(4).position(|window| window == b"\r\n\r\n").map(|place| head.len() - place - 4);
    match (length, body) {
        (Some(length), Some(body)) if body >= length => Err(format!("it got all the {length} bytes")),
        (Some(_), Some(_)) if drained.is_ok() => Ok(CLOSED_WITHIN),
        _ => Err(format!("it is neither served nor cut off: {drained:?}, {} bytes", head.len())),
    }
}

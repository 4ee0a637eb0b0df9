//! No bytes are one request to a proxy and another one to the service, and nobody writes the address of the audit.

mod corpus;
mod front;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::timeout,
};

use self::{
    corpus::{CASES, filled, id},
    front::{Front, Kind},
};
use crate::{Findings, Run, Service};

/// Where the clients are. A proxy asks the service from another address, which the service trusts.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PROXY: &str = "127.0.0.1";
/// More than the service, or a proxy, waits for the rest of a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client may claim about where it is.
pub const FORGED_ADDRESSES: &[&str] = &[
    "",
    ",",
    "203.0.113.99",
    "203.0.113.99,",
    "127.0.0.1",
    "203.0.113.99, 127.0.0.1",
    "203.0.113.99\r\nX-Forwarded-For: 127.0.0.1",
    "203.0.113.99\r\nx-forwarded-for: 127.0.0.1, 127.0.0.1",
    "10.0.0.1, 10.0.0.2",
    "203.0.113.99:4711",
    "2001:db8::99",
    "[2001:db8::99]:4711",
    "::1",
    "::ffff:203.0.113.99",
    "\"203.0.113.99\"",
    "for=203.0.113.99",
    "unknown",
    "nonsense, \u{1f3f4}",
    "203.0.113.99 127.0.0.1",
    "0x7f.1, 127.1, 2130706433",
];

/// An answer: its status, and the id of the request that it says it is for.
type Answer = (u16, String);

/// The smoke goes without proxies: those are not on every machine.
pub(super) async fn through_proxies(run: &Run) -> Findings {
    let mut findings = Findings::default();
    let proxies = [None, Some(Kind::Nginx), Some(Kind::NginxUnbuffered), Some(Kind::Haproxy)];
    for proxy in run.choose(&proxies[..1], &proxies, &proxies) {
        through(run, *proxy, &mut findings).await;
    }
    findings.did(format!("{} cases and {} forged addresses through each", CASES.len(), FORGED_ADDRESSES.len()));
    findings.lost("nothing");
    findings
}

async fn through(run: &Run, proxy: Option<Kind>, findings: &mut Findings) {
    let name = proxy.map_or("no proxy", Kind::name);
    let mut service = Service::on_sqlite(run);
    service.arguments = ["--tls", "off", "--trusted-proxy", PROXY].map(str::to_owned).to_vec();
    service.start().await;
    let key = service.partner("Acme").key;
    let front = match proxy.map(|kind| Front::start(kind, service.api())).transpose() {
        Ok(front) => front,
        Err(reason) => return findings.promise(false, format!("left out: {reason}")),
    };
    let address = front.as_ref().map_or(service.api(), Front::address);

    // The first one verifies the key.
    let first = talk(address, &marker("first", 0, &key)).await;
    findings.promise(first == Ok(vec![(200, id("first", 0))]), format!("{name}: {first:?}"));
    // One after the other behind a proxy, so that each has the connection that the case before it may have spoilt.
    let at_once = if front.is_some() { 1 } else { CASES.len() };
    let exchanges = CASES.iter().enumerate().map(|(number, (_, text))| exchange(address, text, number, &key));
    let seen: Vec<_> = stream::iter(exchanges).buffered(at_once).collect().await;
    let mut answers = 1;
    for (number, ((case, _), (same, next))) in CASES.iter().zip(&seen).enumerate() {
        let own = Ok(vec![(200, id("next", number))]);
        findings.promise(*next == own, format!("{name}, {case}: the next connection is answered by {next:?}"));
        if front.is_none() {
            findings.promise(is_orderly(same, number), format!("{name}, {case}: {same:?}"));
        }
        answers += same.as_ref().map_or(0, Vec::len) + 1;
    }
    for (number, forged) in FORGED_ADDRESSES.iter().enumerate() {
        let answer = talk(address, &registration(forged, number, &key)).await;
        let own = Ok(vec![(201, id("forged", number))]);
        findings.promise(answer == own, format!("{name}, X-Forwarded-For: {forged:?}: {answer:?}"));
        answers += 1;
    }

    findings.promise(service.stop().success(), format!("{name}: the service ends in good order"));
    let log = service.log();
    let (served, left_out) = (served(&log), left_out(&log));
    let counted = served.len() + left_out;
    let passed_on = front.map(Front::stop);
    let expected = passed_on.as_ref().map_or(answers, Vec::len);
    findings.measured(format!("{name}: {expected} requests, {counted} in the service's log"));
    findings.promise(
        expected == counted,
        format!("{name}: {expected} requests are not {counted} in the service's log: {passed_on:?}, {served:?}"),
    );
    let passed_on = passed_on.unwrap_or_default();
    for (smuggled, times) in counts(&served).into_iter().filter(|(id, _)| id.starts_with("hidden")) {
        let known = passed_on.iter().filter(|id| *id == smuggled).count();
        findings.promise(times <= known, format!("{name}: {smuggled} was served and not passed on"));
    }
    let entries = service.stores().entries().await.expect("a trail");
    findings.promise(entries.len() == FORGED_ADDRESSES.len(), format!("{name}: {} users", entries.len()));
    for entry in entries {
        let (id, address) = (entry.request_id, entry.ip_address);
        findings.promise(address == Some(IpAddr::V4(CLIENT)), format!("{name}: {id} came from {address:?}"));
    }
}

/// Sends a case and an innocent request behind it, and then another one on a connection of its own.
async fn exchange(
    address: SocketAddr,
    text: &str,
    number: usize,
    key: &str,
) -> (Result<Vec<Answer>, String>, Result<Vec<Answer>, String>) {
    let case = filled(text, number, key) + &marker("same", number, key);
    (talk(address, &case).await, talk(address, &marker("next", number, key)).await)
}

/// The case was answered once, its hidden request never, and what came behind it in order or not at all.
fn is_orderly(answers: &Result<Vec<Answer>, String>, number: usize) -> bool {
    let Some(((_, first), others)) = answers.as_ref().ok().and_then(|answers| answers.split_first()) else {
        return false;
    };
    let behind = [id("second", number), id("same", number)];
    let mut expected = behind.iter();
    !behind.contains(first)
        && *first != id("hidden", number)
        && others.iter().all(|(_, id)| expected.any(|behind| behind == id))
}

fn marker(kind: &str, number: usize, key: &str) -> String {
    format!(
        "GET /partner/v1/all-users?limit=1 HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {}\r\nAuthorization: Bearer {key}\r\n\
         Connection: close\r\n\r\n",
        id(kind, number)
    )
}

fn registration(forged: &str, number: usize, key: &str) -> String {
    let user = json!({ "name": "John Doe", "email": format!("john{number}@example.com") }).to_string();
    format!(
        "POST /partner/v1/register-user HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {}\r\nAuthorization: Bearer {key}\r\n\
         Connection: close, X-Forwarded-For\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         X-Real-IP: 203.0.113.99\r\nForwarded: for=203.0.113.99\r\nX-Forwarded-For: {forged}\r\n\r\n{user}",
        id("forged", number),
        user.len()
    )
}

/// The answers to these bytes until the other side closes.
async fn talk(address: SocketAddr, request: &str) -> Result<Vec<Answer>, String> {
    let exchanged = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((CLIENT, 0).into())?;
        let mut stream = socket.connect(address).await?;
        let (mut from, mut to) = stream.split();
        let mut text = Vec::new();
        // An answer may come before all was sent; how the connection ends then does not matter.
        let (_sent, _ended) = tokio::join!(to.write_all(request.as_bytes()), from.read_to_end(&mut text));
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    match timeout(PATIENCE, exchanged).await {
        Ok(Ok(text)) => answers(&text).ok_or_else(|| format!("no answers: {text:?}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("it is open after {PATIENCE:?}")),
    }
}

/// The answers that make up the text. None of them has a length that is not announced.
fn answers(mut text: &str) -> Option<Vec<Answer>> {
    let mut answers = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        let value = |wanted: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value).next()
        };
        if status == 100 {
            text = rest;
            continue;
        }
        text = rest.get(value("content-length")?.parse().ok()?..)?;
        answers.push((status, value("x-request-id").unwrap_or_default().to_owned()));
    }
    Some(answers)
}

/// The ids of the requests that the service logged.
fn served(log: &str) -> Vec<String> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let requests = events.filter(|event| event["message"] == "request");
    requests.map(|request| request["request_id"].as_str().expect("an id").to_owned()).collect()
}

/// How many lines of requests the service left out of its log, because there were many of their kind in a second.
fn left_out(log: &str) -> usize {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let counts = events.filter_map(|event| event["suppressed"].as_u64());
    usize::try_from(counts.sum::<u64>()).expect("a count")
}

fn counts(ids: &[String]) -> BTreeMap<&str, usize> {
    ids.iter().fold(BTreeMap::new(), |mut counts, id| {
        *counts.entry(id.as_str()).or_default() += 1;
        counts
    })
}

//! Whatever happens, again and again, it keeps nothing of it.

use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use serde_json::json;
use signet_domain::{ApiKeyToken, Secret};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::time::sleep;

use crate::{
    Client, Cut, Endpoint, Findings, Proxy, Run, Service, Usage,
    open_loop::{Ask, Outcomes, Pace, ask},
    trend::Trend,
};

const RATE: f64 = 200.0;
const USERS: usize = 200;
/// What it may hold more at the end of the run than the noise explains: one connection to the database or one thread is
/// made when it is first needed, and stays.
const FILES_MORE: f64 = 1.0;
const THREADS_MORE: f64 = 1.0;

#[derive(Debug, Clone, Copy)]
enum Fault {
    Restart,
    Kill,
    Freeze,
    BlackHole,
    Reset,
    BadKeys,
    Abandon,
}

const FAULTS: [Fault; 7] =
    [Fault::Restart, Fault::Kill, Fault::Freeze, Fault::BlackHole, Fault::Reset, Fault::BadKeys, Fault::Abandon];

pub(super) async fn mixed(run: &Run) -> Findings {
    let (rounds, round) = run.choose((6, 2), (14, 10), (60, 60));
    let round = Duration::from_secs(round);
    let length = (round / 4).min(Duration::from_secs(5));
    // Until each kind of fault has come often enough, the allocator still takes what it will work with.
    let (before, short) = (run.choose(0, 0, 70), length * 2);
    let mib_more = run.choose(4.0, 4.0, 1.0);
    let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&postgres);
    let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port(), database.name());
    let mut service = Service::new(run, &url);
    service.start().await;
    let endpoint = service.endpoint(&service.partner("Acme").key);
    let users = register(&endpoint).await;

    let mut random = run.random("soak");
    let mut shuffled = |rounds| {
        let mut faults: Vec<Fault> = (0..rounds).map(|number| FAULTS[number % FAULTS.len()]).collect();
        faults.shuffle(&mut random);
        faults
    };
    let warming = shuffled(before).into_iter().map(|fault| (fault, short));
    let measured = shuffled(rounds).into_iter().map(|fault| (fault, round));
    let begun = Instant::now();
    let (mut done, mut unavailable, mut wrong) = (0, 0, Vec::new());
    let mut samples: Vec<(f64, Usage)> = Vec::new();
    for (number, (fault, round)) in warming.chain(measured).enumerate() {
        let (endpoint, users) = (endpoint.clone(), users.clone());
        let load = tokio::spawn({
            let endpoint = endpoint.clone();
            async move { ask(Pace::Open(RATE), round, &endpoint, |at| wish(number, at, &users)).await }
        });
        sleep(round / 4).await;
        break_it(fault, &postgres, &proxy, &endpoint, length).await;
        let seen: Outcomes = load.await.expect("it does not panic");
        done += seen.done.len();
        unavailable += seen.shed.len();
        wrong.extend(seen.wrong);
        service.is_left().await;
        if number >= before {
            samples.push((begun.elapsed().as_secs_f64() / 3600.0, service.usage()));
        }
    }
    let is_running = service.is_running();
    let replayed = service.stores().replay().await.expect("a trail");

    let mut findings = Findings::default();
    findings.did(format!(
        "{:.0} s at {RATE:.0} requests a second with {} faults of {} kinds, {before} of them in quick succession before \
         it is measured",
        begun.elapsed().as_secs_f64(),
        before + rounds,
        FAULTS.len()
    ));
    findings.measured(format!("{done} successes, {unavailable} × 503"));
    let steady = &samples[samples.len() / 4..];
    let hours = steady.last().map_or(0.0, |last| last.0) - steady.first().map_or(0.0, |first| first.0);
    for (what, allowed, number) in [
        ("MiB", mib_more, Number::Mebibytes),
        ("descriptors", FILES_MORE, Number::Files),
        ("threads", THREADS_MORE, Number::Threads),
    ] {
        let points: Vec<(f64, f64)> = steady.iter().map(|(at, usage)| (*at, number.of(usage))).collect();
        let Some(Trend { slope, margin }) = Trend::of(&points) else { continue };
        let last = points.last().map_or(0.0, |last| last.1);
        findings.measured(format!("{last:.0} {what}, {slope:+.1} ± {margin:.1} an hour"));
        findings.promise(
            (slope - margin) * hours <= allowed,
            format!("{what} do not grow, but by {:.1} in {hours:.2} hours", slope * hours),
        );
    }
    findings.lost(format!("{} wrong answers, {} users not rebuilt by their trail", wrong.len(), replayed.findings));
    findings.promise(replayed.findings == 0, "the trail rebuilds every user");
    findings.promise(is_running, "the service goes on running");
    findings.promise(done > 0, "requests are answered");
    for what in wrong.into_iter().take(5) {
        findings.promise(false, what);
    }
    findings
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Mebibytes,
    Files,
    Threads,
}

impl Number {
    fn of(self, usage: &Usage) -> f64 {
        let number = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        match self {
            Self::Mebibytes => number(usage.resident_kib) / 1024.0,
            Self::Files => number(u64::try_from(usage.files).unwrap_or(u64::MAX)),
            Self::Threads => number(usage.threads),
        }
    }
}

async fn break_it(fault: Fault, postgres: &PostgresServer, proxy: &Proxy, endpoint: &Endpoint, length: Duration) {
    match fault {
        Fault::Restart => {
            postgres.stop();
            sleep(length).await;
            postgres.start();
        }
        Fault::Kill => {
            postgres.kill();
            postgres.start();
        }
        Fault::Freeze => {
            postgres.freeze();
            sleep(length).await;
            postgres.thaw();
        }
        Fault::BlackHole => {
            proxy.black_hole();
            sleep(length).await;
            proxy.cut_all(Cut::Reset);
            proxy.heal();
        }
        Fault::Reset => proxy.cut_all(Cut::Reset),
        Fault::BadKeys => {
            let good = ApiKeyToken::parse(&endpoint.key).expect("a key");
            let what = |number| {
                let secret = Secret::parse(&format!("{number:032}")).expect("digits");
                let key = Some(ApiKeyToken { secret, ..good.clone() }.expose());
                Ask { method: "GET", path: "/partner/v1/all-users".to_owned(), body: None, key }
            };
            ask(Pace::Open(RATE * 2.0), length, endpoint, what).await;
        }
        // Clients that go away before they are answered.
        Fault::Abandon => {
            for number in 0..50 {
                let mut client = Client::new(endpoint.clone());
                client.patience = Duration::from_micros(number * 100);
                drop(client.get("/partner/v1/all-users?limit=100").await);
            }
        }
    }
}

async fn register(endpoint: &Endpoint) -> Vec<String> {
    let mut client = Client::new(endpoint.clone());
    let mut users = Vec::new();
    for number in 0..USERS {
        let reply = client.register("John Doe", &format!("user{number}@example.com")).await.expect("an answer");
        users.push(reply.body["data"]["userId"].as_str().expect("registered").to_owned());
    }
    users
}

fn wish(round: usize, number: u64, users: &[String]) -> Ask {
    let user = &users[usize::try_from(number).unwrap_or_default() % users.len()];
    let (method, path, body) = match number % 20 {
        0 => {
            let email = format!("round{round}n{number}@example.com");
            ("POST", "register-user".to_owned(), Some(json!({ "name": "Jane Doe", "email": email })))
        }
        1..6 => ("PATCH", "update-user".to_owned(), Some(json!({ "userId": user, "metadata": { "n": number } }))),
        6 => ("GET", "audit-trail?limit=20".to_owned(), None),
        7 => ("GET", "all-users?limit=20".to_owned(), None),
        _ => ("GET", format!("get-user?userId={user}"), None),
    };
    Ask { method, path: format!("/partner/v1/{path}"), body, key: None }
}

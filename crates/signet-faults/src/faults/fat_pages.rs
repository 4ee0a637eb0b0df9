//! One partner reads pages of large users without a pause, beside another partner.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::task::JoinSet;

use crate::{
    Client, Endpoint, Findings, Run, Service,
    open_loop::{Ask, Outcomes, Pace, ask},
};

const READERS: usize = 8;
const USERS: usize = 100;
/// Characters of metadata of each user of the large partner.
const LARGE: usize = 15 * 1024;
/// Requests that the other partner has unanswered at a time.
const OTHERS: usize = 8;
/// The part of its rate alone that the other partner must keep. The readers, their clients and the database share two
/// cores with it, where it kept 0.2: half of that leaves room for a noisy machine.
const KEPT: f64 = 0.1;

const PAGE: &str = "/partner/v1/all-users?limit=100";

pub(super) async fn beside_another(run: &Run) -> Findings {
    let mut findings = Findings::default();
    let postgres = PostgresServer::start_new(&ServerOptions::default());
    let database = TestDatabase::create_on(&postgres);
    for (name, service) in
        [("SQLite", Service::on_sqlite(run)), ("PostgreSQL", Service::new(run, &postgres.url(database.name())))]
    {
        beside(run, name, service, &mut findings).await;
    }
    findings
}

async fn beside(run: &Run, store: &str, mut service: Service, findings: &mut Findings) {
    let length = Duration::from_secs(run.choose(2, 5, 20));
    service.arguments.extend(["--tls", "off"].map(str::to_owned));
    service.start().await;
    let large = service.endpoint(&service.partner("Acme").key);
    let small = service.endpoint(&service.partner("Globex").key);
    register(&large, LARGE).await;
    let ids = register(&small, 0).await;

    let look_up = |number: u64| {
        let id = &ids[usize::try_from(number).unwrap_or_default() % ids.len()];
        Ask { method: "GET", path: format!("/partner/v1/get-user?userId={id}"), body: None, key: None }
    };
    let page = |_: u64| Ask { method: "GET", path: "/partner/v1/all-users?limit=20".to_owned(), body: None, key: None };

    let alone = [others(&small, length, look_up).await, others(&small, length, page).await];
    let readers = Readers::start(&large);
    let beside = [others(&small, length, look_up).await, others(&small, length, page).await];
    let (pages, odd) = readers.stop().await;

    findings.did(format!("{store}: {pages} large pages of {USERS} × {} KiB", LARGE / 1024));
    for (what, (before, after)) in ["look-ups", "pages of 20"].into_iter().zip(alone.into_iter().zip(beside)) {
        let kept = after.goodput() / before.goodput();
        findings.measured(format!(
            "{store}, {what} of another partner: {:.0} a second alone, {:.0} beside the readers ({:.0} %), p99 {:.1} and {:.1} ms",
            before.goodput(),
            after.goodput(),
            kept * 100.0,
            before.done.per_mille(990).as_secs_f64() * 1000.0,
            after.done.per_mille(990).as_secs_f64() * 1000.0
        ));
        findings.promise(kept >= KEPT, format!("{store}, {what}: {KEPT} of the rate alone, not {kept:.3}"));
        for outcomes in [before, after] {
            let refused = outcomes.shed.len() + outcomes.wrong.len();
            findings.promise(refused == 0, format!("{store}, {what}: no request refused, but {refused}"));
        }
    }
    findings.promise(pages > 0, format!("{store}: the readers are served"));
    findings.promise(odd == 0, format!("{store}: {odd} pages that are not whole"));
}

async fn others(endpoint: &Endpoint, length: Duration, what: impl FnMut(u64) -> Ask + Send) -> Outcomes {
    ask(Pace::Closed(OTHERS), length, endpoint, what).await
}

async fn register(endpoint: &Endpoint, metadata: usize) -> Vec<String> {
    let mut client = Client::new(endpoint.clone());
    let mut ids = Vec::new();
    for number in 0..USERS {
        let body = json!({
            "name": "John Doe",
            "email": format!("user{number}@example.com"),
            "metadata": { "note": "x".repeat(metadata) },
        });
        let reply = client.send("POST", "/partner/v1/register-user", None, Some(&body)).await.expect("an answer");
        ids.push(reply.body["data"]["userId"].as_str().expect("registered").to_owned());
    }
    ids
}

/// Clients that read the large page again and again.
struct Readers {
    stop: Arc<AtomicBool>,
    pages: Arc<AtomicUsize>,
    odd: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Readers {
    fn start(endpoint: &Endpoint) -> Self {
        let (stop, pages, odd) = (Arc::<AtomicBool>::default(), Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        for _ in 0..READERS {
            let mut client = Client::new(endpoint.clone());
            let (stop, pages, odd): (_, Arc<AtomicUsize>, Arc<AtomicUsize>) =
                (Arc::clone(&stop), Arc::clone(&pages), Arc::clone(&odd));
            tasks.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let whole = matches!(client.fetch(PAGE).await, Ok((200, length)) if length > USERS * LARGE);
                    if whole { &pages } else { &odd }.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { stop, pages, odd, tasks }
    }

    /// Returns how many pages were whole, and how many were anything else.
    async fn stop(mut self) -> (usize, usize) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a reader does not panic");
        }
        (self.pages.load(Ordering::SeqCst), self.odd.load(Ordering::SeqCst))
    }
}

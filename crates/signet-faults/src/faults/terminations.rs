//! Whoever stops the service as one should loses no request.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::Signal;
use signet_testkit::{CertificateAuthority, TestDatabase};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Client, Endpoint, Findings, Load, NoReply, Run, Service, Times,
    balancer::{Backend, Balancer},
    certificates::{self, serve_with},
    run::mix,
};

const CLIENTS: usize = 32;
/// How long it answers on after the signal, and how long it takes to be gone at the most: idle connections stay for
/// half a second, and no request takes a whole one.
const DELAY: Duration = Duration::from_millis(200);
const GONE_WITHIN: Duration = Duration::from_secs(4);

pub(super) async fn under_load(run: &Run) -> Findings {
    let times = run.choose(3, 20, 100);
    let database = TestDatabase::create();
    let mut service = Service::new(run, database.url());
    // Each request is logged, which tells whether the service has seen it.
    let arguments = ["--shutdown-delay".to_owned(), format!("{}ms", DELAY.as_millis())];
    service.arguments = arguments.to_vec();
    service.start().await;
    let key = service.partner("Acme").key;
    let mut random = run.random("terminations");
    let counts = Arc::new(Counts::default());
    let (mut gone, mut failed) = (Times::default(), 0);
    for life in 0..times {
        if life > 0 {
            let plain = ["--tls", "off"].map(str::to_owned);
            service.arguments = [&arguments[..], if life % 2 == 1 { &plain } else { &[] }].concat();
            service.start().await;
        }
        let endpoint = service.endpoint(&key);
        let over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for number in 0..CLIENTS {
            let caller = Caller {
                name: format!("l{life}c{number}"),
                client: Client::new(endpoint.clone()),
                random: StdRng::seed_from_u64(mix(run.seed, (life, number))),
                counts: Arc::clone(&counts),
                over: Arc::clone(&over),
            };
            callers.spawn(caller.call());
        }
        sleep(Duration::from_millis(random.random_range(100..400))).await;
        service.signal(Signal::TERM);
        let begun = Instant::now();
        let status = service.wait();
        gone.add(begun.elapsed());
        failed += usize::from(!status.success());
        over.store(true, Ordering::SeqCst);
        callers.join_all().await;
    }

    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    let (answered, odd) = (count(&counts.answered), count(&counts.odd));
    let log = service.log();
    let lost = counts.lost.lock().unwrap_or_else(PoisonError::into_inner);
    let (accepted, crossed): (Vec<_>, Vec<_>) =
        lost.iter().partition(|request| request.is_first || log.contains(&format!("\"{}\"", request.id)));
    let (unanswered, crossed) = (accepted.len(), crossed.len());
    let mut findings = Findings::default();
    findings.did(format!("{times} × SIGTERM under {CLIENTS} clients, over TLS and without in turn"));
    findings.measured(format!(
        "{answered} requests answered, {} connections refused, {crossed} requests met the end of an idle connection and \
         were not seen; gone after {:.2} s, at most {:.2} s",
        count(&counts.refused),
        gone.per_mille(500).as_secs_f64(),
        gone.max().as_secs_f64()
    ));
    findings.lost(format!("{unanswered} accepted requests without an answer"));
    findings.promise(answered > times, format!("requests are answered, not {answered}"));
    let seen = log.matches(r#""request_id":"l"#).count();
    findings.promise(seen >= answered, format!("each request is logged, not {seen}"));
    findings.promise(unanswered == 0, format!("every accepted request is answered, but for {unanswered}"));
    findings.promise(odd == 0, format!("every answer is a success, but for {odd}"));
    findings.promise(failed == 0, format!("it ends with success, but for {failed} times"));
    findings.promise(gone.max() <= GONE_WITHIN, format!("gone within {GONE_WITHIN:?}, not {:?}", gone.max()));
    findings
}

#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    odd: AtomicUsize,
    refused: AtomicUsize,
    lost: Mutex<Vec<Lost>>,
}

/// A request without an answer.
struct Lost {
    id: String,
    /// Whether it was the first one on its connection.
    is_first: bool,
}

/// Asks on a kept connection, or on a new one, as chance will have it.
///
/// A request counts as accepted when the service has seen it, or it is the first one on a connection that was let in. Where
/// a later one meets the end of the idle connection halfway, nobody could answer it (RFC 9112, section 9.5).
struct Caller {
    name: String,
    client: Client,
    random: StdRng,
    counts: Arc<Counts>,
    over: Arc<AtomicBool>,
}

impl Caller {
    async fn call(mut self) {
        let mut number = 0;
        while !self.over.load(Ordering::SeqCst) {
            number += 1;
            if self.random.random_ratio(1, 4) {
                self.client.disconnect();
            }
            let (id, connections) = (format!("{}n{number}", self.name), self.client.connections);
            let answer = if self.random.random() {
                self.client.register_as(&id, "John Doe", &format!("{id}@example.com")).await
            } else {
                self.client.send("GET", "/partner/v1/all-users?limit=5", Some(&id), None).await
            };
            let counts = &self.counts;
            match answer {
                Ok(reply) if reply.status < 300 => counts.answered.fetch_add(1, Ordering::SeqCst),
                Ok(_) => counts.odd.fetch_add(1, Ordering::SeqCst),
                Err(NoReply::Refused(_)) => counts.refused.fetch_add(1, Ordering::SeqCst),
                Err(NoReply::Broken(_) | NoReply::TimedOut) => {
                    let mut lost = counts.lost.lock().unwrap_or_else(PoisonError::into_inner);
                    lost.push(Lost { id, is_first: self.client.connections > connections });
                    lost.len()
                }
            };
            // At times longer than an idle connection is kept while the service stops.
            let pause = if self.random.random_ratio(1, 20) { 900 } else { 10 };
            sleep(Duration::from_millis(self.random.random_range(0..pause))).await;
        }
    }
}

/// Two instances behind a balancer that goes by `/readyz`.
pub(super) async fn rolling(run: &Run) -> Findings {
    let rounds = run.choose(1, 3, 10);
    let database = TestDatabase::create();
    let authority = CertificateAuthority::new();
    let mut services = [(); 2].map(|()| {
        let mut service = Service::new(run, database.url());
        serve_with(&mut service, &authority.identity(&["localhost"]));
        service
    });
    for service in &mut services {
        service.start().await;
    }
    let backends = services.each_ref().map(|service| Backend { api: service.api(), management: service.management() });
    let balancer = Balancer::start(&backends).await;
    let tls = Some(certificates::trusting(&authority.certificate()));
    let endpoint = Endpoint { address: balancer.address(), tls, key: services[0].partner("Acme").key };
    let mut load = Load::start(CLIENTS, 100, &endpoint, mix(run.seed, "rolling")).await;
    let begun = Instant::now();
    for _ in 0..rounds {
        for service in &mut services {
            sleep(Duration::from_millis(500)).await;
            service.signal(Signal::TERM);
            service.wait();
            service.start().await;
            // The balancer has to notice before the other goes.
            balancer.all_ready().await;
        }
    }
    sleep(Duration::from_millis(500)).await;
    load.stop().await;
    let window = load.between(begun, Instant::now());

    let failed = window.wrong.len() + window.unavailable;
    let mut findings = Findings::default();
    findings.did(format!("{rounds} × both instances replaced, one after the other"));
    findings.measured(format!(
        "{} requests by {CLIENTS} clients, slowest {:.0} ms",
        window.times.len(),
        window.times.max().as_secs_f64() * 1000.0
    ));
    findings.lost(format!("{failed} failed requests"));
    findings.promise(window.done > 0, "requests are answered");
    findings.promise(window.unavailable == 0, format!("no answer is 503, but for {}", window.unavailable));
    for what in window.wrong.into_iter().take(5) {
        findings.promise(false, what);
    }
    findings
}

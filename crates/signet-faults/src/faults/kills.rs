//! Whatever is killed, nothing acknowledged is lost and nothing is done twice.

use std::time::Duration;

use rand::{RngExt, seq::SliceRandom};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};

use crate::{Findings, Ledger, Run, Service, Times, Writers, run::mix};

const MOST_WRITERS: usize = 64;
const FEWEST_WRITERS: usize = 8;

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Server,
    Database,
}

pub(super) async fn on_postgres(run: &Run) -> Findings {
    let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&postgres);
    let (servers, databases) = run.choose((3, 2), (15, 6), (50, 20));
    let service = Service::new(run, &postgres.url(database.name()));
    kill(run, service, Some(&postgres), servers, databases).await
}

pub(super) async fn on_sqlite(run: &Run) -> Findings {
    kill(run, Service::on_sqlite(run), None, run.choose(3, 20, 70), 0).await
}

async fn kill(
    run: &Run,
    mut service: Service,
    postgres: Option<&PostgresServer>,
    servers: usize,
    databases: usize,
) -> Findings {
    let mut random = run.random("kills");
    let goal = run.choose(200, 3_000, 10_000);
    let mut victims = [vec![Victim::Server; servers], vec![Victim::Database; databases]].concat();
    victims.shuffle(&mut random);

    service.start().await;
    let partners = ["Acme", "Umbrella"].map(|name| service.endpoint(&service.partner(name).key));
    let ledger = Ledger::default();
    let writers = Writers::start(MOST_WRITERS, &partners, &ledger, mix(run.seed, "writers")).await;
    let mut back = Times::default();
    for (number, victim) in victims.iter().enumerate() {
        writers.limit(random.random_range(FEWEST_WRITERS..=MOST_WRITERS));
        // Work goes on between any two, and where in a batch it is hit is left to chance.
        ledger.reached(ledger.acknowledged().max(goal * number / victims.len()) + 20).await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..20_000))).await;
        match victim {
            Victim::Server => {
                service.kill();
                back.add(service.start().await);
            }
            Victim::Database => {
                let postgres = postgres.expect("only where there is one");
                postgres.kill();
                postgres.start();
            }
        }
    }
    ledger.reached(goal).await;
    writers.stop().await;
    service.stop();

    let compared = ledger.compare(&service.stores()).await;
    let mut findings = Findings::default();
    findings.did(format!("{servers} × server"));
    if postgres.is_some() {
        findings.did(format!("{databases} × PostgreSQL"));
    }
    findings.attempted(&ledger.traffic());
    findings.measured(format!("ready again after {:.2} s at most", back.max().as_secs_f64()));
    findings.compared(&compared, ledger.complaints());
    let limit = run.unless_smoke(Duration::from_secs(2));
    findings.promise(back.max() <= limit, format!("ready {limit:?} after a kill, not {:?}", back.max()));
    findings
}

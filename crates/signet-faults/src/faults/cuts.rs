//! The connection to the database is cut at every byte of a registration, and the service still knows what it did.

use std::{ops::AddAssign, time::Duration};

use futures_util::future::join_all;
use rand::{RngExt, rngs::StdRng};
use signet_domain::UserId;
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};
use tokio::time::Instant;

use crate::{Client, Comparison, Cut, Direction, Expected, Findings, Ledger, Proxy, Reply, Run, Service, Times};

/// For how long a registration is asked for again.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);

/// How the registration meets the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On a connection that has done this before; the service may use another one afterwards.
    Once,
    /// From the first byte of a new connection on, and so on each that the service makes until it has answered.
    Always,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    kind: Kind,
    direction: Direction,
    position: usize,
}

/// A service of its own on a database of its own, behind a proxy of its own.
struct Lane {
    service: Service,
    proxy: Proxy,
    client: Client,
    ledger: Ledger,
    random: StdRng,
    number: usize,
    registered: usize,
    _database: TestDatabase,
}

#[derive(Default)]
struct Counts {
    registered: usize,
    refused: usize,
    cut: usize,
    times: Times,
}

pub(super) async fn of_a_registration(run: &Run) -> Findings {
    let postgres = PostgresServer::start_new(&ServerOptions::default());
    let lanes = run.choose(1, 6, 8);
    let mut lanes = join_all((0..lanes).map(|number| Lane::new(run, &postgres, number))).await;

    let mut findings = Findings::default();
    let mut cases = Vec::new();
    let lengths = lanes[0].lengths().await;
    for (kind, direction, length) in lengths {
        cases.extend((0..length).map(|position| Case { kind, direction, position }));
        let on = if kind == Kind::Once { "a connection in use" } else { "every new connection" };
        let to = if direction == Direction::ToServer { "to PostgreSQL" } else { "from it" };
        findings.did(format!("{length} bytes {to} on {on}"));
    }
    let stride = run.choose(400, 23, 1);
    let offset = run.random("cuts").random_range(0..stride);
    let cases: Vec<Case> = cases.into_iter().skip(offset).step_by(stride).collect();
    findings.did(format!("{} cuts, at every {stride}. byte", cases.len()));

    let count = lanes.len();
    let share = |number: usize| cases.iter().copied().skip(number).step_by(count).collect::<Vec<_>>();
    let done = join_all(lanes.iter_mut().enumerate().map(|(number, lane)| lane.work(share(number)))).await;
    let mut all = Counts::default();
    for counts in done {
        all += counts;
    }
    findings.measured(format!(
        "{} × 201, {} × 503, {} connections cut, slowest answer {:.2} s",
        all.registered,
        all.refused,
        all.cut,
        all.times.max().as_secs_f64()
    ));
    findings
        .promise(all.cut >= cases.len(), format!("each case cuts a connection, not {} of {}", all.cut, cases.len()));
    let now = lanes[count - 1].lengths().await;
    findings.promise(now == lengths, format!("a registration is always as long as {lengths:?}, not {now:?}"));
    let slowest = all.times.max();
    let limit = run.unless_smoke(Duration::from_secs(4));
    findings.promise(slowest <= limit, format!("an answer within {limit:?}, not after {slowest:?}"));

    let (mut compared, mut complaints) = (Comparison::default(), Vec::new());
    for lane in &mut lanes {
        compared += lane.ledger.compare(&lane.service.stores()).await;
        complaints.extend(lane.ledger.complaints());
    }
    findings.compared(&compared, complaints);
    findings
}

impl Lane {
    async fn new(run: &Run, postgres: &PostgresServer, number: usize) -> Self {
        let database = TestDatabase::create_on(postgres);
        let proxy = Proxy::start(([127, 0, 0, 1], postgres.port()).into()).await;
        let url = format!("postgres://postgres@127.0.0.1:{}/{}?sslmode=disable", proxy.port(), database.name());
        let mut service = Service::new(run, &url);
        service.start().await;
        let client = service.client(&service.partner("Acme").key);
        let random = run.random(&format!("cuts {number}"));
        Self { service, proxy, client, ledger: Ledger::default(), random, number, registered: 0, _database: database }
    }

    /// How many bytes a registration takes each way on one connection.
    async fn lengths(&mut self) -> [(Kind, Direction, usize); 4] {
        let mut lengths = [
            (Kind::Once, Direction::ToServer, 0),
            (Kind::Once, Direction::ToClient, 0),
            (Kind::Always, Direction::ToServer, 0),
            (Kind::Always, Direction::ToClient, 0),
        ];
        for (kind, direction, length) in &mut lengths {
            *length = self.measure(*kind, *direction).await;
        }
        lengths
    }

    async fn measure(&mut self, kind: Kind, direction: Direction) -> usize {
        self.prepare(kind).await;
        self.proxy.count(direction);
        self.register(&mut Counts::default()).await;
        self.proxy.longest()
    }

    async fn work(&mut self, cases: Vec<Case>) -> Counts {
        let mut counts = Counts::default();
        for Case { kind, direction, position } in cases {
            self.prepare(kind).await;
            let how = [Cut::Close, Cut::Reset, Cut::Half][self.random.random_range(0..3)];
            match kind {
                Kind::Once => self.proxy.cut_after(direction, position, how),
                Kind::Always => self.proxy.cut_every_after(direction, position, how),
            }
            self.register(&mut counts).await;
        }
        counts.cut = self.proxy.cuts();
        counts
    }

    async fn prepare(&mut self, kind: Kind) {
        match kind {
            // The second one finds its statement prepared.
            Kind::Once => {
                for _ in 0..2 {
                    self.register(&mut Counts::default()).await;
                }
            }
            Kind::Always => self.proxy.cut_all(Cut::Close),
        }
    }

    /// Registers somebody, and after the first answer without any cut.
    async fn register(&mut self, counts: &mut Counts) {
        self.registered += 1;
        // Every registration is as long as any other, so that a position means the same in each.
        let number = format!("{}-{:05}", self.number, self.registered);
        let (name, request_id, email) =
            (format!("User {number}"), format!("c{number}"), format!("user{number}@example.com"));
        let deadline = Instant::now() + SETTLED_WITHIN;
        let mut refusals = 0;
        let settled = loop {
            let reply = match self.client.register_as(&request_id, &name, &email).await {
                Ok(reply) => reply,
                Err(error) => break Err(format!("no answer: {error:?}")),
            };
            if refusals == 0 {
                counts.times.add(reply.took);
                self.proxy.heal();
            }
            match reply.status {
                201 => {
                    counts.registered += usize::from(refusals == 0);
                    break self.is_there(&reply, &reply.body["data"]["userId"], &email).await;
                }
                409 if refusals > 0 => {
                    break self.is_there(&reply, &reply.body["error"]["existingUserId"], &email).await;
                }
                503 if reply.is_unavailable() && Instant::now() < deadline => {
                    counts.refused += usize::from(refusals == 0);
                    refusals += 1;
                }
                _ => break Err(format!("after {refusals} × 503: {} {}", reply.status, reply.body)),
            }
        };
        self.proxy.heal();
        match settled {
            Ok(user_id) => {
                self.ledger.acknowledge(&request_id, user_id, |_| Expected::registered(name, email));
            }
            Err(what) => self.ledger.complain(format!("{request_id}: {what}")),
        }
    }

    /// Whether the service has the user that it told of.
    async fn is_there(&mut self, told: &Reply, user_id: &serde_json::Value, email: &str) -> Result<UserId, String> {
        let id = user_id.as_str().and_then(|id| UserId::parse(id).ok());
        let id = id.ok_or_else(|| format!("{} without an id: {}", told.status, told.body))?;
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            match self.client.find(&id.to_string()).await {
                Ok(reply) if reply.status == 200 && reply.body["data"]["email"] == email => return Ok(id),
                Ok(reply) if reply.is_unavailable() && Instant::now() < deadline => {}
                answer => return Err(format!("after {}: {answer:?}", told.status)),
            }
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { registered, refused, cut, times } = other;
        self.registered += registered;
        self.refused += refused;
        self.cut += cut;
        self.times.append(times);
    }
}

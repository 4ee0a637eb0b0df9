//! The service's clock is moved while it works, by libfaketime; its monotonic clock goes on.

use std::{collections::HashMap, fs, path::PathBuf};

use serde_json::json;
use signet_domain::{AuditEntry, Timestamp, User, UserId, Version};
use signet_testkit::{PostgresServer, ServerOptions, TestDatabase};

use crate::{Client, Expected, Findings, Ledger, Run, Service, Writers, run::mix};

const WRITERS: usize = 8;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// How far the clock is from the right time, one after the other; each is a jump under writers.
const OFFSETS: [&str; 10] = ["+0", "+1h", "+0", "-1h", "+400d", "+0", "-400d", "+1h", "-1h", "+0"];
/// The first of them at which a key for two hours, and one for 500 days, is over.
const EXPIRED: [(&str, Option<usize>); 2] = [("2h", Some(4)), ("500d", None)];

pub(super) async fn on_sqlite(run: &Run) -> Findings {
    moved(run, Service::on_sqlite(run)).await
}

pub(super) async fn on_postgres(run: &Run) -> Findings {
    let postgres = PostgresServer::start_new(&ServerOptions { durable: true, ..ServerOptions::default() });
    let database = TestDatabase::create_on(&postgres);
    moved(run, Service::new(run, &postgres.url(database.name()))).await
}

async fn moved(run: &Run, mut service: Service) -> Findings {
    let mut findings = Findings::default();
    let Some(library) = library() else {
        findings.promise(false, "left out: no libfaketime; install it (on Debian: apt-get install libfaketime)");
        return findings;
    };
    let clock = Clock(service.directory().join("clock"));
    clock.set("+0");
    for (name, value) in [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.0.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("NO_FAKE_STAT", "1".to_owned()),
    ] {
        service.environment.push((name.to_owned(), value));
    }
    service.start().await;
    let partner = service.partner("Acme");
    let endpoint = service.endpoint(&partner.key);
    let mut expiring: Vec<_> = EXPIRED
        .iter()
        .map(|(life, over)| {
            let create = ["key", "create", "--name", "For a time", "--partner", &partner.id, "--expires-in", life];
            let key = service.command(&create)["apiKey"].as_str().expect("a key").to_owned();
            (life, over, service.client(&key))
        })
        .collect();
    let ledger = Ledger::default();
    let mut watched = Watched::register(Client::new(endpoint.clone()), &ledger).await;
    let writers = Writers::start(WRITERS, &[endpoint], &ledger, mix(run.seed, "clock")).await;
    for (step, offset) in OFFSETS.into_iter().enumerate() {
        clock.set(offset);
        for (life, over, client) in &mut expiring {
            let reply = client.get("/partner/v1/all-users?limit=1").await.expect("an answer");
            let expected = if over.is_some_and(|over| step >= over) { 401 } else { 200 };
            let seen = reply.status;
            let text = format!("step {step}, {offset}: a key for {life} gets {expected}, not {seen}");
            findings.promise(seen == expected, text);
        }
        for _ in 0..20 {
            watched.change(&ledger, &mut findings).await;
        }
        ledger.reached(ledger.acknowledged() + run.choose(50, 500, 5_000)).await;
    }
    writers.stop().await;
    // The past is no obstacle to a start, either.
    findings.promise(service.is_running(), "the service goes on running");
    service.stop();
    clock.set("-400d");
    service.start().await;
    for (life, over, client) in &mut expiring {
        let expected = if over.is_some() { 401 } else { 200 };
        let seen = client.get("/partner/v1/all-users?limit=1").await.expect("an answer").status;
        findings
            .promise(seen == expected, format!("started in the past, a key for {life} gets {expected}, not {seen}"));
    }
    watched.change(&ledger, &mut findings).await;
    service.stop();

    let stores = service.stores();
    let (users, entries) = (stores.users().await.expect("users"), stores.entries().await.expect("a trail"));
    let spread = spread(&users);
    findings
        .did(format!("{} jumps of ±1 h and ±400 days under {WRITERS} writers, and a start in the past", OFFSETS.len()));
    findings.measured(format!("registrations over {spread} days, {} entries of {} users", entries.len(), users.len()));
    findings.promise(spread >= 799, format!("the clock was moved by 400 days both ways: {spread} days in all"));
    let backwards = out_of_order(&entries);
    findings.measured(format!("{backwards} × a user's updatedAt or trail backwards"));
    findings.promise(backwards == 0, format!("{backwards} entries of users out of the order of their commits"));
    let compared = ledger.compare(&stores).await;
    findings.compared(&compared, ledger.complaints());
    findings
}

/// A file that libfaketime reads at each look at the clock.
struct Clock(PathBuf);

impl Clock {
    fn set(&self, offset: &str) {
        let next = self.0.with_extension("next");
        fs::write(&next, format!("{offset}\n")).expect("a file");
        fs::rename(&next, &self.0).expect("a file");
    }
}

/// That for programs with threads, where Debian has it.
fn library() -> Option<PathBuf> {
    let places = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// A user whose every change is looked at.
struct Watched {
    client: Client,
    id: UserId,
    changes: u64,
    updated_at: Timestamp,
}

impl Watched {
    async fn register(mut client: Client, ledger: &Ledger) -> Self {
        let (name, email) = ("Jane Doe", "watched@example.com");
        let reply = client.register_as("watched", name, email).await.expect("an answer");
        let id = UserId::parse(reply.body["data"]["userId"].as_str().expect("registered")).expect("an id");
        ledger.acknowledge("watched", id, |_| Expected::registered(name.to_owned(), email.to_owned()));
        Self { client, id, changes: 0, updated_at: updated_at(&reply.body["data"]) }
    }

    async fn change(&mut self, ledger: &Ledger, findings: &mut Findings) {
        self.changes += 1;
        let request_id = format!("watched-{}", self.changes);
        let body = json!({ "userId": self.id.to_string(), "metadata": { "n": self.changes } });
        let path = "/partner/v1/update-user";
        let reply = self.client.send("PATCH", path, Some(&request_id), Some(&body)).await.expect("an answer");
        let Some(data) = (reply.status == 200).then(|| &reply.body["data"]) else {
            return findings.promise(false, format!("an update, not {} {}", reply.status, reply.body));
        };
        let now = updated_at(data);
        findings.promise(now >= self.updated_at, format!("updatedAt {now} after {}", self.updated_at));
        self.updated_at = now;
        ledger.acknowledge(&request_id, self.id, |known| {
            let mut expected = known.expect("it was registered").clone();
            expected.metadata.insert("n".to_owned(), self.changes.into());
            expected.version += 1;
            expected
        });
    }
}

fn updated_at(data: &serde_json::Value) -> Timestamp {
    Timestamp::parse(data["updatedAt"].as_str().expect("a time")).expect("a time")
}

/// How many days lie between the first registration and the last.
fn spread(users: &[User]) -> i64 {
    let times = users.iter().map(|user| user.registered_at.unix_millis());
    (times.clone().max().unwrap_or_default() - times.min().unwrap_or_default()) / DAY
}

/// How many entries of a trail, newest first, are not older in time and version than the last one of their user.
fn out_of_order(entries: &[AuditEntry]) -> usize {
    let mut last: HashMap<UserId, (Version, Timestamp)> = HashMap::new();
    let mut wrong = 0;
    for entry in entries {
        let newer = last.insert(entry.user_id, (entry.version, entry.occurred_at));
        let is_next = |(version, at)| entry.version.next() == version && entry.occurred_at <= at;
        wrong += usize::from(!newer.is_none_or(is_next));
    }
    wrong
}

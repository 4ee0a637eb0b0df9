use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};
use signet_domain::{Status, UserId};
use tokio::{sync::watch, task::JoinSet};

use crate::{Client, Endpoint, Ledger, Reply, ledger::Expected, run::mix};

/// How many writers share a user that all of them change.
const GROUP: usize = 8;
/// For how long a writer insists on one change before it is a complaint.
const INSISTENCE: Duration = Duration::from_mins(2);

/// Clients that register, update, remove and restore users, each as fast as it is answered, and note in a ledger what
/// was acknowledged. After a `503` or a broken connection they ask for the very same change again, with the same request
/// id, until they know what became of it.
///
/// Most users belong to one writer. Some are changed by several at once, each in a member of the metadata of its own,
/// so that it is known what must be there whoever comes last.
pub struct Writers {
    active: watch::Sender<usize>,
    tasks: JoinSet<()>,
}

impl Writers {
    /// Starts so many, spread over the endpoints. The service must be ready.
    ///
    /// # Panics
    /// Where the users that several share cannot be registered.
    pub async fn start(count: usize, endpoints: &[Endpoint], ledger: &Ledger, seed: u64) -> Self {
        let (active, watched) = watch::channel(count);
        let mut tasks = JoinSet::new();
        let mut shared = Vec::new();
        for number in 0..count {
            let random = StdRng::seed_from_u64(mix(seed, number));
            let client = Client::new(endpoints[number % endpoints.len()].clone());
            let ledger = ledger.clone();
            let mut writer = Writer { number, made: 0, client, random, ledger, own: Vec::new(), shared: None };
            // Writers of one endpoint, which means one partner, share.
            let place = number % endpoints.len() + number / (endpoints.len() * GROUP) * endpoints.len();
            if place >= shared.len() {
                shared.resize(place + 1, None);
            }
            if shared[place].is_none() {
                writer.register().await;
                shared[place] = writer.own.pop();
            }
            writer.shared = shared[place];
            assert!(writer.shared.is_some(), "the service is not ready: {:?}", writer.ledger.complaints());
            tasks.spawn(writer.work(watched.clone()));
        }
        Self { active, tasks }
    }

    /// Has only so many go on, until the next word.
    pub fn limit(&self, count: usize) {
        self.active.send_replace(count.max(1));
    }

    /// Lets each of them bring its change to an end.
    ///
    /// # Panics
    /// Where one has panicked.
    pub async fn stop(mut self) {
        self.active.send_replace(0);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a writer does not panic");
        }
    }
}

struct Writer {
    number: usize,
    made: u64,
    client: Client,
    random: StdRng,
    ledger: Ledger,
    own: Vec<UserId>,
    shared: Option<UserId>,
}

/// What to ask for, and what it makes of the user.
struct Change {
    request_id: String,
    method: &'static str,
    path: &'static str,
    body: Value,
}

/// What an answer means.
enum Meaning {
    /// It is done, to this user.
    Done(UserId),
    /// Ask again.
    Unknown,
    /// The service must not say so.
    Wrong(String),
}

impl Writer {
    async fn work(mut self, mut active: watch::Receiver<usize>) {
        while *active.borrow_and_update() > 0 {
            if *active.borrow() > self.number {
                self.step().await;
            } else if active.changed().await.is_err() {
                return;
            }
        }
    }

    async fn step(&mut self) {
        let chosen = (!self.own.is_empty()).then(|| self.own[self.random.random_range(0..self.own.len())]);
        match (self.random.random_range(0..10), chosen) {
            (0..4, _) | (_, None) => self.register().await,
            (4, _) => self.note().await,
            (_, Some(user_id)) => self.change(user_id).await,
        }
    }

    async fn register(&mut self) {
        let number = self.next();
        let name = format!("User {number} of writer {}", self.number);
        let email = format!("user{number}@writer{}.example", self.number);
        let metadata = json!({ "n": number });
        let body = json!({ "name": name, "email": email, "metadata": metadata });
        let registered =
            Expected { name, email, status: Status::Active, removed: false, metadata: object(metadata), version: 1 };
        let change = self.ask("POST", "/partner/v1/register-user", body);
        if let Some(user_id) = self.insist(&change, None).await {
            self.ledger.acknowledge(&change.request_id, user_id, |_| registered);
            self.own.push(user_id);
        }
    }

    /// Updates, removes or restores a user of its own.
    async fn change(&mut self, user_id: UserId) {
        let Some(mut expected) = self.ledger.expected(user_id) else { return };
        let number = self.next();
        let id = user_id.to_string();
        let (method, path, body) = match self.random.random_range(0..6) {
            0 if !expected.removed => {
                expected.removed = true;
                expected.status = Status::Inactive;
                ("DELETE", "/partner/v1/remove-user", json!({ "userId": id }))
            }
            kind => {
                let status = [Status::Active, Status::Suspended, Status::Inactive][kind % 3];
                expected.removed &= status == Status::Inactive;
                expected.status = status;
                expected.name = format!("User after {number} of writer {}", self.number);
                expected.metadata.insert("n".to_owned(), number.into());
                let body = json!({
                    "userId": id, "name": expected.name, "status": status.as_str(), "metadata": { "n": number },
                });
                ("PATCH", "/partner/v1/update-user", body)
            }
        };
        expected.version += 1;
        let change = self.ask(method, path, body);
        if self.insist(&change, Some(&expected)).await.is_some() {
            self.ledger.acknowledge(&change.request_id, user_id, |_| expected);
        }
    }

    /// Changes the user that it shares with others.
    async fn note(&mut self) {
        let Some(user_id) = self.shared else { return };
        let number = self.next();
        let member = format!("w{}", self.number);
        let body = json!({ "userId": user_id.to_string(), "metadata": { &member: number } });
        let change = self.ask("PATCH", "/partner/v1/update-user", body);
        if self.insist(&change, None).await.is_some() {
            self.ledger.acknowledge(&change.request_id, user_id, |known| {
                let mut expected = known.expect("it was registered").clone();
                expected.metadata.insert(member, number.into());
                expected.version += 1;
                expected
            });
        }
    }

    fn ask(&self, method: &'static str, path: &'static str, body: Value) -> Change {
        Change { request_id: format!("w{}-{}", self.number, self.made), method, path, body }
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// Asks until it knows; the user it concerned. An answer that tells of a user must tell of `expected`.
    async fn insist(&mut self, change: &Change, expected: Option<&Expected>) -> Option<UserId> {
        let deadline = tokio::time::Instant::now() + INSISTENCE;
        let mut is_first = true;
        while tokio::time::Instant::now() < deadline {
            let Change { request_id, method, path, body } = change;
            let answer = self.client.send(method, path, Some(request_id), Some(body)).await;
            self.ledger.attempted(&answer);
            let meaning = match &answer {
                Ok(reply) => self.read(change, reply, is_first, expected).await,
                Err(_) => Meaning::Unknown,
            };
            match meaning {
                Meaning::Done(user_id) => return Some(user_id),
                Meaning::Wrong(what) => {
                    self.ledger.complain(format!("{method} {path} {request_id}: {what}"));
                    return None;
                }
                Meaning::Unknown => {}
            }
            is_first = false;
            let pause = self.random.random_range(10..60);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        self.ledger.complain(format!("{} {}: not settled in {INSISTENCE:?}", change.method, change.request_id));
        None
    }

    async fn read(&mut self, change: &Change, reply: &Reply, is_first: bool, expected: Option<&Expected>) -> Meaning {
        let seen = || format!("{} {}", reply.status, reply.body);
        let told = |value: &Value| value.as_str().and_then(|text| UserId::parse(text).ok());
        match reply.status {
            200 | 201 => match (told(&reply.body["data"]["userId"]), expected) {
                (None, _) => Meaning::Wrong(seen()),
                (Some(_), Some(expected)) if !tells(&reply.body["data"], expected) => Meaning::Wrong(seen()),
                (Some(user_id), _) => Meaning::Done(user_id),
            },
            // An attempt before this one was successful, and its answer was lost.
            409 if !is_first && change.method == "POST" => match told(&reply.body["error"]["existingUserId"]) {
                Some(user_id) => self.find(user_id, &change.body).await,
                None => Meaning::Wrong(seen()),
            },
            503 if reply.is_unavailable() => Meaning::Unknown,
            _ => Meaning::Wrong(seen()),
        }
    }

    /// Whether that user is the one that was asked for.
    async fn find(&mut self, user_id: UserId, wanted: &Value) -> Meaning {
        match self.client.find(&user_id.to_string()).await {
            Ok(reply) if reply.status == 200 && reply.body["data"]["email"] == wanted["email"] => {
                Meaning::Done(user_id)
            }
            Ok(reply) if reply.status != 503 => Meaning::Wrong(format!("{wanted} is {} {}", reply.status, reply.body)),
            _ => Meaning::Unknown,
        }
    }
}

/// Whether what an answer tells of a user is so. That to a removal tells less.
fn tells(data: &Value, expected: &Expected) -> bool {
    let is = |field: &str, value: Value| data.get(field).is_none_or(|told| *told == value);
    data["status"] == expected.status.as_str()
        && data.get("removedAt").is_some() == expected.removed
        && is("name", expected.name.clone().into())
        && is("metadata", Value::Object(expected.metadata.clone()))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

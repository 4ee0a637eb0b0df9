use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{Client, Endpoint, NoReply, Reply, Times, run::mix};

/// How long a client waits after anything but a success.
const PAUSE: Duration = Duration::from_millis(20);

/// Clients that read and update users, each as fast as it is answered, and note when and how: for what must be seen
/// over time.
pub struct Load {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was begun.
    pub begun: Instant,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A success.
    Done,
    /// `503` with `Retry-After`.
    Unavailable,
    /// Any other answer, or none.
    Wrong(String),
}

/// The requests of a part of the time.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// How long the answers took, good and bad.
    pub times: Times,
    /// How many were successful.
    pub done: usize,
    /// How many were `503`.
    pub unavailable: usize,
    /// What else there was.
    pub wrong: Vec<String>,
    length: Duration,
}

impl Load {
    /// Starts so many clients on so many users, which are registered first.
    ///
    /// # Panics
    /// Where they cannot be.
    pub async fn start(clients: usize, users: usize, endpoint: &Endpoint, seed: u64) -> Self {
        let mut client = Client::new(endpoint.clone());
        let mut ids = Vec::new();
        for number in 0..users {
            let reply = client.register("John Doe", &format!("load{number}@example.com")).await.expect("an answer");
            ids.push(reply.body["data"]["userId"].as_str().expect("registered").to_owned());
        }
        let (ids, samples, stop) = (Arc::new(ids), Arc::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let caller = Caller {
                client: Client::new(endpoint.clone()),
                random: StdRng::seed_from_u64(mix(seed, number)),
                ids: Arc::clone(&ids),
                samples: Arc::clone(&samples),
                stop: Arc::clone(&stop),
            };
            tasks.spawn(caller.call());
        }
        Self { samples, stop, tasks }
    }

    /// What was begun from `from` on and before `to`, and has ended by now.
    #[must_use]
    pub fn between(&self, from: Instant, to: Instant) -> Window {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut window = Window { length: to - from, ..Window::default() };
        for sample in samples.iter().filter(|sample| sample.begun >= from && sample.begun < to) {
            window.times.add(sample.took);
            match &sample.outcome {
                Outcome::Done => window.done += 1,
                Outcome::Unavailable => window.unavailable += 1,
                Outcome::Wrong(what) => window.wrong.push(what.clone()),
            }
        }
        window
    }

    /// When the last request was begun that was not successful.
    #[must_use]
    pub fn last_failure(&self) -> Option<Instant> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().filter(|sample| sample.outcome != Outcome::Done).map(|sample| sample.begun).max()
    }

    /// Lets each client bring its request to an end.
    ///
    /// # Panics
    /// Where one has panicked.
    pub async fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client does not panic");
        }
    }
}

impl Window {
    /// Successful answers per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let done = u32::try_from(self.done).unwrap_or(u32::MAX);
        f64::from(done) / self.length.as_secs_f64()
    }
}

struct Caller {
    client: Client,
    random: StdRng,
    ids: Arc<Vec<String>>,
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
}

impl Caller {
    async fn call(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let begun = Instant::now();
            let outcome = outcome(&self.ask().await);
            let is_done = outcome == Outcome::Done;
            let sample = Sample { begun, took: begun.elapsed(), outcome };
            self.samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            if !is_done {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn ask(&mut self) -> Result<Reply, NoReply> {
        let id = &self.ids[self.random.random_range(0..self.ids.len())];
        if self.random.random_ratio(7, 10) {
            return self.client.find(id).await;
        }
        let number = self.random.random::<u32>();
        let body = json!({ "userId": id, "metadata": { "n": number } });
        self.client.send("PATCH", "/partner/v1/update-user", None, Some(&body)).await
    }
}

pub(crate) fn outcome(answer: &Result<Reply, NoReply>) -> Outcome {
    match answer {
        Ok(reply) if reply.status < 300 => Outcome::Done,
        Ok(reply) if reply.is_unavailable() => Outcome::Unavailable,
        Ok(reply) => Outcome::Wrong(format!("{} {}", reply.status, reply.body)),
        Err(error) => Outcome::Wrong(format!("{error:?}")),
    }
}

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{Client, Endpoint, Outcome, Sample, Times, load::outcome};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(1);
/// Who could not look for longer was on a machine that stood still. What was due meanwhile is left out: thousands of
/// connections in one moment would be another test.
const STANDSTILL: Duration = Duration::from_secs(1);

/// When requests are begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// So many a second, by the clock, whatever is still unanswered.
    Open(f64),
    /// One whenever fewer than so many are unanswered.
    Closed(usize),
}

/// What is asked for.
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// Another key than that of the endpoint.
    pub(crate) key: Option<String>,
}

/// What became of all requests that were due in that time.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    length: Duration,
    /// The times of the successes.
    pub(crate) done: Times,
    /// The times of the refusals with `503` and `Retry-After`.
    pub(crate) shed: Times,
    pub(crate) wrong: Vec<String>,
}

/// Asks on as many connections as that needs, each kept for one request after the other, for so long; a time is counted
/// from when the request was due. It returns when the last is answered.
pub(crate) async fn ask(
    pace: Pace,
    length: Duration,
    endpoint: &Endpoint,
    mut what: impl FnMut(u64) -> Ask + Send,
) -> Outcomes {
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let mut outcomes = Outcomes { length, ..Outcomes::default() };
    let mut tasks = JoinSet::new();
    let (begun, mut number) = (Instant::now(), 0_u32);
    let (mut looked, mut stood_still) = (begun, Duration::ZERO);
    loop {
        let now = Instant::now();
        if now >= begun + length {
            break;
        }
        let gap = now.duration_since(looked);
        if gap > STANDSTILL {
            stood_still += gap;
        }
        looked = now;
        while let Some(ended) = tasks.try_join_next() {
            outcomes.add(ended.expect("a request does not panic"));
        }
        loop {
            let due = match pace {
                Pace::Closed(most) if tasks.len() < most => now,
                Pace::Closed(_) => break,
                Pace::Open(rate) => begun + stood_still + Duration::from_secs_f64(f64::from(number) / rate),
            };
            if due > now {
                break;
            }
            let known = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut client = known.unwrap_or_else(|| Client::new(endpoint.clone()));
            let Ask { method, path, body, key } = what(u64::from(number));
            if let Some(key) = key {
                client.use_key(key);
            }
            let idle = Arc::clone(&idle);
            tasks.spawn(async move {
                let answer = client.send(method, &path, None, body.as_ref()).await;
                let sample = Sample { begun: due, took: due.elapsed(), outcome: outcome(&answer) };
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
                sample
            });
            number += 1;
        }
        tokio::time::sleep(TICK).await;
    }
    while let Some(ended) = tasks.join_next().await {
        outcomes.add(ended.expect("a request does not panic"));
    }
    outcomes
}

impl Outcomes {
    fn add(&mut self, sample: Sample) {
        match sample.outcome {
            Outcome::Done => self.done.add(sample.took),
            Outcome::Unavailable => self.shed.add(sample.took),
            Outcome::Wrong(what) => self.wrong.push(what),
        }
    }

    /// Those of another time, too.
    pub(crate) fn append(&mut self, other: Self) {
        self.length += other.length;
        self.done.append(other.done);
        self.shed.append(other.shed);
        self.wrong.extend(other.wrong);
    }

    /// Successes per second.
    pub(crate) fn goodput(&self) -> f64 {
        f64::from(u32::try_from(self.done.len()).unwrap_or(u32::MAX)) / self.length.as_secs_f64()
    }
}

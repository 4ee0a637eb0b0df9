use std::{
    any::Any,
    hash::{DefaultHasher, Hash, Hasher},
    panic::AssertUnwindSafe,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use rand::{SeedableRng, rngs::StdRng};

use crate::Findings;

/// How often it is looked whether the machine stands still, and from when on that is told.
const PULSE: Duration = Duration::from_millis(50);
const NOTEWORTHY: Duration = Duration::from_millis(500);

/// How much is done of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Seconds, for the tests, with a program that is not optimised.
    Smoke,
    /// Minutes.
    Short,
    /// The full counts.
    Full,
}

/// What every scenario is given.
#[derive(Debug, Clone)]
pub struct Run {
    /// The program.
    pub signet: PathBuf,
    /// What all randomness comes from.
    pub seed: u64,
    /// How much to do.
    pub scale: Scale,
}

impl Run {
    /// The one of three amounts that is meant for the scale of this run.
    pub fn choose<T>(&self, smoke: T, short: T, full: T) -> T {
        match self.scale {
            Scale::Smoke => smoke,
            Scale::Short => short,
            Scale::Full => full,
        }
    }

    /// A limit in time. A smoke runs beside many other tests, on a program that is not optimised: there, anything within
    /// a minute will do.
    #[must_use]
    pub fn unless_smoke(&self, limit: Duration) -> Duration {
        self.choose(Duration::from_mins(1), limit, limit)
    }

    /// Randomness of its own for whatever has that name, the same in every run with the same seed.
    #[must_use]
    pub fn random(&self, name: &str) -> StdRng {
        StdRng::seed_from_u64(mix(self.seed, name))
    }
}

/// A seed for a part of something that has the seed `seed`.
pub(crate) fn mix(seed: u64, part: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, part).hash(&mut hasher);
    hasher.finish()
}

type Ran<'a> = Pin<Box<dyn Future<Output = Findings> + 'a>>;

/// One kind of fault, and what must hold under it.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Names it on the command line.
    pub name: &'static str,
    /// The fault, for the table.
    pub fault: &'static str,
    /// Does it. It may block: clients and proxies run on other threads. It may panic where something fails that is
    /// not the service.
    pub run: for<'a> fn(&'a Run) -> Ran<'a>,
}

impl Scenario {
    /// What it found; a panic is a broken promise. Where the whole machine stood still meanwhile, which no time that
    /// was measured survives, it tells that, too.
    pub async fn run(&self, run: &Run) -> Findings {
        let pause = Arc::<AtomicU64>::default();
        let pulse = tokio::spawn(feel(Arc::clone(&pause)));
        let mut findings = AssertUnwindSafe((self.run)(run)).catch_unwind().await.unwrap_or_else(|panic| {
            let mut findings = Findings::default();
            findings.promise(false, format!("the scenario itself failed: {}", message(&*panic)));
            findings
        });
        pulse.abort();
        let pause = Duration::from_millis(pause.load(Ordering::Relaxed));
        if pause > NOTEWORTHY {
            findings.measured(format!("the machine itself stood still for {:.1} s", pause.as_secs_f64()));
        }
        findings
    }
}

/// Notes the longest time, in milliseconds, for which a task that wanted to run could not.
async fn feel(longest: Arc<AtomicU64>) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(PULSE).await;
        let late = begun.elapsed().saturating_sub(PULSE);
        longest.fetch_max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// What programs have written until now, line by line. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Lines {
    /// What stands in place of a next line once the last process that could write one has closed the pipe.
    pub const END: &str = "[the end]";

    /// Reads `pipe` to its end, on a thread that ends there.
    pub fn follow(&self, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
            lines.push(Self::END.to_owned());
        })
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What `wanted` makes of the first line from `start` on that it takes, waited for if it is still to come.
    ///
    /// # Panics
    /// After a minute, with what was written instead.
    pub fn wait_for<T>(&self, start: usize, wanted: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lock();
        loop {
            if let Some(found) = lines.iter().skip(start).find_map(|line| wanted(line)) {
                return found;
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            assert!(!rest.is_zero(), "what was expected did not come, but:\n{}", lines.join("\n"));
            lines = self.0.grown.wait_timeout(lines, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn push(&self, line: String) {
        self.lock().push(line);
        self.0.grown.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

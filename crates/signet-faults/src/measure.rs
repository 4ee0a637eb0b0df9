use std::time::Duration;

/// How long things took.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Notes one more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Notes all of others.
    pub fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The longest; zero where there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    /// How many are longer than that.
    #[must_use]
    pub fn beyond(&self, limit: Duration) -> usize {
        self.0.iter().filter(|time| **time > limit).count()
    }

    /// The time that so many in a thousand do not exceed; zero where there is none.
    #[must_use]
    pub fn per_mille(&self, share: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * share).div_ceil(1000).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_of_the_sorted_times() {
        let mut times = Times::default();
        assert_eq!((times.per_mille(990), times.max()), (Duration::ZERO, Duration::ZERO));
        for millis in (1..=100).rev() {
            times.add(Duration::from_millis(millis));
        }
        let of = |share| times.per_mille(share).as_millis();
        let beyond = |millis| times.beyond(Duration::from_millis(millis));
        assert_eq!((beyond(0), beyond(99), beyond(100)), (100, 1, 0));
        assert_eq!((of(500), of(990), of(991), of(1000), of(0)), (50, 99, 100, 100, 1));
    }
}

/// A straight line through samples, by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Trend {
    /// How much `y` grows with each unit of `x`.
    pub(crate) slope: f64,
    /// How far the slope may be off, with a confidence of 95 %: 1.96 standard errors, which is a little less than it
    /// should be for few samples.
    pub(crate) margin: f64,
}

impl Trend {
    /// `None` for fewer than three samples, or all of them at the same `x`.
    pub(crate) fn of(samples: &[(f64, f64)]) -> Option<Self> {
        let count = f64::from(u32::try_from(samples.len()).ok()?);
        let mean = |value: fn(&(f64, f64)) -> f64| samples.iter().map(value).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let spread: f64 = samples.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if samples.len() < 3 || spread == 0.0 {
            return None;
        }
        let slope = samples.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
        let left: f64 = samples.iter().map(|(x, y)| (y - mean_y - slope * (x - mean_x)).powi(2)).sum();
        Some(Self { slope, margin: 1.96 * (left / (count - 2.0) / spread).sqrt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_noise_has_none() {
        let line: Vec<_> = (0..10).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        let trend = Trend::of(&line).expect("a line");
        assert!((trend.slope - 2.0).abs() < 1e-9 && trend.margin < 1e-9, "{trend:?}");
        let noise: Vec<_> = (0..100).map(|x| (f64::from(x), f64::from(x % 2))).collect();
        let trend = Trend::of(&noise).expect("a line");
        assert!(trend.slope.abs() < trend.margin, "{trend:?}");
        assert_eq!(Trend::of(&line[..2]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]), None);
    }
}

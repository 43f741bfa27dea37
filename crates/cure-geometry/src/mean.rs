use serde::{Deserialize, Serialize};

/// A mean over samples, with the 95 % interval of the mean by Student's t.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The middle one of the values, or the mean of the two in the middle.
    pub median: f64,
    /// The 95 % interval of the mean, which has no sign that no value has; the mean alone where there is one
    /// value.
    pub ci95: [f64; 2],
    /// How many values there are.
    pub n: usize,
    /// How many more were not finite, and left out.
    pub left_out: usize,
}

impl Mean {
    /// The mean of those of `values` that are finite; none if there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        finite.sort_by(f64::total_cmp);
        let n = finite.len();
        let (&upper, &lower) = (finite.get(n / 2)?, finite.get(n.checked_sub(1)? / 2)?);
        let mean = finite.iter().sum::<f64>() / n as f64;
        let squares: f64 = finite.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self {
            mean,
            median: (lower + upper) / 2.0,
            ci95: interval(mean, squares, n, [finite[0], finite[n - 1]]),
            n,
            left_out: values.len() - n,
        })
    }

    /// With an interval inside [low, high], where all values are by nature.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { ci95: self.ci95.map(|end| end.clamp(low, high)), ..self }
    }
}

/// The 95 % interval of a mean of n values with this sum of squared deviations, whose least and largest are
/// `ends`.
fn interval(mean: f64, squares: f64, n: usize, ends: [f64; 2]) -> [f64; 2] {
    let half = match n {
        0 | 1 => 0.0,
        _ => student(n - 1) * (squares / (n - 1) as f64 / n as f64).sqrt(),
    };
    let least = if ends[0] >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let most = if ends[1] <= 0.0 { 0.0 } else { f64::INFINITY };
    [(mean - half).max(least), (mean + half).min(most)]
}

/// A mean in the making, of finite values that are not kept (Welford's sums).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningMean {
    n: usize,
    mean: f64,
    squares: f64,
    ends: [f64; 2],
}

impl Default for RunningMean {
    fn default() -> Self {
        Self { n: 0, mean: 0.0, squares: 0.0, ends: [f64::INFINITY, f64::NEG_INFINITY] }
    }
}

impl RunningMean {
    /// Takes in a value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.mean;
        self.mean += before / self.n as f64;
        self.squares += before * (value - self.mean);
        self.ends = [self.ends[0].min(value), self.ends[1].max(value)];
    }

    /// The mean of what came; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Its 95 % interval, as [`Mean::ci95`].
    pub fn ci95(&self) -> [f64; 2] {
        interval(self.mean, self.squares, self.n, self.ends)
    }

    /// How many values came.
    pub fn n(&self) -> usize {
        self.n
    }
}

/// The 0.975 quantile of Student's t: a table, and from 10 degrees of freedom on the expansion of
/// Cornish and Fisher, which is then right to four digits.
pub(crate) fn student(degrees: usize) -> f64 {
    const FEW: [f64; 9] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];
    const Z: f64 = 1.959_963_984_540_054;
    if let Some(few) = FEW.get(degrees.saturating_sub(1)) {
        return *few;
    }
    let (n, z2) = (degrees as f64, Z * Z);
    let first = (z2 + 1.0) / 4.0;
    let second = (5.0 * z2 * z2 + 16.0 * z2 + 3.0) / 96.0;
    let third = (3.0 * z2.powi(3) + 19.0 * z2 * z2 + 17.0 * z2 - 15.0) / 384.0;
    Z * (1.0 + first / n + second / (n * n) + third / n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::{Mean, RunningMean, student};

    #[test]
    fn quantiles_of_the_tables() {
        for (degrees, expected) in
            [(1, 12.706), (4, 2.776), (9, 2.262), (10, 2.228), (19, 2.093), (99, 1.984)]
        {
            assert!((student(degrees) - expected).abs() < 5e-4, "{degrees}: {}", student(degrees));
        }
    }

    #[test]
    fn a_mean_with_its_interval() {
        // Deviation √2.5, t = 2.7764: half a width of 1.9632.
        let found = Mean::of(&[1.0, f64::NAN, 5.0, 2.0, 4.0, 3.0]).unwrap_or(EMPTY);
        assert_eq!((found.mean, found.median, found.n, found.left_out), (3.0, 3.0, 5, 1));
        let half = 2.7764 * (2.5f64 / 5.0).sqrt();
        assert!(
            (found.ci95[0] - 3.0 + half).abs() < 1e-9 && (found.ci95[1] - 3.0 - half).abs() < 1e-9
        );
        // What is never below 0 has no mean below 0 either; what is may have.
        assert_eq!(Mean::of(&[0.0, 0.0, 9.0]).unwrap_or(EMPTY).ci95[0], 0.0);
        assert!(Mean::of(&[-0.1, 0.0, 9.0]).unwrap_or(EMPTY).ci95[0] < -1.0);
        assert_eq!(Mean::of(&[0.0, 0.0, -9.0]).unwrap_or(EMPTY).ci95[1], 0.0);
        let share = Mean::of(&[1.0, 0.9, 0.4]).unwrap_or(EMPTY);
        assert!(share.ci95[1] > 1.0 && share.within(0.0, 1.0).ci95[1] == 1.0);
        assert_eq!(Mean::of(&[4.0, 1.0]).unwrap_or(EMPTY).median, 2.5);
        assert_eq!(Mean::of(&[7.0]).unwrap_or(EMPTY).ci95, [7.0, 7.0]);
        assert_eq!(Mean::of(&[f64::NAN]), None);
    }

    #[test]
    fn a_running_mean_is_the_mean() {
        for values in [&[3.0, 1.0, 4.0, 1.5][..], &[-2.0, -9.0], &[7.0]] {
            let mut running = RunningMean::default();
            values.iter().for_each(|&value| running.add(value));
            let expected = Mean::of(values).unwrap_or(EMPTY);
            assert!((running.mean() - expected.mean).abs() < 1e-12 && running.n() == expected.n);
            for (found, expected) in running.ci95().iter().zip(expected.ci95) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }

    const EMPTY: Mean = Mean { mean: f64::NAN, median: 0.0, ci95: [0.0; 2], n: 0, left_out: 0 };
}

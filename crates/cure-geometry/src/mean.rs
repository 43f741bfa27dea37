use serde::{Deserialize, Serialize};

/// A mean over samples, with the 95 % interval of the mean by Student's t.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The middle one of the values, or the mean of the two in the middle.
    pub median: f64,
    /// The 95 % interval of the mean, which does not go below 0 where no value does; the mean alone
    /// where there is one value.
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
        let half = match n {
            1 => 0.0,
            _ => student(n - 1) * (squares / (n - 1) as f64 / n as f64).sqrt(),
        };
        let low = mean - half;
        let least = if finite[0] >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Some(Self {
            mean,
            median: (lower + upper) / 2.0,
            ci95: [low.max(least), mean + half],
            n,
            left_out: values.len() - n,
        })
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
    use super::{Mean, student};

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
        assert_eq!(Mean::of(&[4.0, 1.0]).unwrap_or(EMPTY).median, 2.5);
        assert_eq!(Mean::of(&[7.0]).unwrap_or(EMPTY).ci95, [7.0, 7.0]);
        assert_eq!(Mean::of(&[f64::NAN]), None);
    }

    const EMPTY: Mean = Mean { mean: f64::NAN, median: 0.0, ci95: [0.0; 2], n: 0, left_out: 0 };
}

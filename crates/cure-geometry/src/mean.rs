use serde::{Deserialize, Serialize};

/// A mean over samples, with the 95 % interval of the mean by the normal approximation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The middle one of the values, or the mean of the two in the middle.
    pub median: f64,
    /// The 95 % interval of the mean; the mean alone where there is one value.
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
            _ => 1.959_963_984_540_054 * (squares / (n - 1) as f64 / n as f64).sqrt(),
        };
        Some(Self {
            mean,
            median: (lower + upper) / 2.0,
            ci95: [mean - half, mean + half],
            n,
            left_out: values.len() - n,
        })
    }
}

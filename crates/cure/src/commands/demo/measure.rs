//! How strongly the loss curves around the test images.

use cure_data::Dataset;
use cure_network::Network;
use cure_tensor::ops;
use cure_training::{CureOptions, SampleStreams, regularizer};
use serde::Serialize;

use super::recipe::H;
use crate::failure::{Blame, Outcome};

/// Images a batch: memory, never results.
const BATCH: usize = 128;

/// A mean over the test images, with the 95 % interval that the normal distribution gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Mean {
    pub(super) mean: f64,
    pub(super) ci95: [f64; 2],
    pub(super) n: usize,
}

impl Mean {
    fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let half = 1.96 * (square / (n - 1.0).max(1.0) / n).sqrt();
        // Lengths are not negative.
        Self { mean, ci95: [(mean - half).max(0.0), mean + half], n: values.len() }
    }
}

/// The regulariser where nothing was trained on, not squared, over pixels in [0, 1].
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Curvature {
    /// h, an ℓ2 length over pixels in [0, 1].
    h: f64,
    /// ‖∇ℓ(x + hz) − ∇ℓ(x)‖, z = sign(∇ℓ)/‖sign(∇ℓ)‖.
    pub(super) regularizer: Mean,
    /// ‖∇ℓ(x)‖.
    pub(super) gradient: Mean,
}

impl Curvature {
    /// Measured at every image, with the h that CURE ends with.
    pub(super) fn of(network: &Network, images: &Dataset, seed: u64) -> Outcome<Self> {
        let (mut values, mut gradients) = (Vec::new(), Vec::new());
        let positions: Vec<usize> = (0..images.len()).collect();
        for part in positions.chunks(BATCH) {
            let batch = images.batch(part).failed()?;
            let streams = SampleStreams { seed, epoch: 0, indices: &batch.indices };
            let options = CureOptions::default();
            let (terms, ..) =
                regularizer(&options, network, &batch.images, &batch.labels, H, &streams)
                    .failed()?;
            gradients.extend(ops::sample_l2(&terms.gradient).failed()?);
            values.extend(terms.values);
        }
        Ok(Self { h: H, regularizer: Mean::of(&values), gradient: Mean::of(&gradients) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_and_its_interval() {
        // Deviation 2, standard error 1.
        let found = Mean::of(&[1.0, 1.0, 5.0, 5.0].map(|value: f64| value * 3f64.sqrt() / 2.0));
        assert!((found.mean - 3.0 * 3f64.sqrt() / 2.0).abs() < 1e-12);
        assert!((found.ci95[1] - found.mean - 1.96).abs() < 1e-12, "{found:?}");
        assert_eq!(Mean::of(&[2.0]).ci95, [2.0, 2.0]);
    }
}

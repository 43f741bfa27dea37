//! Random initial states.

use cure_tensor::Tensor;
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::Result;
use crate::layout::{ParameterSpec, Role};

/// One tensor for each specification, from one stream of random numbers.
pub(crate) fn tensors(specs: &[ParameterSpec], seed: u64) -> Result<Vec<Tensor>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    specs
        .iter()
        .map(|spec| {
            let count = spec.shape.iter().product();
            let values = match (spec.role, &spec.shape[..]) {
                // He et al. 2015 (fan out), as the published CIFAR code does.
                (Role::Weight, &[out, _, kh, kw]) => {
                    normal(&mut random, count, (2.0 / (out * kh * kw) as f64).sqrt())
                }
                // PyTorch's default for linear layers.
                (Role::Weight, shape) => {
                    let fan_in = shape.get(1).copied().unwrap_or(1).max(1);
                    uniform(&mut random, count, 1.0 / (fan_in as f64).sqrt())
                }
                (Role::Bias { fan_in }, _) => {
                    uniform(&mut random, count, 1.0 / (fan_in.max(1) as f64).sqrt())
                }
                (Role::Scale | Role::RunningVariance, _) => vec![1.0; count],
                (Role::Shift | Role::RunningMean, _) => vec![0.0; count],
            };
            Ok(Tensor::new(&spec.shape, values)?)
        })
        .collect()
}

fn uniform(random: &mut ChaCha8Rng, count: usize, bound: f64) -> Vec<f32> {
    (0..count).map(|_| ((2.0 * random.random::<f64>() - 1.0) * bound) as f32).collect()
}

/// Box and Muller's transform.
fn normal(random: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    (0..count)
        .map(|_| {
            // In (0, 1]: its logarithm is finite.
            let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
            let angle = std::f64::consts::TAU * random.random::<f64>();
            (deviation * radius * angle.cos()) as f32
        })
        .collect()
}

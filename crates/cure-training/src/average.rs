//! The exponential moving average of a network's weights (Polyak & Juditsky 1992; for training of
//! robust networks Izmailov et al. 2018, Gowal et al. 2020).

use cure_network::Network;
use cure_tensor::ops;

use crate::error::{Result, TrainingError};

/// A moving average of weights. Everything in a network's state is averaged, BatchNorm's running
/// statistics too: the average is a network of its own.
#[derive(Clone)]
pub struct Average {
    network: Network,
    updates: u64,
}

impl Average {
    /// The average of `network` alone.
    pub fn new(network: Network) -> Self {
        Self { network, updates: 0 }
    }

    /// An average that goes on from a saved state.
    pub(crate) fn from_state(network: Network, updates: u64) -> Self {
        Self { network, updates }
    }

    /// The averaged network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How often it was updated.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// a ← a + (1 − d)·(w − a) for every tensor, with d = min(`decay`, (1 + t)/(10 + t)) after t
    /// updates, so that the first weights are soon forgotten (the usual warm-up, as in
    /// TensorFlow).
    ///
    /// # Errors
    /// If `network` is of another architecture.
    pub fn update(&mut self, network: &Network, decay: f64) -> Result<()> {
        let t = self.updates as f64;
        let take = (1.0 - decay.min((1.0 + t) / (10.0 + t))) as f32;
        for (position, weight) in network.tensors().iter().enumerate() {
            let Some(average) = self.network.tensors().get(position) else {
                let reason = "the average is of a network with fewer tensors".into();
                return Err(TrainingError::Optimizer { reason });
            };
            let moved = ops::towards(average, weight, take)?;
            self.network.set_tensor(position, moved)?;
        }
        self.updates += 1;
        Ok(())
    }
}

/// Whether `decay` is one.
pub(crate) fn check(decay: f64) -> Result<()> {
    match decay > 0.0 && decay < 1.0 {
        true => Ok(()),
        false => {
            let accepted = "between 0 and 1, as 0.999; leave it out for no average";
            Err(TrainingError::setting("average", decay, accepted))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cure_network::{Architecture, Normalization};

    use super::*;

    fn network(seed: u64) -> Network {
        let architecture = Architecture::named("mlp", 10, [1, 8, 8]).unwrap();
        Network::random(architecture, Normalization::none(1), seed).unwrap()
    }

    #[test]
    fn a_plain_loop_gives_the_same() {
        let mut average = Average::new(network(0));
        let mut expected: Vec<Vec<f32>> =
            network(0).tensors().iter().map(|tensor| tensor.host().to_vec()).collect();
        // 1/10, 2/11, 3/12, 0.3, 0.3, …
        for (step, decay) in [0.1, 2.0 / 11.0, 0.25, 0.3, 0.3, 0.3].into_iter().enumerate() {
            let weights = network(step as u64 + 1);
            average.update(&weights, 0.3).unwrap();
            for (sum, weight) in expected.iter_mut().zip(weights.tensors()) {
                for (a, w) in sum.iter_mut().zip(weight.host().iter()) {
                    *a = (decay * f64::from(*a) + (1.0 - decay) * f64::from(*w)) as f32;
                }
            }
        }
        assert_eq!(average.updates(), 6);
        for (found, expected) in average.network().tensors().iter().zip(&expected) {
            for (found, expected) in found.host().iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn a_decay_out_of_its_range_is_refused() {
        for decay in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(check(decay).unwrap_err().to_string().contains("average is"));
        }
        check(0.999).unwrap();
    }
}

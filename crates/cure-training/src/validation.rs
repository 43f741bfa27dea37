//! Accuracies on the validation samples, clean and under attack.

use cure_attacks::{AttackSpec, EvaluationOptions, EvaluationSet, Silent, evaluate};
use cure_data::Dataset;
use cure_network::Network;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};

/// An attack on some of the validation samples after some of the epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationAttack {
    /// The attack, as `pgd:eps=8/255,steps=10,random-start=false`.
    pub spec: AttackSpec,
    /// How many of the samples are attacked, spread evenly over them; default 500.
    #[serde(default = "default_samples")]
    pub samples: usize,
    /// After each how many epochs, and after the last; default 1.
    #[serde(default = "default_every")]
    pub every: usize,
}

fn default_samples() -> usize {
    500
}

fn default_every() -> usize {
    1
}

impl ValidationAttack {
    /// An attack with the default number of samples, after each epoch.
    pub fn new(spec: AttackSpec) -> Self {
        Self { spec, samples: default_samples(), every: default_every() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, value) in
            [("validation.attack.samples", self.samples), ("validation.attack.every", self.every)]
        {
            if value == 0 {
                return Err(TrainingError::setting(name, value, "1 or more"));
            }
        }
        Ok(self.spec.check(None, None)?)
    }

    /// Whether it is due after an epoch, counted from 1.
    pub(crate) fn is_due(&self, epoch: usize, epochs: usize) -> bool {
        epoch.is_multiple_of(self.every) || epoch == epochs
    }

    /// The positions attacked: evenly spread, because samples may be stored class by class.
    fn positions(&self, len: usize) -> Vec<usize> {
        let count = self.samples.min(len);
        (0..count).map(|index| index * len / count).collect()
    }
}

/// What is measured after an epoch.
pub(crate) struct Measured {
    pub(crate) clean: f64,
    pub(crate) robust: Option<f64>,
}

/// Clean accuracy on all samples and, with an attack, on those attacked. `proceed` is asked before
/// each batch, with the number of samples done and to do; if it says no, there is no result.
pub(crate) fn measure(
    network: &Network,
    samples: &Dataset,
    attack: Option<&ValidationAttack>,
    seed: u64,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Option<Measured>> {
    let frozen = network.frozen()?;
    let everything: Vec<usize> = (0..samples.len()).collect();
    let attacked = attack.map_or(Vec::new(), |attack| attack.positions(samples.len()));
    let total = everything.len() + attacked.len();
    let options = EvaluationOptions { seed, preflight: false, ..EvaluationOptions::default() };
    let mut done = 0;
    // The share of the samples at `positions` that stand under all of `attacks`.
    let mut standing = |positions: &[usize], attacks: &[AttackSpec]| {
        let mut count = 0;
        for part in positions.chunks(options.batch) {
            if !proceed(done, total) {
                return Ok::<_, TrainingError>(None);
            }
            let batch = samples.batch(part)?;
            let set = EvaluationSet::new(batch.images, batch.labels, batch.indices)?;
            let found = evaluate(&frozen, &set, attacks, &options, &mut Silent)?;
            count += found.rows.iter().filter(|row| row.robust()).count();
            done += part.len();
        }
        Ok(Some(count as f64 / positions.len().max(1) as f64))
    };
    let Some(clean) = standing(&everything, &[])? else { return Ok(None) };
    let Some(attack) = attack else { return Ok(Some(Measured { clean, robust: None })) };
    let robust = standing(&attacked, std::slice::from_ref(&attack.spec))?;
    Ok(robust.map(|robust| Measured { clean, robust: Some(robust) }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn attacked_samples_are_spread_and_due_epochs_include_the_last() {
        let attack = ValidationAttack {
            samples: 4,
            every: 3,
            ..ValidationAttack::new("pgd:eps=8/255".parse().unwrap())
        };
        assert_eq!(attack.positions(10), [0, 2, 5, 7]);
        assert_eq!(attack.positions(3), [0, 1, 2]);
        let due: Vec<usize> = (1..=8).filter(|&epoch| attack.is_due(epoch, 8)).collect();
        assert_eq!(due, [3, 6, 8]);
    }
}

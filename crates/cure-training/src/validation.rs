//! Accuracies on the validation samples, clean and under attack.

use cure_attacks::{AttackSpec, EvaluationOptions, EvaluationSet, FgsmOptions, Silent, evaluate};
use cure_data::{Dataset, ValidationSize};
use cure_network::{Network, Ranks};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::ranks::share;

/// Which samples are set aside, and how they are attacked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// `{ fraction = 0.1 }` (the default) or `{ count = 5000 }`.
    pub size: ValidationSize,
    /// Decides which samples; default 0.
    pub seed: u64,
    /// An attack on them; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<ValidationAttack>,
}

impl Default for Validation {
    fn default() -> Self {
        Self { size: ValidationSize::Fraction(0.1), seed: 0, attack: None }
    }
}

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
        self.spec.check(None, None)?;
        if self.spec.epsilon().is_none() {
            let accepted = "an attack with an ε: without one it succeeds at whatever distance, and \
                            the accuracy says nothing; give it one, as `eps=8/255`";
            let (setting, value) = ("validation.attack.spec", format!("`{}`", self.spec));
            return Err(TrainingError::setting(setting, value, accepted));
        }
        Ok(())
    }

    /// The share of the largest class among those of `samples` that are attacked: what a network
    /// that always gives one answer can come to.
    pub(crate) fn chance(&self, samples: &Dataset) -> f64 {
        let positions = spread(self.samples, samples.len());
        let mut counts = vec![0usize; samples.classes()];
        positions.iter().for_each(|&position| counts[samples.labels()[position]] += 1);
        counts.into_iter().max().unwrap_or(0) as f64 / positions.len().max(1) as f64
    }

    /// FGSM at the same ε and in the same norm, for the watch for catastrophic overfitting; none
    /// where the attack is FGSM itself.
    pub(crate) fn fgsm(&self) -> Option<AttackSpec> {
        let fgsm = FgsmOptions::new(self.spec.norm(), self.spec.epsilon()?);
        (self.spec.name() != "fgsm").then(|| AttackSpec::new(fgsm))
    }
}

/// Whether what is measured after each `every` epochs, and after the last, is due after an epoch,
/// counted from 1.
pub(crate) fn is_due(every: usize, epoch: usize, epochs: usize) -> bool {
    epoch.is_multiple_of(every) || epoch == epochs
}

/// So many of `len` positions, evenly spread, because samples may be stored class by class.
pub(crate) fn spread(count: usize, len: usize) -> Vec<usize> {
    let count = count.min(len);
    (0..count).map(|index| index * len / count).collect()
}

/// What is measured after an epoch; nothing of it without validation samples.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) clean: Option<f64>,
    pub(crate) robust: Option<f64>,
    /// Under FGSM at the attack's ε.
    pub(crate) fgsm: Option<f64>,
}

/// Clean accuracy on all samples and, with an attack, on those attacked, also under FGSM. Each rank
/// takes its share. `proceed` is asked before each batch, with the number of samples done and to
/// do; if it says no on any rank, there is no result.
pub(crate) fn measure(
    network: &Network,
    samples: &Dataset,
    attack: Option<&ValidationAttack>,
    seed: u64,
    ranks: &Ranks,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Option<Measured>> {
    let frozen = network.frozen()?;
    let everything: Vec<usize> = (0..samples.len()).collect();
    let attacked = attack.map_or(Vec::new(), |attack| spread(attack.samples, samples.len()));
    let fgsm = attack.and_then(ValidationAttack::fgsm);
    let options = EvaluationOptions { seed, preflight: false, ..EvaluationOptions::default() };
    let mine = |positions: &[usize]| positions[share(positions.len(), ranks)].to_vec();
    let (own, own_attacked) = (mine(&everything), mine(&attacked));
    let total = own.len() + own_attacked.len() * (1 + usize::from(fgsm.is_some()));
    let mut done = 0;
    // How many of the samples at `positions` stand under all of `attacks`; `None` to stop.
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
        Ok(Some(count))
    };
    let mut counts = [0.0; 3];
    let specs = [None, attack.map(|attack| attack.spec.clone()), fgsm.clone()];
    let mut stopped = false;
    for (which, (count, spec)) in counts.iter_mut().zip(specs).enumerate() {
        if stopped || (which > 0 && spec.is_none()) {
            continue;
        }
        let positions = if which == 0 { &own } else { &own_attacked };
        match standing(positions, spec.as_slice())? {
            Some(standing) => *count = standing as f64,
            None => stopped = true,
        }
    }
    if ranks.any(stopped) {
        return Ok(None);
    }
    ranks.sum(&mut counts);
    let [clean, robust, under_fgsm] = counts;
    let of_attacked = |count: f64| count / attacked.len().max(1) as f64;
    Ok(Some(Measured {
        clean: Some(clean / everything.len().max(1) as f64),
        robust: attack.map(|_| of_attacked(robust)),
        fgsm: fgsm.map(|_| of_attacked(under_fgsm)),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn attacked_samples_are_spread_and_due_epochs_include_the_last() {
        let attack = ValidationAttack {
            samples: 4,
            ..ValidationAttack::new("pgd:eps=8/255".parse().unwrap())
        };
        assert_eq!(spread(attack.samples, 10), [0, 2, 5, 7]);
        assert_eq!(spread(attack.samples, 3), [0, 1, 2]);
        let due: Vec<usize> = (1..=8).filter(|&epoch| is_due(3, epoch, 8)).collect();
        assert_eq!(due, [3, 6, 8]);
    }

    #[test]
    fn fgsm_has_the_attacks_radius_and_norm() {
        let fgsm = |text: &str| ValidationAttack::new(text.parse().unwrap()).fgsm();
        let expected = |text: &str| Some(text.parse::<AttackSpec>().unwrap());
        assert_eq!(fgsm("pgd:eps=8/255,steps=3"), expected("fgsm:eps=8/255"));
        assert_eq!(fgsm("pgd:norm=l2,eps=0.5"), expected("fgsm:norm=l2,eps=0.5"));
        assert_eq!(fgsm("fgsm:eps=8/255"), None);
    }
}

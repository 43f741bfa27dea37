//! A look at a classifier before any attack: what would make its robust accuracy mean little.

use cure_network::Classifier;
use cure_tensor::{Room, ops};

use crate::check;
use crate::error::{AttackError, Result};
use crate::evaluate::EvaluationSet;
use crate::loss::Loss;
use crate::warning::Warning;

/// Images looked at, at most.
const SAMPLES: usize = 32;
/// How often, to see whether the logits stay the same; as AutoAttack's check for randomness.
const RUNS: usize = 5;
/// How far logits may differ between runs; as AutoAttack's.
const DIFFERENCE: f64 = 1e-4;
/// How far from 1 the sum of probabilities may be.
const ROUNDING: f64 = 1e-3;
/// The share of saturated samples that is said: networks are sure of some images.
const LARGE_SHARE: f64 = 0.5;
/// Classes that the targeted DLR loss compares.
const CLASSES_OF_TARGETED_DLR: usize = 4;

/// Looks at a classifier on at most 32 images of a set, evenly spread over it, before any attack:
/// whether it gives probabilities instead of logits or the same logits everywhere, whether it
/// answers twice alike, whether the cross-entropy has a gradient at the clean images and its softmax
/// is saturated, and whether it has the classes that the DLR loss needs. `batch`: images sent at
/// once; memory, never results.
///
/// Cost: at most 192 forwards and 32 backwards. [`evaluate`](fn@crate::evaluate) calls it.
///
/// # Errors
/// If the set does not fit the classifier, `batch` is 0, or the classifier fails.
pub fn preflight(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    batch: usize,
) -> Result<Vec<Warning>> {
    check::labels(classifier, set.images(), set.labels())?;
    if batch == 0 {
        return Err(AttackError::Batch);
    }
    look(classifier, set, &Room::new(batch))
}

/// As [`preflight`](fn@preflight), for as many images at a time as there is memory for.
pub(crate) fn look(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    room: &Room,
) -> Result<Vec<Warning>> {
    let (mut seen, rows) = (Seen::default(), sample(set));
    room.pieces(rows.len(), |piece| seen.look(classifier, set, &rows[piece]))?;
    Ok(seen.warnings(classifier.classes()))
}

/// Rows evenly spread over the set in the order of its indices, so that the set's own order does
/// not matter; a dataset may be stored class by class.
fn sample(set: &EvaluationSet) -> Vec<usize> {
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by_key(|&row| set.indices()[row]);
    let count = order.len().min(SAMPLES);
    (0..count).map(|place| order[place * order.len() / count]).collect()
}

/// What was seen, in samples.
#[derive(Default)]
struct Seen {
    samples: usize,
    non_finite_logits: usize,
    probabilities: usize,
    saturated: usize,
    zero_gradient: usize,
    non_finite_gradient: usize,
    /// The largest difference of a logit between two runs.
    difference: f64,
    first: Vec<f32>,
    /// Samples with the logits of the first.
    alike: usize,
}

impl Seen {
    fn look(
        &mut self,
        classifier: &dyn Classifier,
        set: &EvaluationSet,
        rows: &[usize],
    ) -> Result<()> {
        let images = ops::select(set.images(), rows)?;
        let labels: Vec<usize> = rows.iter().map(|&row| set.labels()[row]).collect();
        let classes = classifier.classes().max(1);
        let network = classifier.linearize(&images)?;
        check::logits(classifier, network.logits(), rows.len())?;
        let (_, residual) = Loss::CrossEntropy.evaluate(network.logits(), &labels)?;
        let gradients = network.pullback(&residual)?;
        let predictions = check::predictions(network.logits());
        drop(network);
        let logits = check::logits_of(classifier, &images)?;
        for _ in 1..RUNS {
            let again = check::logits_of(classifier, &images)?;
            let (one, other) = (logits.host(), again.host());
            let apart = one.iter().zip(other.iter()).map(|(&a, &b)| apart(a, b));
            self.difference = apart.fold(self.difference, f64::max);
        }

        let (losses, seeds) = Loss::CrossEntropyF32.evaluate(&logits, &labels)?;
        let (values, seeds) = (logits.host(), seeds.host());
        for (slot, row) in values.chunks_exact(classes).enumerate() {
            let sum: f64 = row.iter().map(|&value| f64::from(value)).sum();
            let is_distribution =
                row.iter().all(|&value| value >= 0.0) && (sum - 1.0).abs() <= ROUNDING;
            let seed = seeds[slot * classes + labels[slot]];
            if self.samples == 0 {
                self.first = row.to_vec();
            }
            self.samples += 1;
            self.non_finite_logits += usize::from(!row.iter().all(|value| value.is_finite()));
            self.probabilities += usize::from(is_distribution);
            self.saturated += usize::from(losses[slot] == 0.0 && seed == 0.0);
            self.alike += usize::from(self.first == row);
        }

        let length = (gradients.len() / rows.len()).max(1);
        for (gradient, prediction) in gradients.host().chunks_exact(length).zip(predictions) {
            // Where the logits are not finite they are what is said.
            if prediction.is_some() {
                let is_finite = gradient.iter().all(|value| value.is_finite());
                self.non_finite_gradient += usize::from(!is_finite);
                self.zero_gradient += usize::from(gradient.iter().all(|&value| value == 0.0));
            }
        }
        Ok(())
    }

    fn warnings(self, classes: usize) -> Vec<Warning> {
        let of = self.samples;
        let is_large = |samples: usize| samples as f64 >= LARGE_SHARE * of as f64;
        [
            (self.probabilities == of, Warning::Probabilities { samples: of }),
            (
                self.difference > DIFFERENCE,
                Warning::NonDeterministic { runs: RUNS, difference: self.difference },
            ),
            // Of one image nothing can be said: its logits are always the same.
            (self.alike == of && of > 1, Warning::ConstantLogits { samples: of }),
            (
                self.non_finite_logits > 0,
                Warning::NonFiniteLogits {
                    stage: "preflight".into(),
                    samples: self.non_finite_logits,
                    of,
                },
            ),
            (
                self.zero_gradient > 0,
                Warning::VanishingGradient { samples: self.zero_gradient, of },
            ),
            (
                self.non_finite_gradient > 0,
                Warning::UnusableGradient { samples: self.non_finite_gradient, of },
            ),
            (is_large(self.saturated), Warning::SaturatedSoftmax { samples: self.saturated, of }),
            (classes < CLASSES_OF_TARGETED_DLR, Warning::FewClasses { classes }),
        ]
        .into_iter()
        .filter_map(|(is_so, warning)| is_so.then_some(warning))
        .collect()
    }
}

/// How far two logits are from each other; those that are finite in one run only, infinitely.
fn apart(a: f32, b: f32) -> f64 {
    match (a.is_finite(), b.is_finite()) {
        (true, true) => (f64::from(a) - f64::from(b)).abs(),
        (false, false) => 0.0,
        _ => f64::INFINITY,
    }
}

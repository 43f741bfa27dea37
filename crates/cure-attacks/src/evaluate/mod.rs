//! Robust accuracy: attacks over a set of images, and what may be said afterwards.

mod curve;
mod flags;
mod masking;
mod members;
mod observer;
mod result;
mod set;

use std::time::Instant;

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::MemberTally;
use crate::attack::AttackSpec;
use crate::check;
use crate::error::{AttackError, Result};
use crate::streams::Streams;
use crate::warning::Warning;

pub use curve::{Curve, CurvePoint, curve};
use flags::{LateRise, Ran};
pub use masking::{Masking, MaskingRow, masking};
pub use members::MemberResult;
use observer::Reporter;
pub use observer::{Observer, Progress, Silent};
pub use result::{
    Accuracy, AttackResult, Evaluation, SampleOutcome, SampleRow, Verdict, WorstCase,
};
pub use set::EvaluationSet;

/// How to evaluate.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationOptions {
    /// Decides the random starts, with each sample's stored index. Default 0.
    pub seed: u64,
    /// Images a batch: memory and speed, never results. Default 128.
    pub batch: usize,
    /// Whether to return the attacked images (as much memory again for each attack). Default no.
    pub keep_images: bool,
    /// Whether to count the successes that do not survive rounding to 8 bits a pixel. Default
    /// no; it costs a forward for each success.
    pub recheck_rounded: bool,
    /// Whether to look at the classifier first ([`preflight`](crate::preflight())), where there is an
    /// attack. Default yes; it costs under 200 forwards.
    pub preflight: bool,
}

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self { seed: 0, batch: 128, keep_images: false, recheck_rounded: false, preflight: true }
    }
}

/// Clean and robust accuracy of a classifier over a set.
///
/// Images misclassified without an attack count as not robust and are not attacked. Whatever an
/// attack returns is judged by a fresh forward pass. An image on which an attack had no gradient
/// to follow, or whose logits are not finite, does not count as robust. Over several attacks the
/// worst outcome of each image counts.
///
/// Before the first attack [`preflight`](fn@crate::preflight) looks at the classifier, and after the
/// last one the attacks are compared: what hints at masked gradients is among the warnings.
///
/// # Errors
/// If the set is empty or does not fit the classifier, an attack's parameters do not fit the
/// images, the classifier fails, or the observer asks to stop.
pub fn evaluate(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attacks: &[AttackSpec],
    options: &EvaluationOptions,
    observer: &mut dyn Observer,
) -> Result<Evaluation> {
    check::labels(classifier, set.images(), set.labels())?;
    if options.batch == 0 {
        return Err(AttackError::Batch);
    }
    let dimension = set.images().shape().iter().skip(1).product();
    let classes = Some(classifier.classes());
    attacks.iter().try_for_each(|attack| attack.check(Some(dimension), classes))?;

    let mut warnings: Vec<Warning> = attacks.iter().flat_map(|attack| attack.warnings()).collect();
    if options.preflight {
        warnings.extend(flags::before(classifier, set, attacks, options.batch)?);
    }
    let mut reporter = Reporter::new(observer, attacks.len() + 1);
    let clean = classify_clean(classifier, set, options.batch, &mut reporter, &mut warnings)?;
    let correct: Vec<usize> =
        (0..set.len()).filter(|&row| clean[row] == Some(set.labels()[row])).collect();
    let mut rows: Vec<SampleRow> = (0..set.len())
        .map(|row| SampleRow {
            index: set.indices()[row],
            label: set.labels()[row],
            clean_prediction: clean[row],
            attacks: Vec::with_capacity(attacks.len()),
        })
        .collect();

    let (mut results, mut images, mut ran) = (Vec::new(), Vec::new(), Vec::new());
    for spec in attacks {
        let run = attack(classifier, set, spec, &correct, &clean, options, &mut reporter)?;
        warnings.extend(run.tally.warnings(spec, correct.len()));
        ran.push(Ran { spec, has_targets: run.tally.has_targets });
        let members = members::results(spec, &run.tally.members)?;
        warnings.extend(members::masking(spec, &members, set.len()));
        results.push(AttackResult::new(spec, &run.outcomes, correct.len(), &run.tally, members));
        rows.iter_mut().zip(run.outcomes).for_each(|(row, outcome)| row.attacks.push(outcome));
        images.extend(run.images);
    }
    warnings.extend(flags::after(&ran, &rows, classifier.classes()));
    Ok(Evaluation {
        clean: Accuracy::new(correct.len(), set.len()),
        worst_case: (attacks.len() > 1).then(|| WorstCase::new(&rows, correct.len())),
        attacks: results,
        warnings,
        rows,
        images,
    })
}

/// The class of every image, and what is odd about the logits.
fn classify_clean(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    batch: usize,
    reporter: &mut Reporter<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Option<usize>>> {
    reporter.stage("clean", set.len())?;
    let (mut predictions, mut right) = (Vec::with_capacity(set.len()), 0);
    let mut first: Option<Vec<f32>> = None;
    let (mut constant, mut tied) = (true, 0);
    let all: Vec<usize> = (0..set.len()).collect();
    for rows in all.chunks(batch) {
        let logits = classifier.logits(&ops::select(set.images(), rows)?)?;
        check::logits(classifier, &logits, rows.len())?;
        for (logits, prediction) in
            logits.host().chunks_exact(classifier.classes()).zip(check::predictions(&logits))
        {
            let first = first.get_or_insert_with(|| logits.to_vec());
            constant &= first == logits;
            if let Some(class) = prediction {
                let ties = logits.iter().filter(|&&logit| logit == logits[class]).count();
                tied += usize::from(ties > 1);
            }
            right += usize::from(prediction == Some(set.labels()[predictions.len()]));
            predictions.push(prediction);
        }
        reporter.advance(rows.len(), right)?;
    }
    let of = set.len();
    // Of one image nothing can be said: its logits are always the same.
    if constant && of > 1 {
        warnings.push(Warning::ConstantLogits { samples: of });
    }
    if tied > 0 {
        warnings.push(Warning::TiedLogits { samples: tied, of });
    }
    let samples = predictions.iter().filter(|prediction| prediction.is_none()).count();
    if samples > 0 {
        warnings.push(Warning::NonFiniteLogits { stage: "clean".into(), samples, of });
    }
    Ok(predictions)
}

/// What an attack cost and what was odd about it, over all its batches.
#[derive(Default)]
struct Tally {
    forward: u64,
    backward: u64,
    seconds: f64,
    rounded_successes_lost: Option<usize>,
    zero_gradient: usize,
    non_finite_gradient: usize,
    non_finite_logits: usize,
    undecided: usize,
    unconfirmed: usize,
    has_targets: bool,
    rise: LateRise,
    /// For an attack made of several, what each of them did.
    members: Vec<MemberTally>,
}

impl Tally {
    fn warnings(&self, spec: &AttackSpec, attacked: usize) -> Vec<Warning> {
        let attack = || spec.to_string();
        [
            (
                self.zero_gradient,
                Warning::ZeroGradient { attack: attack(), samples: self.zero_gradient, attacked },
            ),
            (
                self.non_finite_gradient,
                Warning::NonFiniteGradient {
                    attack: attack(),
                    samples: self.non_finite_gradient,
                    attacked,
                },
            ),
            (
                self.non_finite_logits,
                Warning::NonFiniteLogits {
                    stage: attack(),
                    samples: self.non_finite_logits,
                    of: attacked,
                },
            ),
            (
                self.undecided,
                Warning::Undecided { attack: attack(), samples: self.undecided, attacked },
            ),
            (
                self.unconfirmed,
                Warning::Unconfirmed { attack: attack(), samples: self.unconfirmed },
            ),
        ]
        .into_iter()
        .filter_map(|(samples, warning)| (samples > 0).then_some(warning))
        .chain(self.rise.warning(spec))
        .collect()
    }
}

/// One attack over the whole set.
struct Run {
    /// For every image of the set.
    outcomes: Vec<SampleOutcome>,
    tally: Tally,
    /// All images, the attacked ones replaced, if they were to be kept.
    images: Option<Tensor>,
}

/// Attacks the images at `correct`, those classified correctly.
fn attack(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    spec: &AttackSpec,
    correct: &[usize],
    clean: &[Option<usize>],
    options: &EvaluationOptions,
    reporter: &mut Reporter<'_>,
) -> Result<Run> {
    reporter.stage(&spec.to_string(), correct.len())?;
    let mut outcomes: Vec<SampleOutcome> =
        clean.iter().map(|&prediction| SampleOutcome::not_attacked(prediction)).collect();
    let mut tally = Tally::default();
    let mut kept = options.keep_images.then(|| set.images().host().into_owned());
    let length = set.images().len() / set.len();
    /// Rounding of single-precision pixels at the border of the ball.
    const ROUNDING: f64 = 1e-6;
    let radius = spec.epsilon().map(|epsilon| epsilon.value() * (1.0 + ROUNDING));
    let (mut robust, started) = (0, Instant::now());
    for rows in correct.chunks(options.batch) {
        let images = ops::select(set.images(), rows)?;
        let labels: Vec<usize> = rows.iter().map(|&row| set.labels()[row]).collect();
        let indices: Vec<usize> = rows.iter().map(|&row| set.indices()[row]).collect();
        let streams = Streams::new(options.seed, &indices);
        let found = spec.run(classifier, &images, &labels, &streams)?;
        // Success is what a fresh forward pass says.
        let logits = classifier.logits(&found.images)?;
        check::logits(classifier, &logits, rows.len())?;
        let predictions = check::predictions(&logits);

        let (before, after) = (images.host(), found.images.host());
        let mut fooled = Vec::new();
        for (slot, &row) in rows.iter().enumerate() {
            let range = slot * length..(slot + 1) * length;
            let changes = before[range.clone()].iter().zip(&after[range.clone()]);
            let is_found = match (&found.targets, predictions[slot]) {
                (_, None) => true,
                (None, Some(class)) => class != labels[slot],
                (Some(targets), Some(class)) => class == targets[slot],
            };
            let norm = spec.norm().of(changes.map(|(&a, &b)| f64::from(b) - f64::from(a)));
            // A minimal-norm attack may have succeeded further away than it is judged at.
            let is_fooled = is_found && radius.is_none_or(|radius| norm <= radius);
            let verdict = match (is_fooled, found.undecided[slot]) {
                (true, _) => Verdict::Fooled,
                (false, true) => Verdict::Undecided,
                (false, false) => Verdict::Robust,
            };
            outcomes[row] = SampleOutcome {
                verdict,
                prediction: predictions[slot],
                norm,
                is_found,
                solved_by: found.solved_by.as_ref().and_then(|by| by[slot]),
            };
            if is_fooled {
                fooled.push(slot);
            }
            robust += usize::from(verdict == Verdict::Robust);
            tally.undecided += usize::from(verdict == Verdict::Undecided);
            tally.unconfirmed += usize::from(is_found != found.solved[slot]);
            if let Some(kept) = &mut kept {
                kept[row * length..(row + 1) * length].copy_from_slice(&after[range]);
            }
        }
        tally.has_targets |= found.targets.is_some();
        tally.rise.note(&found);
        tally.forward += found.forward;
        tally.backward += found.backward;
        members::add(&mut tally.members, &found.members);
        let count = |flags: &[bool]| flags.iter().filter(|&&flag| flag).count();
        tally.zero_gradient += count(&found.zero_gradient);
        tally.non_finite_gradient += count(&found.non_finite_gradient);
        tally.non_finite_logits += count(&found.non_finite_logits);
        if options.recheck_rounded {
            let lost = lost_by_rounding(classifier, &found.images, &labels, &fooled)?;
            *tally.rounded_successes_lost.get_or_insert(0) += lost;
        }
        reporter.advance(rows.len(), robust)?;
    }
    tally.seconds = started.elapsed().as_secs_f64();
    let images = kept.map(|values| Tensor::new(set.images().shape(), values)).transpose()?;
    Ok(Run { outcomes, tally, images })
}

/// How many of the successes at `fooled` are classified correctly again once their pixels are
/// rounded to the nearest of 256 levels, as in an image file.
fn lost_by_rounding(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    fooled: &[usize],
) -> Result<usize> {
    if fooled.is_empty() {
        return Ok(0);
    }
    let rounded = ops::map(ops::select(images, fooled)?, |pixel| (pixel * 255.0).round() / 255.0);
    let logits = classifier.logits(&rounded)?;
    check::logits(classifier, &logits, fooled.len())?;
    let predictions = check::predictions(&logits);
    let is_lost = |(&slot, prediction): (&usize, &Option<usize>)| *prediction == Some(labels[slot]);
    Ok(fooled.iter().zip(&predictions).filter(|&pair| is_lost(pair)).count())
}

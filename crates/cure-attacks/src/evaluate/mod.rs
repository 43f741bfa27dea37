//! Robust accuracy: attacks over a set of images, and what may be said afterwards.

mod curve;
mod flags;
mod journal;
mod masking;
mod members;
mod observer;
mod result;
mod set;
mod tally;

use std::time::Instant;

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::attack::AttackSpec;
use crate::check;
use crate::error::{AttackError, Result};
use crate::streams::Streams;
use crate::warning::Warning;

pub use curve::{Curve, CurvePoint, curve};
use flags::Ran;
pub use journal::Journal;
use journal::Record;
pub use masking::{Masking, MaskingRow, masking};
pub use members::MemberResult;
use observer::Reporter;
pub use observer::{Observer, Progress, Silent};
pub use result::{
    Accuracy, AttackResult, Evaluation, SampleOutcome, SampleRow, Verdict, WorstCase,
};
pub use set::EvaluationSet;
use tally::Tally;

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
    evaluate_with(classifier, set, attacks, options, observer, None)
}

/// As [`evaluate`](fn@evaluate), each batch noted in a journal once it is done, and those that are
/// in it already taken from there. (With `keep_images` all are attacked again: a journal holds no
/// images.)
///
/// # Errors
/// As [`evaluate`](fn@evaluate), and [`AttackError::Journal`].
pub fn evaluate_with(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attacks: &[AttackSpec],
    options: &EvaluationOptions,
    observer: &mut dyn Observer,
    mut journal: Option<&mut Journal>,
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
    for (position, spec) in attacks.iter().enumerate() {
        reporter.stage(&spec.to_string(), correct.len())?;
        let attacking = Attacking { classifier, set, spec, options };
        let run =
            attacking.run(position, &correct, &clean, &mut reporter, journal.as_deref_mut())?;
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

/// One attack over the whole set.
struct Run {
    /// For every image of the set.
    outcomes: Vec<SampleOutcome>,
    tally: Tally,
    /// All images, the attacked ones replaced, if they were to be kept.
    images: Option<Tensor>,
}

/// An attack at work.
struct Attacking<'a> {
    classifier: &'a dyn Classifier,
    set: &'a EvaluationSet,
    spec: &'a AttackSpec,
    options: &'a EvaluationOptions,
}

impl Attacking<'_> {
    /// Attacks the images at `correct`, those classified correctly.
    fn run(
        &self,
        position: usize,
        correct: &[usize],
        clean: &[Option<usize>],
        reporter: &mut Reporter<'_>,
        mut journal: Option<&mut Journal>,
    ) -> Result<Run> {
        let Self { set, options, .. } = *self;
        let mut outcomes: Vec<SampleOutcome> =
            clean.iter().map(|&prediction| SampleOutcome::not_attacked(prediction)).collect();
        let mut tally = Tally::default();
        let mut kept = options.keep_images.then(|| set.images().host().into_owned());
        let length = set.images().len() / set.len();
        let mut robust = 0;
        for (index, rows) in correct.chunks(options.batch).enumerate() {
            let place = (position, index);
            let known = journal.as_deref().filter(|_| kept.is_none());
            let record = match known.and_then(|known| known.recall(place, rows.len())) {
                Some(record) => record,
                None => {
                    let (record, attacked) = self.batch(place, rows)?;
                    if let Some(journal) = journal.as_deref_mut() {
                        journal.note(&record)?;
                    }
                    if let Some(kept) = &mut kept {
                        let images = attacked.host();
                        for (&row, image) in rows.iter().zip(images.chunks_exact(length)) {
                            kept[row * length..(row + 1) * length].copy_from_slice(image);
                        }
                    }
                    record
                }
            };
            tally.add(&record.tally);
            for (&row, outcome) in rows.iter().zip(record.outcomes) {
                robust += usize::from(outcome.verdict == Verdict::Robust);
                outcomes[row] = outcome;
            }
            reporter.advance(rows.len(), robust)?;
        }
        let images = kept.map(|values| Tensor::new(set.images().shape(), values)).transpose()?;
        Ok(Run { outcomes, tally, images })
    }

    /// Attacks the images at `rows`; gives what may be said of each, and the attacked images.
    fn batch(&self, place: (usize, usize), rows: &[usize]) -> Result<(Record, Tensor)> {
        /// Rounding of single-precision pixels at the border of the ball.
        const ROUNDING: f64 = 1e-6;
        let Self { classifier, set, spec, options } = *self;
        let started = Instant::now();
        let radius = spec.epsilon().map(|epsilon| epsilon.value() * (1.0 + ROUNDING));
        let part = set.select(rows)?;
        let (images, labels) = (part.images(), part.labels());
        let streams = Streams::new(options.seed, part.indices());
        let found = spec.run(classifier, images, labels, &streams)?;
        // Success is what a fresh forward pass says.
        let predictions = check::predictions(&check::logits_of(classifier, &found.images)?);

        let count = |flags: &[bool]| flags.iter().filter(|&&flag| flag).count();
        let mut tally = Tally {
            has_targets: found.targets.is_some(),
            forward: found.forward,
            backward: found.backward,
            members: found.members.clone(),
            zero_gradient: count(&found.zero_gradient),
            non_finite_gradient: count(&found.non_finite_gradient),
            non_finite_logits: count(&found.non_finite_logits),
            ..Tally::default()
        };
        tally.rise.note(&found);
        let length = images.len() / rows.len().max(1);
        let (before, after) = (images.host(), found.images.host());
        let (mut outcomes, mut fooled) = (Vec::with_capacity(rows.len()), Vec::new());
        for (slot, &prediction) in predictions.iter().enumerate() {
            let range = slot * length..(slot + 1) * length;
            let changes = before[range.clone()].iter().zip(&after[range]);
            let is_found = match (&found.targets, prediction) {
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
            let solved_by = found.solved_by.as_ref().and_then(|by| by[slot]);
            outcomes.push(SampleOutcome { verdict, prediction, norm, is_found, solved_by });
            if is_fooled {
                fooled.push(slot);
            }
            tally.undecided += usize::from(verdict == Verdict::Undecided);
            tally.unconfirmed += usize::from(is_found != found.solved[slot]);
        }
        if options.recheck_rounded {
            let lost = lost_by_rounding(classifier, &found.images, labels, &fooled)?;
            tally.rounded_successes_lost = Some(lost);
        }
        tally.seconds = started.elapsed().as_secs_f64();
        drop((before, after));
        Ok((Record { place, outcomes, tally }, found.images))
    }
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

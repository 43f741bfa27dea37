//! Robust accuracy: attacks over a set of images, and what may be said afterwards.

mod attacking;
mod curve;
mod flags;
mod inside;
mod journal;
mod masking;
mod members;
mod observer;
mod result;
mod set;
mod tally;

use cure_network::Classifier;
use cure_tensor::{Room, ops};

use crate::attack::AttackSpec;
use crate::check;
use crate::error::{AttackError, Result};
use crate::warning::Warning;

use attacking::Attacking;
pub use curve::{Curve, CurvePoint, curve};
use flags::Ran;
pub use inside::Inside;
pub use journal::{Journal, Shard};
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
    check_arguments(classifier, set, attacks, options)?;
    let mut warnings: Vec<Warning> = attacks.iter().flat_map(|attack| attack.warnings()).collect();
    let room = Room::new(options.batch);
    if options.preflight {
        warnings.extend(flags::before(classifier, set, attacks, &room)?);
    }
    let mut reporter = Reporter::new(observer, attacks.len() + 1);
    let clean = classify_clean(classifier, set, &room, &mut reporter, &mut warnings)?;
    let correct = correct_rows(set, &clean);
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
        let attacking = Attacking { classifier, set, spec, options, room: &room };
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
    let reduced = |taken| Warning::SmallerBatches { asked: options.batch, taken };
    warnings.extend(room.reduced().map(reduced));
    warnings.extend(flags::after(&ran, &rows, classifier.classes(), set.region().is_some()));
    Ok(Evaluation {
        clean: Accuracy::new(correct.len(), set.len()),
        worst_case: (attacks.len() > 1).then(|| WorstCase::new(&rows, correct.len())),
        attacks: results,
        warnings,
        rows,
        images,
    })
}

/// A shard of an evaluation: its batches are attacked, if `journal` does not know them yet, and noted
/// there. [`evaluate_with`] a journal that has [taken in](Journal::adopt) those of all shards then has
/// nothing left to attack, and gives what it gives without shards.
///
/// # Errors
/// As [`evaluate_with`].
pub fn evaluate_shard(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attacks: &[AttackSpec],
    options: &EvaluationOptions,
    observer: &mut dyn Observer,
    journal: &mut Journal,
    shard: Shard,
) -> Result<()> {
    check_arguments(classifier, set, attacks, options)?;
    let mut reporter = Reporter::new(observer, attacks.len() + 1);
    let room = Room::new(options.batch);
    let clean = classify_clean(classifier, set, &room, &mut reporter, &mut Vec::new())?;
    let correct = correct_rows(set, &clean);
    for (position, spec) in attacks.iter().enumerate() {
        reporter.stage(&spec.to_string(), correct.len())?;
        let attacking = Attacking { classifier, set, spec, options, room: &room };
        attacking.shard(position, &correct, &mut reporter, journal, shard)?;
    }
    Ok(())
}

fn check_arguments(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attacks: &[AttackSpec],
    options: &EvaluationOptions,
) -> Result<()> {
    check::labels(classifier, set.images(), set.labels())?;
    if options.batch == 0 {
        return Err(AttackError::Batch);
    }
    let dimension = set.images().shape().iter().skip(1).product();
    let classes = Some(classifier.classes());
    for attack in attacks {
        set.confine(attack)?.check(Some(dimension), classes)?;
    }
    Ok(())
}

/// The rows that are classified correctly.
fn correct_rows(set: &EvaluationSet, clean: &[Option<usize>]) -> Vec<usize> {
    (0..set.len()).filter(|&row| clean[row] == Some(set.labels()[row])).collect()
}

/// The class of every image, and what is odd about the logits.
fn classify_clean(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    room: &Room,
    reporter: &mut Reporter<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Option<usize>>> {
    reporter.stage("clean", set.len())?;
    let (mut predictions, mut right) = (Vec::with_capacity(set.len()), 0);
    let mut first: Option<Vec<f32>> = None;
    let (mut constant, mut tied) = (true, 0);
    room.pieces(set.len(), |rows| {
        let rows: Vec<usize> = rows.collect();
        let logits = classifier.logits(&ops::select(set.images(), &rows)?)?;
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
        reporter.advance(rows.len(), right)
    })?;
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

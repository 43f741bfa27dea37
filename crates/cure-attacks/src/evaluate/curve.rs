//! Robust accuracy at many ε in one go: the paper's Figs 6 and 15.

use std::mem::discriminant;

use cure_network::Classifier;
use serde::Serialize;

use super::flags::{self, Ran};
use super::{
    Accuracy, EvaluationOptions, EvaluationSet, Observer, SampleOutcome, SampleRow, Verdict,
    evaluate,
};
use crate::attack::AttackSpec;
use crate::epsilon::Epsilon;
use crate::error::{AttackError, Result};
use crate::interval::wilson95;
use crate::registry::Kind;
use crate::warning::Warning;

/// As where an evaluation judges one ε.
const ROUNDING: f64 = 1e-6;

/// Robust accuracy against ε.
#[derive(Clone, Debug)]
pub struct Curve {
    /// ε = 0.
    pub clean: Accuracy,
    /// One for each ε, by rising ε.
    pub points: Vec<CurvePoint>,
    /// For each image of the set the smallest ε asked about at which it is not robust: 0 for one
    /// that is misclassified without an attack, none for one that withstood them all.
    pub broken_at: Vec<Option<f64>>,
    /// What makes the curve mean less than it says, each once.
    pub warnings: Vec<Warning>,
}

/// The robust accuracy at one ε.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// ε in pixels.
    pub epsilon: f64,
    /// The attack, complete.
    pub spec: String,
    /// robust/n.
    pub robust_accuracy: f64,
    /// Images that withstood the attack at this ε and at every smaller one.
    pub robust: usize,
    /// All images.
    pub n: usize,
    /// The 95 % interval of the robust accuracy.
    pub ci95: [f64; 2],
    /// Images the attack sent forward at this ε.
    pub forward: u64,
    /// Images it pulled back.
    pub backward: u64,
}

/// The robust accuracy under `attack` at each of `epsilons`.
///
/// An image that is fooled at one ε is fooled at every larger one, by the same perturbation, so only
/// those still standing are attacked again: the curve never rises. A minimal-norm attack runs once
/// and is read off at every ε.
///
/// # Errors
/// As [`evaluate`](fn@evaluate); and if there is no ε, or the attack cannot run at one of them.
pub fn curve(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attack: &AttackSpec,
    epsilons: &[Epsilon],
    options: &EvaluationOptions,
    observer: &mut dyn Observer,
) -> Result<Curve> {
    let mut epsilons = epsilons.to_vec();
    epsilons.sort_by(|a, b| a.value().total_cmp(&b.value()));
    epsilons.dedup();
    let (Some(&first), Some(&last)) = (epsilons.first(), epsilons.last()) else {
        return Err(AttackError::Empty);
    };
    if set.region().is_some_and(|region| region.radii.is_some()) {
        return Err(AttackError::Region {
            value: "a radius for each image".into(),
            reason: "a curve asks about the same ε for all; leave the radii out".into(),
        });
    }
    let dimension = set.images().shape().iter().skip(1).product();
    for epsilon in [first, last] {
        set.confine(&attack.at(epsilon))?.check(Some(dimension), Some(classifier.classes()))?;
    }
    let minimal = attack.entry().is_some_and(|entry| entry.kind == Kind::Minimal);
    let mut found = Curve {
        clean: Accuracy::new(0, 0),
        points: Vec::with_capacity(epsilons.len()),
        broken_at: vec![None; set.len()],
        warnings: Vec::new(),
    };
    // The images still standing, and for a minimal-norm attack the rows of its only run.
    let mut standing: Vec<usize> = (0..set.len()).collect();
    let mut rows: Option<Vec<SampleRow>> = None;
    for (position, &epsilon) in epsilons.iter().enumerate() {
        let spec = attack.at(epsilon);
        let (mut forward, mut backward) = (0, 0);
        let runs = position == 0 || !(minimal || standing.is_empty());
        if runs {
            let run = if minimal { attack.at(last) } else { spec.clone() };
            let part = set.select(&standing)?;
            // One look at the classifier is enough.
            let options = EvaluationOptions {
                preflight: options.preflight && position == 0,
                ..options.clone()
            };
            let evaluation = evaluate(classifier, &part, &[run], &options, observer)?;
            if position == 0 {
                found.clean = evaluation.clean;
            }
            for result in &evaluation.attacks {
                (forward, backward) = (forward + result.forward, backward + result.backward);
            }
            // Of each kind one: that of the largest ε that it concerned.
            for warning in evaluation.warnings.into_iter().filter(|one| !one.compares_attacks()) {
                found.warnings.retain(|known| discriminant(known) != discriminant(&warning));
                found.warnings.push(warning);
            }
            rows = Some(evaluation.rows);
        }
        let judged = rows.as_deref().unwrap_or_default();
        let mut left = Vec::with_capacity(standing.len());
        for (slot, &image) in standing.iter().enumerate() {
            // The rows of a minimal-norm attack are those of the whole set.
            let Some(row) = judged.get(if minimal { image } else { slot }) else { continue };
            match broken_at(row, epsilon) {
                Some(at) => found.broken_at[image] = Some(at),
                None => left.push(image),
            }
        }
        standing = left;
        let (robust, n) = (standing.len(), set.len());
        found.points.push(CurvePoint {
            epsilon: epsilon.value(),
            spec: spec.to_string(),
            robust_accuracy: robust as f64 / n as f64,
            robust,
            n,
            ci95: wilson95(robust, n),
            forward,
            backward,
        });
    }
    let comparisons = compare(classifier, set, attack, &epsilons, |row, epsilon| {
        found.broken_at[row].is_none_or(|at| at > epsilon * (1.0 + ROUNDING))
    });
    found.warnings.extend(comparisons);
    Ok(found)
}

/// What the largest ε says of the largest that is half of it or less, over the whole set.
fn compare(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attack: &AttackSpec,
    epsilons: &[Epsilon],
    is_robust: impl Fn(usize, f64) -> bool,
) -> Vec<Warning> {
    let Some(&last) = epsilons.last() else { return Vec::new() };
    let half = epsilons.iter().rev().find(|epsilon| epsilon.value() <= last.value() / 2.0);
    let asked: Vec<Epsilon> = half.copied().into_iter().chain([last]).collect();
    let specs: Vec<AttackSpec> = asked.iter().map(|&epsilon| attack.at(epsilon)).collect();
    let ran: Vec<Ran<'_>> = specs.iter().map(|spec| Ran { spec, has_targets: false }).collect();
    let outcome = |row: usize, epsilon: &Epsilon| SampleOutcome {
        verdict: match is_robust(row, epsilon.value()) {
            true => Verdict::Robust,
            false => Verdict::Fooled,
        },
        ..SampleOutcome::not_attacked(None)
    };
    let rows: Vec<SampleRow> = (0..set.len())
        .map(|row| SampleRow {
            index: set.indices()[row],
            label: set.labels()[row],
            clean_prediction: None,
            attacks: asked.iter().map(|epsilon| outcome(row, epsilon)).collect(),
        })
        .collect();
    flags::after(&ran, &rows, classifier.classes(), set.region().is_some())
}

/// ε if the image is not robust there, 0 if it is misclassified without an attack.
fn broken_at(row: &SampleRow, epsilon: Epsilon) -> Option<f64> {
    let outcome = row.attacks.first()?;
    match outcome.verdict {
        Verdict::Misclassified => Some(0.0),
        Verdict::Undecided => Some(epsilon.value()),
        Verdict::Fooled | Verdict::Robust => (outcome.is_found
            && outcome.norm <= epsilon.value() * (1.0 + ROUNDING))
            .then_some(epsilon.value()),
    }
}

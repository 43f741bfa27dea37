//! What an evaluation says. Serialised it is the part of the machine-readable results that
//! concerns accuracy; accuracies are fractions.

use std::fmt;
use std::fmt::Write;

use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{MemberResult, Tally};
use crate::attack::AttackSpec;
use crate::epsilon::Epsilon;
use crate::interval::wilson95;
use crate::warning::Warning;

/// The result of [`evaluate`](super::evaluate).
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Without an attack.
    pub clean: Accuracy,
    /// For each attack, in the order asked for.
    pub attacks: Vec<AttackResult>,
    /// Over all attacks together, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_case: Option<WorstCase>,
    /// What makes the numbers mean less than they say.
    pub warnings: Vec<Warning>,
    /// For each image, in the set's order.
    #[serde(skip)]
    pub rows: Vec<SampleRow>,
    /// For each attack all images of the set, those attacked replaced by what the attack
    /// returned: `[N, C, H, W]`. Empty unless asked for.
    #[serde(skip)]
    pub images: Vec<Tensor>,
}

/// A share of samples classified correctly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// correct/n.
    pub accuracy: f64,
    /// Samples classified correctly.
    pub correct: usize,
    /// Samples.
    pub n: usize,
    /// Its 95 % interval.
    pub ci95: [f64; 2],
}

impl Accuracy {
    pub(super) fn new(correct: usize, n: usize) -> Self {
        Self { accuracy: correct as f64 / n as f64, correct, n, ci95: wilson95(correct, n) }
    }
}

/// What one attack left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackResult {
    /// The attack's name.
    pub name: String,
    /// Its complete specification.
    pub spec: String,
    /// The norm that it measures perturbations in.
    pub norm: String,
    /// ε in pixels of [0, 1], as the number that the specification stands for; none if it has none.
    pub epsilon: Option<f64>,
    /// robust/n.
    pub robust_accuracy: f64,
    /// Samples classified correctly before and after the attack.
    pub robust: usize,
    /// All samples, those misclassified without an attack included.
    pub n: usize,
    /// The 95 % interval of the robust accuracy.
    pub ci95: [f64; 2],
    /// Among the samples classified correctly before, the share misclassified after; none if
    /// there are no such samples.
    pub attack_success_rate: Option<f64>,
    /// For an attack with targets, samples that came out as their target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_target: Option<usize>,
    /// The median length of the perturbations found, in the attack's norm, in pixels; those that a
    /// minimal-norm attack found further away than ε included.
    pub median_norm: Option<f64>,
    /// The largest length of the perturbations found.
    pub max_norm: Option<f64>,
    /// Samples on which the attack had no gradient to follow; not robust, not successes.
    pub undecided: usize,
    /// Successes classified correctly again after rounding to 8 bits a pixel, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounded_successes_lost: Option<usize>,
    /// Images the attack sent forward. (Checking its result is not counted.)
    pub forward: u64,
    /// Images the attack pulled back.
    pub backward: u64,
    /// Wall-clock time, checking included.
    pub seconds: f64,
    /// For an attack made of several, each of them in the order they run; empty for others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberResult>,
}

impl AttackResult {
    pub(super) fn new(
        spec: &AttackSpec,
        outcomes: &[SampleOutcome],
        correct: usize,
        tally: &Tally,
        members: Vec<MemberResult>,
    ) -> Self {
        let n = outcomes.len();
        let with = |verdict| outcomes.iter().filter(move |outcome| outcome.verdict == verdict);
        let robust = with(Verdict::Robust).count();
        let fooled = with(Verdict::Fooled).count();
        let found = outcomes.iter().filter(|outcome| outcome.is_found);
        let mut norms: Vec<f64> = found.map(|outcome| outcome.norm).collect();
        norms.sort_by(f64::total_cmp);
        Self {
            name: spec.name().into(),
            spec: spec.to_string(),
            norm: spec.norm().to_string(),
            epsilon: spec.epsilon().map(Epsilon::value),
            robust_accuracy: robust as f64 / n as f64,
            robust,
            n,
            ci95: wilson95(robust, n),
            attack_success_rate: (correct > 0).then(|| fooled as f64 / correct as f64),
            on_target: tally.has_targets.then_some(tally.on_target),
            median_norm: median(&norms),
            max_norm: norms.last().copied(),
            undecided: tally.undecided,
            rounded_successes_lost: tally.rounded_successes_lost,
            forward: tally.forward,
            backward: tally.backward,
            seconds: tally.seconds,
            members,
        }
    }
}

/// Of sorted values; the mean of the middle two if their number is even.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// What all attacks together left: a sample is robust if it is under each of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorstCase {
    /// robust/n.
    pub robust_accuracy: f64,
    /// Samples that withstood every attack.
    pub robust: usize,
    /// All samples.
    pub n: usize,
    /// The 95 % interval of the robust accuracy.
    pub ci95: [f64; 2],
    /// Among the samples classified correctly before, the share some attack was successful on.
    pub attack_success_rate: Option<f64>,
}

impl WorstCase {
    pub(super) fn new(rows: &[SampleRow], correct: usize) -> Self {
        let (robust, n) = (rows.iter().filter(|row| row.robust()).count(), rows.len());
        let is_fooled =
            |row: &&SampleRow| row.attacks.iter().any(|one| one.verdict == Verdict::Fooled);
        let fooled = rows.iter().filter(is_fooled).count();
        Self {
            robust_accuracy: robust as f64 / n as f64,
            robust,
            n,
            ci95: wilson95(robust, n),
            attack_success_rate: (correct > 0).then(|| fooled as f64 / correct as f64),
        }
    }
}

/// One image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleRow {
    /// Its place in its split as stored.
    pub index: usize,
    /// Its class.
    pub label: usize,
    /// The class it is given without an attack; none if its logits are not finite.
    pub clean_prediction: Option<usize>,
    /// For each attack.
    pub attacks: Vec<SampleOutcome>,
}

impl SampleRow {
    /// Whether it withstood every attack (without any: whether it is classified correctly).
    pub fn robust(&self) -> bool {
        self.clean_prediction == Some(self.label)
            && self.attacks.iter().all(|outcome| outcome.verdict == Verdict::Robust)
    }
}

/// One image under one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleOutcome {
    /// What may be said.
    pub verdict: Verdict,
    /// The class the returned image is given; none if its logits are not finite.
    pub prediction: Option<usize>,
    /// The length of the perturbation in the attack's norm, in pixels.
    pub norm: f64,
    /// Whether the returned image is misclassified, within ε or not.
    pub is_found: bool,
    /// Under an attack made of several, the position of the member that solved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solved_by: Option<usize>,
}

impl SampleOutcome {
    pub(super) fn not_attacked(prediction: Option<usize>) -> Self {
        Self {
            verdict: Verdict::Misclassified,
            prediction,
            norm: 0.0,
            is_found: false,
            solved_by: None,
        }
    }
}

/// What may be said of one image under one attack. Only the first is counted as robust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Still classified correctly, by an attack that had gradients to follow.
    Robust,
    /// Misclassified after the attack.
    Fooled,
    /// Misclassified without an attack, and not attacked.
    Misclassified,
    /// Still classified correctly, but the attack never had a usable gradient.
    Undecided,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Robust => "robust",
            Self::Fooled => "fooled",
            Self::Misclassified => "misclassified",
            Self::Undecided => "undecided",
        })
    }
}

impl Evaluation {
    /// The rows as CSV: for each image a line for each attack, or a single one with empty columns
    /// when nothing attacked. A prediction is empty where the logits were not finite.
    pub fn csv(&self) -> String {
        let mut text =
            String::from("index,label,clean_prediction,attack,verdict,prediction,norm\n");
        let class = |class: Option<usize>| class.map(|class| class.to_string()).unwrap_or_default();
        // Writing to a string does not fail.
        for row in &self.rows {
            let SampleRow { index, label, clean_prediction, attacks } = row;
            let start = format!("{index},{label},{}", class(*clean_prediction));
            if attacks.is_empty() {
                let _ = writeln!(text, "{start},,,,");
            }
            for (outcome, attack) in attacks.iter().zip(&self.attacks) {
                let SampleOutcome { verdict, prediction, norm, .. } = outcome;
                let (spec, prediction) = (&attack.spec, class(*prediction));
                let _ = writeln!(text, "{start},\"{spec}\",{verdict},{prediction},{norm}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }
}

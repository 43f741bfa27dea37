//! What makes a robust accuracy doubtful: what the preflight saw, and what the attacks say of each
//! other afterwards (Athalye et al. 2018; Carlini et al. 2019).

use cure_network::Classifier;
use cure_tensor::Room;
use serde::{Deserialize, Serialize};

use super::{EvaluationSet, SampleRow, Verdict};
use crate::adversarial::Adversarial;
use crate::attack::AttackSpec;
use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::preflight;
use crate::registry::{Kind, Knowledge};
use crate::warning::Warning;

/// The share of samples that only an attack without gradients fools before it is said; as
/// AutoAttack's check.
const MASKED_SHARE: f64 = 0.002;
/// Points of accuracy by which PGD's start may matter.
const START_POINTS: f64 = 5.0;
/// The ε in ℓ∞ at which every image can be made grey.
const GREY: f64 = 0.5;
/// The share by which the mean best loss may rise over the last tenth of the steps.
const LATE_RISE: f64 = 0.01;
/// How far two lengths that should be the same may differ.
const ROUNDING: f64 = 1e-9;

/// What the preflight says, less what is said of the whole set afterwards, or concerns no attack.
pub(super) fn before(
    classifier: &dyn Classifier,
    set: &EvaluationSet,
    attacks: &[AttackSpec],
    room: &Room,
) -> Result<Vec<Warning>> {
    if attacks.is_empty() {
        return Ok(Vec::new());
    }
    // Attacks that need more classes than there are have been refused by name.
    let compares_logits = |spec: &AttackSpec| spec.to_string().contains("loss=dlr");
    let mut warnings = preflight::look(classifier, set, room)?;
    warnings.retain(|warning| match warning {
        Warning::ConstantLogits { .. } | Warning::NonFiniteLogits { .. } => false,
        Warning::FewClasses { .. } => attacks.iter().any(compares_logits),
        _ => true,
    });
    Ok(warnings)
}

/// The best loss of the samples that were not solved, and how much of it came late.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LateRise {
    samples: usize,
    loss: f64,
    gain: f64,
}

impl LateRise {
    pub(super) fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.loss += other.loss;
        self.gain += other.gain;
    }

    pub(super) fn note(&mut self, found: &Adversarial) {
        let Some(gains) = &found.late_gain else { return };
        for (row, &gain) in gains.iter().enumerate() {
            if !found.solved[row] && gain.is_finite() && found.best_loss[row].is_finite() {
                self.samples += 1;
                self.loss += found.best_loss[row];
                self.gain += gain;
            }
        }
    }

    pub(super) fn warning(&self, spec: &AttackSpec) -> Option<Warning> {
        // Some losses are negative: it is their size that a rise is a share of.
        let earlier = (self.loss - self.gain).abs();
        (self.samples > 0 && self.gain > LATE_RISE * earlier).then(|| Warning::StillRising {
            attack: spec.to_string(),
            percent: 100.0 * self.gain / earlier.max(f64::MIN_POSITIVE),
        })
    }
}

/// An attack that has run.
pub(super) struct Ran<'a> {
    pub(super) spec: &'a AttackSpec,
    /// Whether it wanted certain classes. Then its successes cannot be compared with others'.
    pub(super) has_targets: bool,
}

/// What the attacks, in the order of the rows' outcomes, say of each other. Those `confined` to a
/// region cannot make every image grey.
pub(super) fn after(
    ran: &[Ran<'_>],
    rows: &[SampleRow],
    classes: usize,
    confined: bool,
) -> Vec<Warning> {
    let columns: Vec<Column<'_>> = ran
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.has_targets)
        .map(|(place, one)| Column { spec: one.spec, place, rows })
        .collect();
    let mut warnings = masked(&columns, rows.len());
    warnings.extend(starts(&columns, rows.len()));
    warnings.extend(not_falling(&columns));
    if !confined {
        warnings.extend(grey(&columns, rows, classes));
    }
    warnings
}

/// The outcomes of one attack.
struct Column<'a> {
    spec: &'a AttackSpec,
    place: usize,
    rows: &'a [SampleRow],
}

impl Column<'_> {
    fn verdict(&self, row: &SampleRow) -> Verdict {
        row.attacks[self.place].verdict
    }

    fn robust(&self) -> usize {
        self.rows.iter().filter(|row| self.verdict(row) == Verdict::Robust).count()
    }

    fn has_ball_of(&self, other: &Self) -> bool {
        let same = |a: Epsilon, b: Epsilon| close(a.value(), b.value());
        self.spec.norm() == other.spec.norm()
            && self.spec.epsilon().zip(other.spec.epsilon()).is_some_and(|(a, b)| same(a, b))
    }

    fn knows(&self, accepted: &[Knowledge]) -> bool {
        self.spec.entry().is_some_and(|entry| accepted.contains(&entry.knowledge))
    }

    /// Whether it tries all it can within ε. A single step does not, and a minimal-norm attack
    /// looks for something else.
    fn is_thorough(&self) -> bool {
        let is_budget = self.spec.entry().is_some_and(|entry| entry.kind == Kind::Budget);
        is_budget && self.spec.name() != "fgsm"
    }
}

/// Each attack without gradients against each with gradients in the same ball; of the latter the
/// thorough ones if there are any.
fn masked(columns: &[Column<'_>], n: usize) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let free =
        columns.iter().filter(|column| column.knows(&[Knowledge::Logits, Knowledge::Nothing]));
    for free in free {
        let mut based: Vec<&Column<'_>> = columns
            .iter()
            .filter(|column| column.knows(&[Knowledge::Gradients]) && column.has_ball_of(free))
            .collect();
        if based.iter().any(|column| column.is_thorough()) {
            based.retain(|column| column.is_thorough());
        }
        for based in based {
            let is_missed = |row: &&SampleRow| {
                free.verdict(row) == Verdict::Fooled && based.verdict(row) != Verdict::Fooled
            };
            let samples = free.rows.iter().filter(is_missed).count();
            if samples as f64 > MASKED_SHARE * n as f64 {
                warnings.push(Warning::MaskedGradients {
                    free: free.spec.to_string(),
                    based: based.spec.to_string(),
                    samples,
                    of: n,
                });
            }
        }
    }
    warnings
}

/// Pairs of PGD that differ in their start, and the restarts that it allows, alone.
fn starts(columns: &[Column<'_>], n: usize) -> Vec<Warning> {
    let with = |is_random: bool| {
        columns.iter().filter(move |column| {
            let fields = Fields::of(column.spec);
            column.spec.name() == "pgd"
                && (fields.get("random-start") != Some("false")) == is_random
        })
    };
    let mut warnings = Vec::new();
    for random in with(true) {
        for clean in with(false) {
            let (one, other) = (Fields::of(random.spec), Fields::of(clean.spec));
            let difference = random.robust().abs_diff(clean.robust());
            let points = 100.0 * difference as f64 / n as f64;
            if points > START_POINTS && one.is_like(&other, &["random-start", "restarts"]) {
                let (random, clean) = (random.spec.to_string(), clean.spec.to_string());
                warnings.push(Warning::StartMatters { random, clean, points });
            }
        }
    }
    warnings
}

/// Each attack against the same one at the next larger ε.
fn not_falling(columns: &[Column<'_>]) -> Vec<Warning> {
    let radius = |column: &Column<'_>| column.spec.epsilon().map_or(0.0, Epsilon::value);
    let mut warnings = Vec::new();
    for smaller in columns.iter().filter(|column| column.spec.epsilon().is_some()) {
        let larger = columns.iter().filter(|column| {
            radius(column) > radius(smaller) && differ_in_epsilon(smaller.spec, column.spec)
        });
        let next = larger.min_by(|a, b| radius(a).total_cmp(&radius(b)));
        if let Some(larger) = next
            && smaller.robust() > 0
            && larger.robust() >= smaller.robust()
        {
            warnings.push(Warning::NotFalling {
                smaller: smaller.spec.to_string(),
                larger: larger.spec.to_string(),
                before: smaller.robust(),
                after: larger.robust(),
            });
        }
    }
    warnings
}

/// What all attacks of ε ≥ 0.5 in ℓ∞ left. There every image can be turned into the same grey one,
/// which has one class: at most the share of the most frequent label can be robust.
fn grey(columns: &[Column<'_>], rows: &[SampleRow], classes: usize) -> Option<Warning> {
    let is_wide = |column: &&Column<'_>| {
        let epsilon = column.spec.epsilon();
        column.spec.norm() == Norm::Linf && epsilon.is_some_and(|epsilon| epsilon.value() >= GREY)
    };
    let wide: Vec<&Column<'_>> = columns.iter().filter(is_wide).collect();
    if wide.is_empty() {
        return None;
    }
    let withstands =
        |row: &&SampleRow| wide.iter().all(|column| column.verdict(row) == Verdict::Robust);
    let robust = rows.iter().filter(withstands).count();
    let mut of_class = vec![0; classes];
    rows.iter().for_each(|row| of_class[row.label] += 1);
    let (most, of) = (of_class.into_iter().max().unwrap_or(0), rows.len());
    let is_chance = robust <= most || robust * classes <= of;
    (!is_chance).then_some(Warning::RobustWhenGrey { robust, of })
}

/// Whether two attacks are the same but for ε, and lengths that are shares of it.
fn differ_in_epsilon(one: &AttackSpec, other: &AttackSpec) -> bool {
    let Some(epsilon) = other.epsilon() else { return false };
    let (fields, others) = (Fields::of(one), Fields::of(other));
    fields.is_like(&others, &["eps"]) || Fields::of(&one.at(epsilon)).is_like(&others, &[])
}

/// What a specification says: the name, then the parameters.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(spec: &AttackSpec) -> Self {
        let text = spec.to_string();
        let parameters = text.split_once(':').map_or("", |(_, parameters)| parameters);
        let pairs = parameters.split(',').filter_map(|part| part.split_once('='));
        let name = ("name".to_owned(), spec.name().to_owned());
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(std::iter::once(name).chain(pairs).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether both say the same of everything but `aside`.
    fn is_like(&self, other: &Self, aside: &[&str]) -> bool {
        let says = |one: &Self, other: &Self| {
            one.0.iter().filter(|(name, _)| !aside.contains(&name.as_str())).all(|(name, value)| {
                other.get(name).is_some_and(|found| found == value || is_length(found, value))
            })
        };
        says(self, other) && says(other, self)
    }
}

/// Whether both are the same length, rounding aside.
fn is_length(one: &str, other: &str) -> bool {
    let length = |text: &str| text.parse::<Epsilon>().ok().map(Epsilon::value);
    length(one).zip(length(other)).is_some_and(|(a, b)| close(a, b))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING * a.max(b)
}

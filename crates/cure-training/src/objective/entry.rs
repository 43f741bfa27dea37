//! The table of objectives: whatever can be named on the command line, in the order it is listed.

use cure_attacks::{AttackError, Climb, Epsilon, Parameter};

use super::batch_norm::BatchNormMode;
use super::{
    Objective, adversarial, cure, elle, gradalign, gradient_penalty, llr, mart, standard, trades,
};
use crate::error::{Result, TrainingError};

/// What is known of an objective without running it: a row of the table of objectives.
#[derive(Clone, Copy, Debug)]
pub struct ObjectiveEntry {
    /// What stands before the colon, and at `method` in configurations.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Where it comes from.
    pub reference: &'static str,
    /// Passes of a step with the defaults and in general: evaluations, pull backs and weight
    /// gradients of the whole network on the batch.
    pub passes: &'static str,
    /// Its parameters with their defaults, as in configurations; – must be given.
    pub parameters: &'static [Parameter],
}

const OBJECTIVES: &[ObjectiveEntry] = &[
    standard::ENTRY,
    cure::ENTRY,
    adversarial::pgd::ENTRY,
    adversarial::fgsm::ENTRY,
    adversarial::fgsm::RANDOM_ENTRY,
    adversarial::fgsm::NOISE_ENTRY,
    adversarial::free::ENTRY,
    adversarial::deepfool::ENTRY,
    trades::ENTRY,
    mart::ENTRY,
    gradient_penalty::ENTRY,
    gradalign::ENTRY,
    llr::ENTRY,
    elle::ENTRY,
];

/// The objectives that a specification can name.
pub fn objectives() -> &'static [ObjectiveEntry] {
    OBJECTIVES
}

impl Objective {
    /// Its row in the table of objectives.
    pub fn entry(&self) -> &'static ObjectiveEntry {
        match self {
            Self::Standard(_) => &standard::ENTRY,
            Self::Cure(_) => &cure::ENTRY,
            Self::PgdAt(_) => &adversarial::pgd::ENTRY,
            Self::FgsmAt(_) => &adversarial::fgsm::ENTRY,
            Self::FgsmRs(_) => &adversarial::fgsm::RANDOM_ENTRY,
            Self::NFgsm(_) => &adversarial::fgsm::NOISE_ENTRY,
            Self::Free(_) => &adversarial::free::ENTRY,
            Self::DeepFool(_) => &adversarial::deepfool::ENTRY,
            Self::Trades(_) => &trades::ENTRY,
            Self::Mart(_) => &mart::ENTRY,
            Self::GradientPenalty(_) => &gradient_penalty::ENTRY,
            Self::GradAlign(_) => &gradalign::ENTRY,
            Self::Llr(_) => &llr::ENTRY,
            Self::Elle(_) => &elle::ENTRY,
        }
    }
}

/// Rows that several objectives share.
pub(super) const NORM: Parameter = Parameter::new("norm", "linf", "linf, l2 or l1");
pub(super) const EPS: Parameter =
    Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given");
pub(super) const STEP: Parameter = Parameter::new("step", "eps/4", "length of a step in pixels");
pub(super) const START: Parameter =
    Parameter::new("start", "0.001", "radius in pixels of the random start, at most eps");
pub(super) const AWP: Parameter = Parameter::new(
    "awp",
    "0",
    "γ of adversarial weight perturbation, a share of each weight's norm",
);
pub(super) const LOSS_MODE: Parameter =
    Parameter::new("loss_mode", "train", "BatchNorm in the passes of the loss: train or eval");
pub(super) const ATTACK_MODE: Parameter =
    Parameter::new("attack_mode", "eval", "BatchNorm in the passes of the attack: train or eval");
pub(super) const REGULARIZER_MODE: Parameter = Parameter::new(
    "regularizer_mode",
    "eval",
    "BatchNorm in the passes of the regulariser: train or eval",
);
/// Where the points are found in the regulariser's mode too.
pub(super) const CLIMBING_REGULARIZER_MODE: Parameter = Parameter::new(
    "regularizer_mode",
    "eval",
    "BatchNorm in the passes of the regulariser and up to the points: train or eval",
);
pub(super) const SMOOTHING: Parameter =
    Parameter::new("smoothing", "0", "label smoothing s: the target is (1 − s)·y + s/K");

/// Defaults that several objectives share: BatchNorm of regularisers,
pub(super) fn eval() -> BatchNormMode {
    BatchNormMode::Eval
}

/// the steps of the attacks of TRADES and MART,
pub(super) fn ten() -> usize {
    10
}

/// and the radius of their random starts.
pub(super) fn nearby() -> Epsilon {
    Epsilon::THOUSANDTH
}

/// For fields that are written only where they say something.
pub(super) fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// The largest weight: far beyond any use, and far from where products of it leave single
/// precision.
const HEAVIEST: f64 = 1e6;

/// The most steps of an attack or replays of a batch: nobody waits for more, and a step is not
/// interrupted.
const MOST: usize = 1000;

/// # Errors
/// If the value is not from 0 to [`HEAVIEST`].
pub(super) fn check_weight(name: &'static str, value: f64) -> Result<()> {
    let accepted = || format!("a number from 0 to {HEAVIEST:e}");
    check_number(name, value, (0.0..=HEAVIEST).contains(&value), accepted)
}

/// # Errors
/// If the value is not in [0, 1).
pub(super) fn check_share(name: &'static str, value: f64) -> Result<()> {
    check_number(name, value, (0.0..1.0).contains(&value), || "0 or more and below 1".into())
}

/// # Errors
/// If the value is not `fine`.
pub(super) fn check_number(
    name: &'static str,
    value: f64,
    fine: bool,
    accepted: impl FnOnce() -> String,
) -> Result<()> {
    // Hundreds of digits help nobody.
    let is_short = value == 0.0 || (1e-6..1e9).contains(&value.abs());
    let shown = || if is_short { value.to_string() } else { format!("{value:e}") };
    if fine { Ok(()) } else { Err(TrainingError::setting(name, shown(), accepted())) }
}

/// # Errors
/// If there is none, or more than [`MOST`].
pub(super) fn check_count(name: &'static str, value: usize) -> Result<()> {
    match value {
        1..=MOST => Ok(()),
        _ => Err(TrainingError::setting(name, value, format!("1 or more, up to {MOST}"))),
    }
}

/// A length of a climb that follows from a parameter: who gave only that knows nothing of the
/// length.
pub(super) struct Follows {
    /// As the check of a climb calls it.
    pub(super) length: &'static str,
    /// What was given, and its value.
    pub(super) parameter: &'static str,
    pub(super) given: f64,
    /// How the one follows from the other, in words.
    pub(super) formula: &'static str,
}

/// Whether a climb fits images of so many pixels, where that is known.
///
/// # Errors
/// Naming what was given where the length that is refused only follows from it.
pub(super) fn check_climb(
    climb: &Climb,
    dimension: Option<usize>,
    follows: Option<Follows>,
) -> Result<()> {
    match (climb.check(dimension), follows) {
        (Err(AttackError::LargerThanRange { name, value, range, .. }), Some(follows))
            if name == follows.length =>
        {
            let Follows { parameter, given, formula, .. } = follows;
            let accepted = format!("what keeps {formula}, here {value}, within {range}");
            check_number(parameter, given, false, || accepted)
        }
        (found, _) => Ok(found?),
    }
}

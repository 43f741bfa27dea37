use cure_attacks::AttackSpec;
use serde::{Deserialize, Serialize};

use super::crossing::{change, crossing};
use super::{QuadraticModel, TheoremOne};
use crate::error::{GeometryError, Result, check_count};
use crate::hessian::Hessian;
use crate::lanczos::{LanczosOptions, extremes};
use crate::linear::{dot, norm};
use crate::losses::Losses;
use crate::perturbation::{check_nearest, perturbations};

/// How bounds are set beside distances.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundsOptions {
    /// t, the loss at the boundary. Default log 2, that of two classes.
    pub threshold: f64,
    /// How λ_max and its vector are found; `largest` is 1 whatever it says.
    pub lanczos: LanczosOptions,
    /// Products with H for the quadratic model's minimum, at most. Default 40.
    pub model_steps: usize,
}

impl Default for BoundsOptions {
    fn default() -> Self {
        Self {
            threshold: std::f64::consts::LN_2,
            lanczos: LanczosOptions::default(),
            model_steps: 40,
        }
    }
}

impl BoundsOptions {
    fn lanczos_of_the_largest(&self) -> LanczosOptions {
        LanczosOptions { largest: 1, ..self.lanczos }
    }

    /// Whether they and the attack can be used on images of `dimension` pixel values; [`bounds`] asks
    /// the same.
    ///
    /// # Errors
    /// [`GeometryError::Setting`], with what is accepted.
    pub fn check(&self, attack: &AttackSpec, dimension: usize) -> Result<()> {
        check_nearest(attack)?;
        if !(self.threshold > 0.0 && self.threshold.is_finite()) {
            return Err(GeometryError::setting("the threshold", self.threshold, "a loss above 0"));
        }
        if self.model_steps == 0 {
            return Err(GeometryError::setting("the model's number of steps", 0, "1 or more"));
        }
        self.lanczos_of_the_largest().check(dimension)
    }
}

/// Whether Theorem 1 says anything of a sample, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// c ≥ 0, ν ≥ 0 and g ≠ 0: the bounds hold for the quadratic model.
    Bounded,
    /// The image is not classified as its label: there is no distance to lose.
    Misclassified,
    /// c < 0 though the class is right: ℓ(x) is over t already, as it may be with more than two
    /// classes.
    OverThreshold,
    /// ν < 0: the loss bends down in every direction, and the theorem is not about that.
    Concave,
    /// g = 0: the bounds divide by it.
    NoGradient,
    /// Loss, gradient or a product with H is not finite.
    NotFinite,
}

/// Why a bound does not hold for the real distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Violation {
    /// The distance is under the lower bound: on the way there the loss rises faster than its
    /// quadratic model can.
    RisesFaster,
    /// It is over the upper bound, and so is the distance at which ℓ reaches t on the way: the loss
    /// rises more slowly than its model, or the attack did not find the nearest point.
    RisesSlower,
    /// It is over the upper bound, but ℓ reaches t within it: between there and the boundary no class
    /// has half of the probability.
    BoundaryBeyondThreshold,
}

/// A sample's distance to the boundary beside what Theorem 1 says of it. Lengths are in the declared
/// scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundsRow {
    /// Place in its split as stored.
    pub index: usize,
    /// Whether the bounds apply.
    pub standing: Standing,
    /// ℓ(x).
    pub loss: f64,
    /// c = t − ℓ(x).
    pub c: f64,
    /// ‖g‖.
    pub gradient: f64,
    /// ν, the algebraically largest eigenvalue; none where there is no finite one.
    pub curvature: Option<f64>,
    /// ‖Hu − νu‖.
    pub residual: Option<f64>,
    /// |gᵀu|.
    pub along: Option<f64>,
    /// The bounds.
    pub bounds: Option<TheoremOne>,
    /// ‖r‖ of the quadratic model's exact minimum; none where it does not apply or the model never
    /// reaches t.
    pub model: Option<f64>,
    /// Whether Lanczos' method came to its tolerance.
    pub has_converged: bool,
    /// The distance to the boundary along the attack's perturbation: the length at which the class
    /// first changes; none where the attack found nothing.
    pub measured: Option<f64>,
    /// ‖r‖ of the attack's adversarial example, which lies somewhat beyond.
    pub attacked: Option<f64>,
    /// The length along the attack's perturbation at which ℓ first reaches t.
    pub crossing: Option<f64>,
    /// Which bound does not hold, and why; none where both do or there is nothing to compare.
    pub violation: Option<Violation>,
}

/// Share of a bound within which a distance counts as on the right side of it: lengths along a
/// perturbation are found to 1/32768 of it, and everything comes from f32.
const SLACK: f64 = 1e-3;

/// Theorem 1 beside the distances that `attack` finds, for every sample of `losses`. `indices` are
/// the samples' places in their split, which decide their random numbers. Nothing is left out:
/// samples that the theorem does not speak of have a row that says so.
///
/// # Errors
/// If the attack is not one that minimises ℓ2, arguments do not fit, the classifier fails, or
/// `proceed` says no.
pub fn bounds(
    losses: &Losses<'_>,
    hessian: &mut dyn Hessian,
    indices: &[usize],
    attack: &AttackSpec,
    options: &BoundsOptions,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<BoundsRow>> {
    check_count("indices", losses.samples(), indices.len())?;
    check_count("the operator's samples", losses.samples(), hessian.samples())?;
    options.check(attack, losses.dimension())?;
    let here = losses.gradients()?;
    let all: Vec<usize> = (0..losses.samples()).collect();
    let lanczos = options.lanczos_of_the_largest();
    let found = extremes(hessian, &all, indices, &lanczos, &mut proceed)?;
    let models = QuadraticModel::of(hessian, &all, &here.gradients, options.model_steps)?;
    let perturbations = perturbations(losses, indices, attack, lanczos.seed)?;
    let shares = shares(losses, &perturbations, options.threshold)?;

    let row = |i: usize| {
        let (gradient, loss) = (norm(&here.gradients[i]), here.losses[i]);
        let top = found[i].as_ref().and_then(|extremes| extremes.largest.first());
        let along = top.map(|pair| dot(&here.gradients[i], &pair.vector).abs());
        let c = options.threshold - loss;
        let attacked = perturbations[i].as_ref().map(|r| norm(r));
        let along_attack =
            |share: Option<f64>| attacked.zip(share).map(|(length, share)| length * share);
        let standing = match top {
            Some(top) if loss.is_finite() && gradient.is_finite() => {
                match (here.predicted[i] == losses.labels()[i], gradient == 0.0) {
                    (false, _) => Standing::Misclassified,
                    (_, true) => Standing::NoGradient,
                    _ if c < 0.0 => Standing::OverThreshold,
                    _ if top.value < 0.0 => Standing::Concave,
                    _ => Standing::Bounded,
                }
            }
            _ => Standing::NotFinite,
        };
        let mut row = BoundsRow {
            index: indices[i],
            standing,
            loss,
            c,
            gradient,
            curvature: top.map(|pair| pair.value),
            residual: top.map(|pair| pair.residual),
            along,
            bounds: None,
            model: None,
            has_converged: found[i].as_ref().is_some_and(|extremes| extremes.has_converged),
            // What is misclassified as it is has no way to go.
            measured: along_attack(shares[i].0).or(attacked.filter(|&length| length == 0.0)),
            attacked,
            crossing: along_attack(shares[i].1),
            violation: None,
        };
        if let (Standing::Bounded, Some(top), Some(along)) = (standing, top, along) {
            let curvature = top.value.max(0.0);
            let bounds = TheoremOne::new(c, gradient, along, curvature);
            row.model = models[i].as_ref().and_then(|model| model.nearest(c, curvature));
            row.violation = row.measured.and_then(|r| violation(&bounds, r, row.crossing));
            row.bounds = Some(bounds);
        }
        row
    };
    Ok(all.into_iter().map(row).collect())
}

fn violation(bounds: &TheoremOne, measured: f64, crossing: Option<f64>) -> Option<Violation> {
    let over = bounds.upper * (1.0 + SLACK);
    match measured {
        r if r < bounds.lower * (1.0 - SLACK) => Some(Violation::RisesFaster),
        r if r > over => Some(match crossing.is_some_and(|crossing| crossing <= over) {
            true => Violation::BoundaryBeyondThreshold,
            false => Violation::RisesSlower,
        }),
        _ => None,
    }
}

/// For each sample the shares of its perturbation at which the class first changes and at which ℓ first
/// reaches t.
fn shares(
    losses: &Losses<'_>,
    perturbations: &[Option<Vec<f64>>],
    threshold: f64,
) -> Result<Vec<(Option<f64>, Option<f64>)>> {
    let rows: Vec<usize> =
        (0..perturbations.len()).filter(|&i| perturbations[i].is_some()).collect();
    let known: Vec<Vec<f64>> = perturbations.iter().flatten().cloned().collect();
    let changes = change(losses, &rows, &known)?;
    let crossings = crossing(losses, &rows, &known, threshold)?;
    let mut shares = vec![(None, None); perturbations.len()];
    for (row, found) in rows.into_iter().zip(changes.into_iter().zip(crossings)) {
        shares[row] = found;
    }
    Ok(shares)
}

//! The local linearity regulariser (Qin et al. 2019): the mean of ℓ(x) + λ·|E(δ)| + μ·|δᵀ∇ℓ(x)|
//! with E(δ) = ℓ(x + δ) − ℓ(x) − δᵀ∇ℓ(x), δ the point of the ball that steps up |E| from a random
//! start end in. A small curvature makes E small; the last term keeps the linear part small too.
//!
//! The gradient is exact for that δ: E's first-order part at both points, and ∇_θ⟨v, ∇ℓ(x)⟩ for the
//! products with ∇ℓ(x), as in CURE.
//!
//! Cost: 2·steps passes for δ; 6 at x; 3 at x + δ; 3 for the loss unless it shares the mode.

use cure_attacks::{Climb, Epsilon, Norm, Parameter};
use cure_network::Network;
use cure_tensor::Tensor;
use cure_tensor::ops::{self, CrossEntropy};
use serde::{Deserialize, Serialize};

use super::adversarial::pgd::linf;
use super::batch_norm::{BatchNormMode, Passes};
use super::entry::{
    CLIMBING_REGULARIZER_MODE, EPS, LOSS_MODE, NORM, ObjectiveEntry, SMOOTHING, check_climb,
    check_count, check_weight, eval,
};
use super::loss::{LossOptions, count_correct, cross_entropy};
use super::part::{Batch, Part};
use super::point::Point;
use super::standard::with_loss;
use super::{EpochValues, Minimise};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "llr",
    title: "the loss and how far it is from linear in the ball",
    reference: "Qin et al. 2019",
    passes: "16: 2·steps + 9, and 3 for ℓ(x) unless it shares the mode",
    parameters: &[
        EPS,
        NORM,
        Parameter::new("lambda", "4", "λ, weight of the distance from linear"),
        Parameter::new("mu", "3", "μ, weight of the linear part"),
        Parameter::new("steps", "2", "steps up the distance"),
        Parameter::new("step", "eps/2", "length of a step in pixels"),
        LOSS_MODE,
        CLIMBING_REGULARIZER_MODE,
        SMOOTHING,
    ],
};

/// The parameters of the local linearity regulariser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlrOptions {
    /// ε, the radius of the ball in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// λ, the weight of |E|. Default 4.
    #[serde(default = "four")]
    pub lambda: f64,
    /// μ, the weight of |δᵀ∇ℓ(x)|. Default 3.
    #[serde(default = "three")]
    pub mu: f64,
    /// Steps up |E|. Default 2.
    #[serde(default = "two")]
    pub steps: usize,
    /// The length of a step in pixels. Default ε/2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Epsilon>,
    /// BatchNorm in the passes of the regulariser. Default running statistics.
    #[serde(default = "eval")]
    pub regularizer_mode: BatchNormMode,
    /// The loss; the regulariser is of the smoothed one.
    #[serde(flatten)]
    pub loss: LossOptions,
}

fn four() -> f64 {
    4.0
}

fn three() -> f64 {
    3.0
}

fn two() -> usize {
    2
}

/// E and δᵀ∇ℓ(x) of each sample at one δ.
struct Linearity {
    distances: Vec<f64>,
    slopes: Vec<f64>,
}

impl Linearity {
    fn new(here: &Point<'_>, change: &Tensor, there: &CrossEntropy) -> Result<Self> {
        let slopes = ops::sample_dot(change, here.adjoint.input())?;
        let (there, here) = (there.losses.to_vec(), here.loss.losses.to_vec());
        let sums = there.iter().zip(&here).zip(&slopes);
        Ok(Self {
            distances: sums.map(|((there, here), slope)| there - here - slope).collect(),
            slopes,
        })
    }
}

fn signs(values: &[f64], weight: f64) -> Vec<f32> {
    let sign = |value: f64| if value == 0.0 { 0.0 } else { value.signum() };
    values.iter().map(|&value| (weight * sign(value)) as f32).collect()
}

fn sizes(values: &[f64]) -> f64 {
    values.iter().map(|value| value.abs()).sum()
}

impl LlrOptions {
    fn climb(&self) -> Climb {
        let step = self.step.unwrap_or(self.eps.times(0.5));
        let start = Some(self.eps);
        Climb { norm: self.norm, epsilon: Some(self.eps), step, steps: self.steps, start }
    }

    /// x + δ.
    fn attack(&self, passes: &Passes, here: &Point<'_>, batch: &Batch<'_>) -> Result<Tensor> {
        let classifier = passes.classifier();
        self.climb().run(batch.images, &batch.attack_streams(), batch.draw(0), |points| {
            let pass = classifier.linearize(points)?;
            let loss = cross_entropy(pass.logits(), batch.labels, self.loss.smoothing)?;
            let change = ops::subtract(points, batch.images)?;
            let linearity = Linearity::new(here, &change, &loss)?;
            let by_point = ops::subtract(&pass.pullback(&loss.residual)?, here.adjoint.input())?;
            Ok(ops::scale_samples(&by_point, &signs(&linearity.distances, 1.0))?)
        })
    }

    fn regularizer(&self, passes: &Passes, batch: &Batch<'_>, is_shared: bool) -> Result<Part> {
        let here = Point::new(passes.linearize(batch.images)?, batch.labels, self.loss.smoothing)?;
        let points = match batch.points {
            Some(points) => points.clone(),
            None => self.attack(passes, &here, batch)?,
        };
        let there = passes.linearize(&points)?;
        let at_points = cross_entropy(there.logits(), batch.labels, self.loss.smoothing)?;
        let change = ops::subtract(&points, batch.images)?;
        let Linearity { distances, slopes } = Linearity::new(&here, &change, &at_points)?;
        let loss = if is_shared { here.loss.losses.sum() } else { 0.0 };
        let correct = count_correct(here.pass.logits(), batch.labels);
        let statistics = vec![there.batch_statistics(), here.pass.batch_statistics()];

        let share = batch.share;
        let by_distance = signs(&distances, self.lambda);
        let by_slope = signs(&slopes, self.mu);
        let there_seed = ops::scale_samples(&at_points.residual, &by_distance)?;
        let gradients = there.parameter_gradient(&ops::scale(share, there_seed))?;
        let own = if is_shared { 1.0 } else { 0.0 };
        let factors: Vec<f32> = by_distance.iter().map(|by| own - by).collect();
        let seed = ops::scale(share, ops::scale_samples(&here.loss.residual, &factors)?);
        let factors: Vec<f32> = by_slope.iter().zip(&by_distance).map(|(a, b)| a - b).collect();
        let v = ops::scale(share, ops::scale_samples(&change, &factors)?);
        let gradients = gradients.add_scaled(1.0, &here.gradient_along(&v, Some(&seed))?)?;

        let regularizer = sizes(&distances);
        let objective = loss + self.lambda * regularizer + self.mu * sizes(&slopes);
        Ok(Part { gradients, objective, loss, regularizer, correct, statistics, next: None })
    }
}

impl Minimise for LlrOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.loss.check()?;
        check_weight("objective.lambda", self.lambda)?;
        check_weight("objective.mu", self.mu)?;
        check_count("objective.steps", self.steps)?;
        check_climb(&self.climb(), dimension, None)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        let is_shared = self.loss.loss_mode == self.regularizer_mode;
        let regularizer = {
            let passes = Passes::new(network, self.regularizer_mode)?;
            self.regularizer(&passes, batch, is_shared)?
        };
        with_loss(regularizer, is_shared, &self.loss, network, batch, batch.images)
    }
}

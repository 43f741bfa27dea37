//! The penalty on the input gradient: the mean of ℓ(x) + λ·‖∇ℓ(x)‖₂², or of ‖∇ℓ(x)‖₂: the paper's
//! references 11 (Gu and Rigazio 2014), 16 (Lyu et al. 2015) and 20 (Ross and Doshi-Velez 2018),
//! against which it sets a penalty on curvature. ∇ℓ is taken over pixels in [0, 1].
//!
//! The gradient is exact: with v the derivative of the penalty by ∇ℓ it is ∇_θ⟨v, ∇ℓ⟩, as in CURE.
//!
//! Cost: 6 passes for the penalty, 3 for the loss unless it shares the mode.

use cure_attacks::Parameter;
use cure_network::Network;
use cure_tensor::ops;
use serde::{Deserialize, Serialize};

use super::batch_norm::{BatchNormMode, Passes};
use super::entry::{LOSS_MODE, ObjectiveEntry, REGULARIZER_MODE, SMOOTHING, check_weight};
use super::length::penalty;
use super::loss::{LossOptions, count_correct};
use super::part::{Batch, Part, in_parts};
use super::point::Point;
use super::standard::with_loss;
use super::{EpochValues, Minimise};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "gradient-penalty",
    title: "the loss and the norm of its input gradient",
    reference: "Gu and Rigazio 2014; Lyu et al. 2015; Ross and Doshi-Velez 2018",
    passes: "9: 6, and 3 for ℓ(x) unless it shares the mode",
    parameters: &[
        Parameter::new("lambda", "1", "λ, weight of the penalty, for pixels in [0, 1]"),
        Parameter::new("squared", "true", "whether the penalty is ‖∇ℓ‖² or ‖∇ℓ‖"),
        LOSS_MODE,
        REGULARIZER_MODE,
        SMOOTHING,
    ],
};

/// The parameters of the penalty on the input gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradientPenaltyOptions {
    /// λ, its weight, for ∇ℓ over pixels in [0, 1]. Default 1.
    pub lambda: f64,
    /// Whether it is ‖∇ℓ‖² or ‖∇ℓ‖. Default squared.
    pub squared: bool,
    /// BatchNorm in the pass of the penalty. Default running statistics.
    pub regularizer_mode: BatchNormMode,
    /// The loss.
    #[serde(flatten)]
    pub loss: LossOptions,
}

impl Default for GradientPenaltyOptions {
    fn default() -> Self {
        let loss = LossOptions::default();
        Self { lambda: 1.0, squared: true, regularizer_mode: BatchNormMode::Eval, loss }
    }
}

impl Minimise for GradientPenaltyOptions {
    fn check(&self, _: Option<usize>) -> Result<()> {
        self.loss.check()?;
        check_weight("objective.lambda", self.lambda)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        let is_shared = self.loss.loss_mode == self.regularizer_mode;
        let penalty = {
            let passes = &Passes::new(network, self.regularizer_mode)?;
            in_parts(passes, batch, |batch| self.penalty(passes, batch, is_shared))?
        };
        with_loss(penalty, is_shared, &self.loss, network, batch, batch.images)
    }
}

impl GradientPenaltyOptions {
    fn penalty(&self, passes: &Passes, batch: &Batch<'_>, is_shared: bool) -> Result<Part> {
        let images = batch.images;
        let point = Point::new(passes.linearize(images)?, batch.labels, self.loss.smoothing)?;
        let gradient = point.adjoint.input();
        let (values, v) = penalty(gradient, self.squared)?;
        let v = ops::scale(self.lambda as f32 * batch.share, v);
        let regularizer: f64 = values.iter().sum();
        let loss = if is_shared { point.loss.losses.sum() } else { 0.0 };
        let correct = count_correct(point.pass.logits(), batch.labels);
        let statistics = vec![point.pass.batch_statistics()];
        let seed = is_shared.then(|| ops::scale(batch.share, point.loss.residual.clone()));
        let gradients = point.gradient_along(&v, seed.as_ref())?;
        let objective = loss + self.lambda * regularizer;
        Ok(Part { gradients, objective, loss, regularizer, correct, statistics, next: None })
    }
}

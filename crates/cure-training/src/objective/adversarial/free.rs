//! Free adversarial training (Shafahi et al. 2019): each batch is stepped on m times; one pull back
//! gives the gradient in θ, which steps the weights, and the gradient in x, which moves the
//! perturbation that the next replay starts from. 3 passes a replay.
//!
//! In a loop that steps once a batch this is m calls for a batch, each with the points that the one
//! before left ([`StepOutcome::next`](super::super::StepOutcome)), and an optimiser's step after
//! each; so m times as many steps in an epoch, and images in its counts, which the authors make up
//! for with m times fewer epochs. The perturbation starts at 0 with
//! each batch: the authors carry it over to the next one, whose images it was not made for, and a
//! run could then not be resumed from weights and optimiser alone.

use cure_attacks::{Climb, Epsilon, Norm, Parameter};
use cure_network::Network;
use cure_tensor::ops;
use serde::{Deserialize, Serialize};

use super::super::batch_norm::Passes;
use super::super::entry::{EPS, NORM, ObjectiveEntry, SMOOTHING, check_climb, check_count};
use super::super::loss::{LossOptions, count_correct, cross_entropy};
use super::super::part::{Batch, Part};
use super::super::{EpochValues, Minimise};
use super::pgd::linf;
use crate::Result;

pub(in super::super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "free",
    title: "free adversarial training, replays with the perturbation kept",
    reference: "Shafahi et al. 2019",
    passes: "3 a replay",
    parameters: &[
        EPS,
        NORM,
        Parameter::new("replays", "8", "m: steps on each batch"),
        Parameter::new("step", "eps", "length of the perturbation's step in pixels"),
        Parameter::new("loss_mode", "train", "BatchNorm in the passes: train or eval"),
        SMOOTHING,
    ],
};

/// The parameters of free adversarial training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeOptions {
    /// ε, the radius of the ball in pixels.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// m, the steps on each batch. Default 8.
    #[serde(default = "eight")]
    pub replays: usize,
    /// The length of the perturbation's step in pixels. Default ε.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Epsilon>,
    /// The loss. The gradient that moves the perturbation comes from the same pass, smoothing and
    /// all.
    #[serde(flatten)]
    pub loss: LossOptions,
}

fn eight() -> usize {
    8
}

impl FreeOptions {
    fn climb(&self) -> Climb {
        let step = self.step.unwrap_or(self.eps);
        Climb { norm: self.norm, epsilon: Some(self.eps), step, steps: 1, start: None }
    }
}

impl Minimise for FreeOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.loss.check()?;
        check_count("objective.replays", self.replays)?;
        check_climb(&self.climb(), dimension, None)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        let points = batch.at();
        let passes = Passes::new(network, self.loss.loss_mode)?;
        let pass = passes.linearize(points)?;
        let loss = cross_entropy(pass.logits(), batch.labels, self.loss.smoothing)?;
        let seed = ops::scale(batch.share, loss.residual);
        let correct = count_correct(pass.logits(), batch.labels);
        let statistics = vec![pass.batch_statistics()];
        let (gradients, by_pixel) = pass.parameter_and_input_gradient(&seed)?;
        let next = Some(self.climb().step(batch.images, points, &by_pixel)?);
        let sum = loss.losses.sum();
        Ok(Part {
            gradients,
            objective: sum,
            loss: sum,
            regularizer: 0.0,
            correct,
            statistics,
            next,
        })
    }
}

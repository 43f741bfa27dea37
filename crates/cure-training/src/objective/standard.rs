//! Mean cross-entropy, with BatchNorm over the batch unless asked otherwise: 3 passes.

use cure_network::Network;
use cure_tensor::{Tensor, ops};

use super::batch_norm::Passes;
use super::entry::{LOSS_MODE, ObjectiveEntry, SMOOTHING};
use super::loss::{LossOptions, count_correct, cross_entropy};
use super::part::{Batch, Part};
use super::{EpochValues, Minimise};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "standard",
    title: "the cross-entropy",
    reference: "–",
    passes: "3",
    parameters: &[LOSS_MODE, SMOOTHING],
};

impl Minimise for LossOptions {
    fn check(&self, _: Option<usize>) -> Result<()> {
        LossOptions::check(self)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        mean_loss(self, network, batch, batch.at())
    }
}

/// The mean of ℓ at `points`, with its gradient: 3 passes.
pub(super) fn mean_loss(
    options: &LossOptions,
    network: &Network,
    batch: &Batch<'_>,
    points: &Tensor,
) -> Result<Part> {
    let passes = Passes::new(network, options.loss_mode)?;
    let pass = passes.linearize(points)?;
    let loss = cross_entropy(pass.logits(), batch.labels, options.smoothing)?;
    let seed = ops::scale(batch.share, loss.residual);
    let (statistics, correct) =
        (vec![pass.batch_statistics()], count_correct(pass.logits(), batch.labels));
    let sum = loss.losses.sum();
    Ok(Part {
        gradients: pass.parameter_gradient(&seed)?,
        objective: sum,
        loss: sum,
        regularizer: 0.0,
        correct,
        statistics,
        next: None,
    })
}

/// A regulariser with the mean of ℓ at `points`, of which it holds the passes already where it
/// `has_loss`: no passes then, else 3.
pub(super) fn with_loss(
    regularizer: Part,
    has_loss: bool,
    options: &LossOptions,
    network: &Network,
    batch: &Batch<'_>,
    points: &Tensor,
) -> Result<Part> {
    if has_loss {
        return Ok(regularizer);
    }
    add_loss(regularizer, 1.0, mean_loss(options, network, batch, points)?)
}

/// A regulariser with `weight` times a loss that was found apart.
pub(super) fn add_loss(regularizer: Part, weight: f64, loss: Part) -> Result<Part> {
    let mut statistics = loss.statistics;
    statistics.extend(regularizer.statistics);
    Ok(Part {
        gradients: regularizer.gradients.add_scaled(weight as f32, &loss.gradients)?,
        objective: regularizer.objective + weight * loss.objective,
        loss: regularizer.loss + weight * loss.loss,
        correct: loss.correct,
        statistics,
        ..regularizer
    })
}

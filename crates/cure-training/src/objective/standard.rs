//! Mean cross-entropy with BatchNorm over the batch: 3 passes.

use cure_network::Network;
use cure_tensor::Tensor;
use cure_tensor::ops;

use super::{StepOutcome, count_correct};
use crate::Result;

pub(super) fn step(
    network: &mut Network,
    images: &Tensor,
    labels: &[usize],
) -> Result<StepOutcome> {
    let training = network.training()?;
    let pass = training.linearize(images)?;
    let loss = ops::cross_entropy(pass.logits(), labels)?;
    let mean = ops::scale(1.0 / labels.len().max(1) as f32, loss.residual);
    let (statistics, correct) = (pass.batch_statistics(), count_correct(pass.logits(), labels));
    let gradients = pass.parameter_gradient(&mean)?;
    network.update_running_statistics(&statistics)?;
    Ok(StepOutcome {
        gradients,
        loss: loss.losses.iter().sum(),
        regularizer: 0.0,
        correct,
        samples: labels.len(),
    })
}

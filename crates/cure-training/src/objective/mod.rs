//! What is minimised: each objective is one file, with its reference and its cost in passes.
//!
//! A pass is one evaluation, one pull back to the input, or one weight gradient of the whole
//! network on the batch; all cost about the same.

mod cure;
mod standard;

pub use cure::{
    BatchNormMode, CureOptions, Derivatives, Direction, RegularizerTerms, Scale, derivatives,
    regularizer,
};

use cure_network::{Gradients, Network};
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The values that schedules give to an objective's parameters in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochValues {
    /// Length h of the step to the second point, in the declared scale.
    pub h: f64,
    /// Weight γ of the regulariser.
    pub gamma: f64,
}

/// Where the private random stream of each sample comes from: results then do not depend on
/// which batch a sample is in.
#[derive(Clone, Copy, Debug)]
pub struct SampleStreams<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The stored position of each sample of the batch.
    pub indices: &'a [usize],
}

/// What one batch contributes.
#[derive(Debug)]
pub struct StepOutcome {
    /// The gradient of the objective's mean over the batch.
    pub gradients: Gradients,
    /// Sum of the losses ℓ over the batch, without the regulariser.
    pub loss: f64,
    /// Sum of L_r over the batch, without γ; 0 where the objective has none.
    pub regularizer: f64,
    /// Samples of the batch that the pass of the loss classified correctly.
    pub correct: usize,
    /// Samples of the batch.
    pub samples: usize,
}

/// What is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Objective {
    /// The mean cross-entropy. 3 passes. (Braces, so that unknown keys are refused.)
    Standard {},
    /// The mean of ℓ + γ·L_r (the paper's section 4). 12 to 15 passes.
    Cure(CureOptions),
}

impl Default for Objective {
    fn default() -> Self {
        Self::Standard {}
    }
}

impl Objective {
    /// The gradient of the objective on a batch. Running statistics of BatchNorm move with each
    /// pass in training mode, as in PyTorch, but for the one that only finds z.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]` in [0, 1]; `labels`: `N` classes.
    ///
    /// # Errors
    /// If the images do not fit the network or a label is no class.
    pub fn step(
        &self,
        network: &mut Network,
        images: &Tensor,
        labels: &[usize],
        at: &EpochValues,
        streams: &SampleStreams<'_>,
    ) -> Result<StepOutcome> {
        match self {
            Self::Standard {} => standard::step(network, images, labels),
            Self::Cure(options) => cure::step(options, network, images, labels, at, streams),
        }
    }

    /// The objective's name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standard {} => "standard",
            Self::Cure(_) => "cure",
        }
    }
}

/// Rows of logits whose largest entry is at the label.
fn count_correct(logits: &Tensor, labels: &[usize]) -> usize {
    let classes = logits.shape().get(1).copied().unwrap_or(1).max(1);
    let values = logits.host();
    let rows = values.chunks_exact(classes).zip(labels);
    rows.filter(|(row, label)| {
        let at_label = row[**label];
        // A tie, or a NaN, is no success.
        row.iter().enumerate().all(|(class, &value)| class == **label || value < at_label)
    })
    .count()
}

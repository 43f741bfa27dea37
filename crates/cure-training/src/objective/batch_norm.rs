//! Which statistics BatchNorm uses, and a network with it in that mode.

use cure_network::{Classifier, Frozen, Linearization, Network, Training};
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Which statistics BatchNorm uses in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormMode {
    /// The batch's own; samples of a batch see each other.
    Train,
    /// The running ones; each sample stands alone.
    Eval,
}

/// A network with BatchNorm in one of its modes.
pub(super) enum Passes {
    Eval(Frozen),
    Train(Training),
}

impl Passes {
    pub(super) fn new(network: &Network, mode: BatchNormMode) -> Result<Self> {
        Ok(match mode {
            BatchNormMode::Eval => Self::Eval(network.frozen()?),
            BatchNormMode::Train => Self::Train(network.training()?),
        })
    }

    pub(super) fn linearize(&self, images: &Tensor) -> Result<Linearization<'_>> {
        Ok(match self {
            Self::Eval(network) => network.linearize(images)?,
            Self::Train(network) => network.linearize(images)?,
        })
    }

    /// What an attack sees.
    pub(super) fn classifier(&self) -> &dyn Classifier {
        match self {
            Self::Eval(network) => network,
            Self::Train(network) => network,
        }
    }
}

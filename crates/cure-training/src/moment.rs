//! What training moves, and how it goes into a checkpoint and comes back.

use std::path::Path;

use cure_network::Network;
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::average::Average;
use crate::error::{Result, TrainingError};
use crate::optimizer::{Optimizer, OptimizerOptions};

/// What training moves.
#[derive(Clone)]
pub struct Moment {
    /// The network.
    pub network: Network,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The weights' moving average, where there is one.
    pub average: Option<Average>,
}

/// Counts that belong to a [`Moment`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) optimizer_steps: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) average_updates: Option<u64>,
}

impl Moment {
    /// The network that is validated, chosen and exported: the average where there is one.
    pub fn averaged(&self) -> &Network {
        self.average.as_ref().map_or(&self.network, Average::network)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            optimizer_steps: self.optimizer.steps(),
            average_updates: self.average.as_ref().map(Average::updates),
        }
    }

    pub(crate) fn tensors(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let mut tensors = prefixed(&format!("{prefix}network/"), self.network.state());
        let optimizer = self.optimizer.state(&self.network);
        tensors.extend(prefixed(&format!("{prefix}optimizer/"), optimizer));
        if let Some(average) = &self.average {
            tensors.extend(prefixed(&format!("{prefix}average/"), average.network().state()));
        }
        tensors
    }
}

/// The tensors of a file, and what they are read as.
pub(crate) struct Tensors<'a> {
    pub(crate) path: &'a Path,
    /// A network of the same architecture and normalisation.
    pub(crate) like: &'a Network,
    pub(crate) tensors: Vec<(String, Tensor)>,
}

impl Tensors<'_> {
    fn refuse(&self, error: &dyn std::fmt::Display) -> TrainingError {
        TrainingError::Checkpoint { path: self.path.to_owned(), reason: error.to_string() }
    }

    fn part(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let named = self.tensors.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
        });
        named.collect()
    }

    pub(crate) fn network(&self, prefix: &str) -> Result<Network> {
        let (architecture, normalization) =
            (self.like.architecture().clone(), self.like.normalization().clone());
        Network::from_state(architecture, normalization, &self.part(prefix))
            .map_err(|error| self.refuse(&error))
    }

    pub(crate) fn moment(
        &self,
        prefix: &str,
        options: OptimizerOptions,
        counts: Counts,
    ) -> Result<Moment> {
        let network = self.network(&format!("{prefix}network/"))?;
        let state = self.part(&format!("{prefix}optimizer/"));
        let optimizer = Optimizer::from_state(options, &network, counts.optimizer_steps, &state)
            .map_err(|error| self.refuse(&error))?;
        let average = match counts.average_updates {
            Some(updates) => {
                let average = self.network(&format!("{prefix}average/"))?;
                Some(Average::from_state(average, updates))
            }
            None => None,
        };
        Ok(Moment { network, optimizer, average })
    }
}

/// The tensors under longer names.
pub(crate) fn prefixed(prefix: &str, tensors: Vec<(String, Tensor)>) -> Vec<(String, Tensor)> {
    tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
}

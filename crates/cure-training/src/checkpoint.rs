//! A run at one moment: network, optimiser, position, sums and the best so far, in one file.
//!
//! The file is safetensors. Its metadata hold one key, a JSON text with everything that is no
//! tensor and with a SHA-256 over that and over every tensor's name, shape and values, so that a
//! damaged file is told from a whole one. No random state is needed: shuffling, augmentation and
//! directions are pure functions of seed, epoch and index.

use std::collections::HashMap;
use std::path::Path;

use cure_network::{Network, Normalization};
use cure_tensor::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainingError};
use crate::file;
use crate::optimizer::{Optimizer, OptimizerOptions};

/// The metadata key.
const KEY: &str = "cure.checkpoint";
/// Raised when an older program could not read the file.
const FORMAT: u32 = 1;
const NETWORK: &str = "network/";
const OPTIMIZER: &str = "optimizer/";
const BEST: &str = "best/";

/// The next step to take: a batch of an epoch, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Epochs completed.
    pub epoch: usize,
    /// Batches of the next epoch already done.
    pub batch: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "after {} epochs and {} batches", self.epoch, self.batch)
    }
}

/// Sums over the batches of an epoch that are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochSums {
    /// Σ loss over samples.
    pub loss: f64,
    /// Σ regulariser over samples.
    pub regularizer: f64,
    /// Samples classified correctly.
    pub correct: usize,
    /// Samples seen.
    pub samples: usize,
    /// Seconds spent.
    pub seconds: f64,
}

/// The epoch chosen on the validation samples, so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// What it was chosen by: an accuracy, as a fraction.
    pub metric: f64,
}

/// What a run is of: a checkpoint only continues a run of the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The architecture's name.
    pub architecture: String,
    /// Number of classes.
    pub classes: usize,
    /// Channels, height and width of an image.
    pub input: [usize; 3],
    /// The input normalisation.
    pub normalization: Normalization,
    /// SHA-256 of everything in the configuration that decides the weights.
    pub configuration: String,
    /// SHA-256 of the training and validation samples: their files and positions.
    pub data: String,
}

/// Everything of a checkpoint that is no tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    format: u32,
    identity: Identity,
    position: Position,
    images_seen: u64,
    sums: EpochSums,
    best: Option<Best>,
    optimizer: OptimizerOptions,
    optimizer_steps: u64,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    sha256: String,
    state: State,
}

/// A run at one moment.
#[derive(Clone)]
pub struct Checkpoint {
    /// What the run is of.
    pub identity: Identity,
    /// Where it stands.
    pub position: Position,
    /// Training images used since the start, each as often as it was used.
    pub images_seen: u64,
    /// Sums of the epoch in progress.
    pub sums: EpochSums,
    /// The network.
    pub network: Network,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The epoch chosen so far, and its network.
    pub best: Option<(Best, Network)>,
}

/// A tensor's values as the bytes of the file.
struct LittleEndian<'a>(&'a Tensor);

impl View for LittleEndian<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.0.host().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.0.len() * size_of::<f32>()
    }
}

/// SHA-256 over the state and, in order of their names, the tensors.
fn seal<'a>(
    state: &State,
    tensors: impl Iterator<Item = (&'a str, &'a [usize], std::borrow::Cow<'a, [u8]>)>,
) -> String {
    let mut digest = Sha256::new();
    // The state is plain data with string keys: it always has a JSON text.
    digest.update(serde_json::to_string(state).unwrap_or_default());
    for (name, shape, data) in tensors {
        digest.update(format!("\n{name}{shape:?}\n"));
        digest.update(&data);
    }
    hexadecimal(&digest.finalize())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Checkpoint {
    /// Writes the checkpoint: beside `path`, flushed to the disk, then renamed.
    ///
    /// # Errors
    /// [`TrainingError::Io`]; what was at `path` is then still there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let state = State {
            format: FORMAT,
            identity: self.identity.clone(),
            position: self.position,
            images_seen: self.images_seen,
            sums: self.sums,
            best: self.best.as_ref().map(|(best, _)| *best),
            optimizer: self.optimizer.options(),
            optimizer_steps: self.optimizer.steps(),
        };
        let mut tensors = prefixed(NETWORK, self.network.state());
        tensors.extend(prefixed(OPTIMIZER, self.optimizer.state(&self.network)));
        if let Some((_, network)) = &self.best {
            tensors.extend(prefixed(BEST, network.state()));
        }
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let views: Vec<(&str, LittleEndian<'_>)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), LittleEndian(tensor))).collect();
        let parts = views.iter().map(|(name, view)| (*name, view.shape(), view.data()));
        let sealed = Sealed { sha256: seal(&state, parts), state };
        let refuse = |reason: String| TrainingError::Checkpoint { path: path.to_owned(), reason };
        let text = serde_json::to_string(&sealed).map_err(|error| refuse(error.to_string()))?;
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        file::replace(path, |partial| {
            safetensors::serialize_to_file(views, Some(metadata), partial).map_err(|error| {
                match error {
                    safetensors::SafeTensorError::IoError(source) => {
                        TrainingError::io("write", partial)(source)
                    }
                    other => refuse(other.to_string()),
                }
            })
        })
    }

    /// Reads a checkpoint of a run of `like`'s architecture and normalisation.
    ///
    /// # Errors
    /// [`TrainingError::Checkpoint`] if the file is damaged or of another network,
    /// [`TrainingError::Io`] if it cannot be read.
    pub fn read(path: &Path, like: &Network) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(TrainingError::io("read", path))?;
        let refuse = |reason: String| TrainingError::Checkpoint { path: path.to_owned(), reason };
        let (state, tensors) =
            decode(&bytes).map_err(|reason| refuse(format!("it is damaged: {reason}")))?;
        let identity = state.identity;
        let expected = (like.architecture().name(), like.normalization());
        if (identity.architecture.as_str(), &identity.normalization)
            != (expected.0.as_str(), expected.1)
        {
            return Err(refuse(format!(
                "it is of `{}` with normalization {}, not of `{}` with {}",
                identity.architecture, identity.normalization, expected.0, expected.1
            )));
        }
        let part = |prefix: &str| -> Vec<(String, Tensor)> {
            let named = tensors.iter().filter_map(|(name, tensor)| {
                Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
            });
            named.collect()
        };
        let network = |prefix: &str| {
            let (architecture, normalization) =
                (like.architecture().clone(), like.normalization().clone());
            Network::from_state(architecture, normalization, &part(prefix))
                .map_err(|error| refuse(error.to_string()))
        };
        let current = network(NETWORK)?;
        let optimizer = Optimizer::from_state(
            state.optimizer,
            &current,
            state.optimizer_steps,
            &part(OPTIMIZER),
        )
        .map_err(|error| refuse(error.to_string()))?;
        let best = match state.best {
            Some(best) => Some((best, network(BEST)?)),
            None => None,
        };
        Ok(Self {
            identity,
            position: state.position,
            images_seen: state.images_seen,
            sums: state.sums,
            network: current,
            optimizer,
            best,
        })
    }

    /// Where the run of a checkpoint stands, if the file is whole.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read_position(path: &Path) -> Result<Position> {
        let bytes = std::fs::read(path).map_err(TrainingError::io("read", path))?;
        let decoded = decode(&bytes).map_err(|reason| TrainingError::Checkpoint {
            path: path.to_owned(),
            reason: format!("it is damaged: {reason}"),
        })?;
        Ok(decoded.0.position)
    }
}

fn prefixed(prefix: &str, tensors: Vec<(String, Tensor)>) -> Vec<(String, Tensor)> {
    tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
}

/// The state and the tensors of a whole file, or what is wrong with it.
fn decode(bytes: &[u8]) -> std::result::Result<(State, Vec<(String, Tensor)>), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    // Compares the sizes that the header declares with the file's before anything is taken.
    let file = SafeTensors::deserialize(bytes).map_err(|error| told(&error))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| told(&error))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or(format!("its metadata lack `{KEY}`"))?;
    let sealed: Sealed = serde_json::from_str(text).map_err(|error| told(&error))?;
    if sealed.state.format != FORMAT {
        return Err(format!("format {}, this program reads {FORMAT}", sealed.state.format));
    }
    let mut views = file.tensors();
    views.sort_by(|(a, _), (b, _)| a.cmp(b));
    let parts = views.iter().map(|(name, view)| (name.as_str(), view.shape(), view.data().into()));
    if seal(&sealed.state, parts) != sealed.sha256 {
        return Err("its contents do not have the SHA-256 that it states".into());
    }
    let tensor = |(name, view): &(String, safetensors::tensor::TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(format!("`{name}` is of type {:?}", view.dtype()));
        }
        let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let tensor = Tensor::new(view.shape(), values.collect()).map_err(|error| told(&error))?;
        Ok((name.clone(), tensor))
    };
    Ok((sealed.state, views.iter().map(tensor).collect::<std::result::Result<_, String>>()?))
}

//! A run at one moment: network, optimiser, position, sums and the best so far, in one file.
//!
//! The file is safetensors with a seal ([`sealed`](crate::sealed)). No random state is needed:
//! shuffling, augmentation and directions are pure functions of seed, epoch and index.

use std::path::Path;

use cure_network::{Network, Normalization};
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::config::is_default;
use crate::error::{Result, TrainingError};
use crate::moment::{Counts, Moment, Tensors, prefixed};
use crate::optimizer::OptimizerOptions;
use crate::overfitting::Attacked;
use crate::sealed;

/// Raised when an older program could not read the file of a run that it could have made.
const FORMAT: u32 = 1;
const BEST: &str = "best/";
/// What stands before the names of what training moves, now and at the reference epoch.
const NOW: &str = "";
const KEPT: &str = "kept/";

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
#[serde(default)]
pub struct EpochSums {
    /// Σ loss over samples.
    pub loss: f64,
    /// Σ regulariser over samples.
    pub regularizer: f64,
    /// Samples of the steps that had it.
    #[serde(default)]
    pub regularized: usize,
    /// Samples classified correctly.
    pub correct: usize,
    /// Samples seen.
    pub samples: usize,
    /// Σ over steps of the gradient's norm before it was clipped; 0 without clipping.
    #[serde(skip_serializing_if = "is_default")]
    pub gradient_norm: f64,
    /// Steps whose gradient's norm that is; 0 without clipping.
    #[serde(skip_serializing_if = "is_default")]
    pub norms: usize,
    /// Steps whose gradient was clipped.
    #[serde(skip_serializing_if = "is_default")]
    pub clipped: usize,
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
    /// The first epoch that was as good: since then there was none better.
    #[serde(default, skip_serializing_if = "is_default")]
    pub since: usize,
}

/// Why a run ended before its last epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// As many measurements as `patience` says were no better than one before them.
    Patience,
    /// Catastrophic overfitting.
    Overfitting,
}

impl std::fmt::Display for Ending {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Patience => "as many measurements as patience says were no better",
            Self::Overfitting => "catastrophic overfitting",
        })
    }
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
    /// Whether convolutions take plain sums, which round otherwise.
    #[serde(default, skip_serializing_if = "is_default")]
    pub plain_sums: bool,
    /// SHA-256 of the training and validation samples: their files and positions.
    pub data: String,
}

/// The watch for catastrophic overfitting.
#[derive(Clone, Default)]
pub struct Watch {
    /// The reference: the measured epoch with the highest accuracy under attack so far.
    pub best: Option<Attacked>,
    /// That epoch's end, where a roll-back may need it.
    pub kept: Option<Moment>,
    /// Roll-backs so far.
    pub roll_backs: usize,
}

/// [`Watch`] without its tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct WatchState {
    best: Option<Attacked>,
    kept: Option<Counts>,
    roll_backs: usize,
}

/// Everything of a checkpoint that is no tensor. What only some runs have is left out of the
/// others' files.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    average_updates: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watch: Option<WatchState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Ending>,
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
    /// Network, optimiser and average.
    pub moment: Moment,
    /// The epoch chosen so far, and its network.
    pub best: Option<(Best, Network)>,
    /// The watch for catastrophic overfitting.
    pub watch: Watch,
    /// Why it ended before its last epoch, if it did.
    pub ended: Option<Ending>,
}

impl Checkpoint {
    /// Writes the checkpoint: beside `path`, flushed to the disk, then renamed.
    ///
    /// # Errors
    /// [`TrainingError::Io`]; what was at `path` is then still there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Counts { optimizer_steps, average_updates } = self.moment.counts();
        let watch = WatchState {
            best: self.watch.best,
            kept: self.watch.kept.as_ref().map(Moment::counts),
            roll_backs: self.watch.roll_backs,
        };
        let state = State {
            format: FORMAT,
            identity: self.identity.clone(),
            position: self.position,
            images_seen: self.images_seen,
            sums: self.sums,
            best: self.best.as_ref().map(|(best, _)| *best),
            optimizer: self.moment.optimizer.options(),
            optimizer_steps,
            average_updates,
            watch: (watch != WatchState::default()).then_some(watch),
            ended: self.ended,
        };
        let mut tensors = self.moment.tensors(NOW);
        if let Some((_, network)) = &self.best {
            tensors.extend(prefixed(BEST, network.state()));
        }
        if let Some(kept) = &self.watch.kept {
            tensors.extend(kept.tensors(KEPT));
        }
        sealed::write(path, state, tensors)
    }

    /// Reads a checkpoint of a run of `like`'s architecture and normalisation.
    ///
    /// # Errors
    /// [`TrainingError::Checkpoint`] if the file is damaged or of another network,
    /// [`TrainingError::Io`] if it cannot be read.
    pub fn read(path: &Path, like: &Network) -> Result<Self> {
        let (state, tensors) = decode(path)?;
        let identity = state.identity;
        let expected = (like.architecture().name(), like.normalization());
        if (identity.architecture.as_str(), &identity.normalization)
            != (expected.0.as_str(), expected.1)
        {
            let reason = format!(
                "it is of `{}` with normalization {}, not of `{}` with {}",
                identity.architecture, identity.normalization, expected.0, expected.1
            );
            return Err(TrainingError::Checkpoint { path: path.to_owned(), reason });
        }
        let tensors = Tensors { path, like, tensors };
        let (optimizer_steps, average_updates) = (state.optimizer_steps, state.average_updates);
        let counts = Counts { optimizer_steps, average_updates };
        let watch = state.watch.unwrap_or_default();
        let kept = watch.kept.map(|counts| tensors.moment(KEPT, state.optimizer, counts));
        let best = state.best.map(|best| Ok::<_, TrainingError>((best, tensors.network(BEST)?)));
        Ok(Self {
            identity,
            position: state.position,
            images_seen: state.images_seen,
            sums: state.sums,
            moment: tensors.moment(NOW, state.optimizer, counts)?,
            best: best.transpose()?,
            watch: Watch {
                best: watch.best,
                kept: kept.transpose()?,
                roll_backs: watch.roll_backs,
            },
            ended: state.ended,
        })
    }

    /// What the run of a checkpoint is of, if the file is whole.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read_identity(path: &Path) -> Result<Identity> {
        Ok(decode(path)?.0.identity)
    }

    /// Where the run of a checkpoint stands, if the file is whole.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn read_position(path: &Path) -> Result<Position> {
        Ok(decode(path)?.0.position)
    }
}

fn decode(path: &Path) -> Result<(State, Vec<(String, Tensor)>)> {
    let bytes = std::fs::read(path).map_err(TrainingError::io("read", path))?;
    let damaged = |reason: String| {
        let reason = format!("it is damaged: {reason}");
        TrainingError::Checkpoint { path: path.to_owned(), reason }
    };
    let (state, tensors) = sealed::read::<State>(&bytes).map_err(damaged)?;
    if state.format != FORMAT {
        return Err(damaged(format!("format {}, this program reads {FORMAT}", state.format)));
    }
    Ok((state, tensors))
}

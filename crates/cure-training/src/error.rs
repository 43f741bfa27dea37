use std::path::PathBuf;

use cure_attacks::AttackError;
use cure_data::DataError;
use cure_network::NetworkError;
use cure_network::weights::WeightsError;
use cure_tensor::{Device, TensorError};
use thiserror::Error;

/// Why a training run was refused or stopped. Each message names the value, what is accepted and
/// what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A tensor operation refused its arguments.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The network refused its images or its state.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The dataset refused a selection.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The attack on the validation samples was refused.
    #[error(transparent)]
    Attack(#[from] AttackError),
    /// The weights could not be exported.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A setting outside its range.
    #[error("{setting} is {value}; accepted is {accepted}")]
    Setting {
        /// The setting's name in the configuration.
        setting: &'static str,
        /// The value given.
        value: String,
        /// The accepted range, or what to write instead.
        accepted: String,
    },
    /// The device has too little memory for a step.
    #[error(
        "{device} has too little memory for a step of {images} images in {parts} part(s); take a smaller \
         --batch, or more parts with --accumulate (BatchNorm then sees a part at a time)"
    )]
    Memory {
        /// Where.
        device: Device,
        /// Images of the batch.
        images: usize,
        /// In how many parts it was taken.
        parts: usize,
    },
    /// A text that is no schedule.
    #[error("{what} `{text}`: {reason}; accepted are {accepted}")]
    Schedule {
        /// Which kind of schedule.
        what: &'static str,
        /// The text given.
        text: String,
        /// What is wrong with it.
        reason: String,
        /// The accepted forms.
        accepted: &'static str,
    },
    /// A schedule for a parameter that the objective does not have, or not with this number.
    #[error(
        "the schedule of `{name}` gives {value}, which the objective does not take: {reason}; \
         accepted are its own parameters, as `objective` has them, with numbers in their ranges (h \
         and gamma have keys of their own)"
    )]
    Scheduled {
        /// The parameter's name.
        name: String,
        /// A value of the schedule.
        value: f64,
        /// Why it is not taken.
        reason: String,
    },
    /// A configuration file that cannot be used.
    #[error("configuration `{}`: {reason}", path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// The operating system refused to read or write.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// "read", "write", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder already holds a run.
    #[error(
        "`{}` already holds a run (there is `{found}`): {remedy}, or choose another --out",
        path.display()
    )]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What of a run was found there.
        found: String,
        /// What can be done with it.
        remedy: &'static str,
    },
    /// Another process writes to the run.
    #[error(
        "`{}` is being written by {owner}: wait until it has ended, or choose another --out",
        path.display()
    )]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds the lock.
        owner: String,
    },
    /// There is nothing to resume.
    #[error("`{}` cannot be resumed: {reason}", path.display())]
    NotResumable {
        /// The folder.
        path: PathBuf,
        /// What is missing, and the remedy.
        reason: String,
    },
    /// A checkpoint that is damaged, or of another network, configuration or dataset.
    #[error("checkpoint `{}`: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// An optimiser's state that does not fit.
    #[error("the optimiser's state does not fit: {reason}")]
    Optimizer {
        /// What is missing or misshapen.
        reason: String,
    },
    /// The loss, the regulariser, a gradient or a weight is NaN or infinite.
    #[error(
        "training stopped: {what} is not finite in epoch {epoch}, batch {batch} (learning rate \
         {learning_rate:e}, {settings}); the last good checkpoint, {kept}, was kept: {remedy}"
    )]
    Diverged {
        /// What is not finite, with its value.
        what: String,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch in the epoch, counted from 1.
        batch: usize,
        /// The learning rate of the step.
        learning_rate: f64,
        /// What else could be at fault: the objective, or its h and γ in the epoch.
        settings: String,
        /// What to do.
        remedy: &'static str,
        /// Position of the checkpoint that was kept.
        kept: String,
    },
    /// Processes that train together are not at the same place.
    #[error(
        "the ranks differ {what}: all of them must have the same program, data, weights and \
         settings, and see the same run folder"
    )]
    Ranks {
        /// When they differ.
        what: &'static str,
    },
    /// The thread that assembles batches could not be started.
    #[error("cannot start the thread that assembles batches: {0}")]
    Thread(String),
}

impl TrainingError {
    /// For `map_err` on an input or output operation.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn setting(
        setting: &'static str,
        value: impl ToString,
        accepted: impl Into<String>,
    ) -> Self {
        Self::Setting { setting, value: value.to_string(), accepted: accepted.into() }
    }
}

cure_tensor::out_of_memory!(TrainingError: Network, Tensor, Attack);

/// What every fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, TrainingError>;

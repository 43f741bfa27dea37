use crate::PickleError;

/// Why a PyTorch checkpoint was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// One of its pickles was refused.
    #[error(transparent)]
    Pickle(#[from] PickleError),

    /// The file is in neither format.
    #[error("not a PyTorch checkpoint: {0}")]
    NotACheckpoint(String),

    /// `torch.save(model)` instead of `torch.save(model.state_dict())`.
    #[error(
        "refuses to call `{module}.{name}`: the file holds a whole pickled model, which only its \
         own code could rebuild; in Python, save `model.state_dict()` instead"
    )]
    WholeModule {
        /// The first module that was refused.
        module: String,
        /// The name within it.
        name: String,
    },

    /// `torch.jit.save` instead of `torch.save`.
    #[error(
        "the file is a TorchScript archive, which holds code; in Python, \
         `torch.save(torch.jit.load(file).state_dict(), …)` makes a checkpoint of it"
    )]
    TorchScript,

    /// The zip container is damaged or not as PyTorch writes it.
    #[error("zip entry `{entry}`: {reason}")]
    Entry {
        /// The entry's name, or what was looked for.
        entry: String,
        /// What is wrong.
        reason: String,
    },

    /// A tensor's values are not as declared.
    #[error("storage `{key}`: {reason}")]
    Storage {
        /// The storage's key in the file.
        key: String,
        /// What is wrong.
        reason: String,
    },

    /// A tensor that cannot be rebuilt.
    #[error("tensor {tensor}: {reason}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },

    /// There is no dictionary of tensors.
    #[error(
        "no dictionary of tensors in this checkpoint: at the top there is {found}; expected a \
         `state_dict()`, by itself or under `state_dict`, `model`, `net` or the like"
    )]
    NoStateDict {
        /// What is at the top.
        found: String,
    },
}

impl CheckpointError {
    pub(super) fn unrecognised(bytes: &[u8]) -> Self {
        let reason = match bytes {
            [] => "the file is empty".to_owned(),
            [0x80, ..] => "a pickle without the magic number that `torch.save` writes".to_owned(),
            _ => {
                let head = &bytes[..bytes.len().min(8)];
                format!("it begins with {head:02x?}, not as a zip archive or a pickle does")
            }
        };
        Self::NotACheckpoint(reason)
    }

    pub(super) fn storage(key: &str, reason: impl Into<String>) -> Self {
        Self::Storage { key: crate::value::shortened(key), reason: reason.into() }
    }
}

use cure_tensor::TensorError;
use thiserror::Error;

/// Why a network could not be built, loaded or evaluated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A tensor operation refused its arguments.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// The images do not have the shape the network was built for.
    #[error(
        "the network takes images of shape {expected:?} (channels, height, width), found {found:?}"
    )]
    Images {
        /// Channels, height and width of the network's input.
        expected: [usize; 3],
        /// The shape of the batch.
        found: Vec<usize>,
    },
    /// A name that is no architecture.
    #[error("unknown model `{name}`; known are {known}{hint}")]
    UnknownArchitecture {
        /// The name given.
        name: String,
        /// The accepted names.
        known: String,
        /// A suggestion, or nothing.
        hint: String,
    },
    /// An architecture whose numbers do not make a network.
    #[error("model `{name}`: {reason}")]
    Architecture {
        /// The name given.
        name: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A state dictionary that belongs to another network.
    #[error("the weights do not fit `{architecture}`: {}", problems.join("; "))]
    StateMismatch {
        /// The architecture that was to be filled.
        architecture: String,
        /// Missing, unexpected and misshapen keys, summarised.
        problems: Vec<String>,
    },
    /// A parameter that is NaN or infinite.
    #[error("the weights hold a value that is not finite: `{name}`[{index}] is {value}")]
    NotFinite {
        /// The tensor's name.
        name: String,
        /// Position in row-major order.
        index: usize,
        /// The value found.
        value: f32,
    },
    /// Whoever watches a classifier asked it to stop.
    #[error("stopped on request")]
    Stopped,
    /// A normalisation that cannot be applied.
    #[error("normalisation {text}: {reason}")]
    Normalization {
        /// What was given.
        text: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
}

cure_tensor::out_of_memory!(NetworkError: Tensor);

/// What every fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, NetworkError>;

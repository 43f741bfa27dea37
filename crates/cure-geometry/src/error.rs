use cure_attacks::AttackError;
use cure_network::NetworkError;
use cure_tensor::TensorError;
use thiserror::Error;

/// Why a measurement was refused or ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// The classifier failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A tensor operation refused its arguments.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An attack was refused or ended.
    #[error(transparent)]
    Attack(#[from] AttackError),
    /// A setting outside what is accepted.
    #[error("{name} is {value}; accepted is {accepted}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// The accepted range, in words.
        accepted: String,
    },
    /// The exact factor of a network that is not piecewise linear.
    #[error(
        "this network is not piecewise linear, so its Hessian has no factor of {classes} rows; \
         use the exact operator"
    )]
    Curved {
        /// K.
        classes: usize,
    },
    /// Arguments that do not belong together: a mistake of the calling program.
    #[error("{what} has {found} entries, expected {expected}")]
    Count {
        /// What does not fit.
        what: &'static str,
        /// Entries expected.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// No eigenvalues were found.
    #[error("the eigenvalues of a {size} × {size} matrix did not converge")]
    Eigenvalues {
        /// Rows.
        size: usize,
    },
    /// Whoever watches has asked to stop.
    #[error("stopped")]
    Stopped,
}

impl GeometryError {
    pub(crate) fn setting(
        name: &'static str,
        value: impl ToString,
        accepted: impl Into<String>,
    ) -> Self {
        Self::Setting { name, value: value.to_string(), accepted: accepted.into() }
    }
}

/// The result of a measurement.
pub type Result<T> = std::result::Result<T, GeometryError>;

cure_tensor::out_of_memory!(GeometryError: Network, Tensor, Attack);

/// Refuses counts of things that do not belong together.
pub(crate) fn check_count(what: &'static str, expected: usize, found: usize) -> Result<()> {
    match expected == found {
        true => Ok(()),
        false => Err(GeometryError::Count { what, expected, found }),
    }
}

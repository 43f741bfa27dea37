use thiserror::Error;

use crate::Device;

/// Why a tensor operation was refused. Shapes are always named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TensorError {
    /// The number of values does not fill the shape.
    #[error("{len} values cannot fill a tensor of shape {shape:?}, which holds {}", shape.iter().product::<usize>())]
    DataLength {
        /// The requested shape.
        shape: Vec<usize>,
        /// The number of values given.
        len: usize,
    },
    /// Two shapes that must agree do not.
    #[error("{operation}: expected shape {expected}, found {found:?}")]
    ShapeMismatch {
        /// The operation that was called.
        operation: &'static str,
        /// What it accepts, in words or numbers.
        expected: String,
        /// What it was given.
        found: Vec<usize>,
    },
    /// An argument that is not a shape is outside its range.
    #[error("{operation}: {argument} is {value}, accepted is {accepted}")]
    Argument {
        /// The operation that was called.
        operation: &'static str,
        /// The argument's name.
        argument: &'static str,
        /// The value given.
        value: String,
        /// The accepted range.
        accepted: String,
    },
    /// The engine that was asked for an operation failed.
    #[error("{operation} on {device}: {reason}")]
    Device {
        /// The operation.
        operation: &'static str,
        /// Where.
        device: Device,
        /// What the engine says.
        reason: String,
    },
    /// A device has too little memory.
    #[error("{operation}: {device} has too little free memory; take a smaller batch")]
    OutOfMemory {
        /// The operation.
        operation: &'static str,
        /// Where.
        device: Device,
    },
}

impl TensorError {
    pub(crate) fn shape(
        operation: &'static str,
        expected: impl Into<String>,
        found: &[usize],
    ) -> Self {
        Self::ShapeMismatch { operation, expected: expected.into(), found: found.to_vec() }
    }
}

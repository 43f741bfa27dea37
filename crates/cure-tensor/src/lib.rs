//! The tensor engine: contiguous `f32` arrays and the closed set of operations that networks,
//! attacks and geometry need. There is no graph, no view and no general broadcasting here; the
//! derivative rules live with the networks and call these operations explicitly.
//!
//! Activations are **channel-major**, `[C, N, H, W]`: one matrix product then spans the whole
//! batch, and reductions over a channel read contiguous memory. Images outside a network are
//! sample-major, `[N, C, H, W]`; [`ops::channel_major`] and [`ops::sample_major`] convert.
//!
//! Tensors live on one [`Device`] of the process. On the CPU this crate computes; with the feature `libtorch` ATen
//! can, there and on GPUs, to the same numbers within rounding.
//!
//! On the CPU every operation gives the same bits for any number of threads and, per sample, for any batch
//! size: work is cut by shape, never by thread count, and each output element is one fixed chain
//! of additions.

mod buffer;
mod device;
mod error;
pub mod meter;
mod numbers;
pub mod ops;
mod precision;
mod room;
mod stored;
mod tensor;
#[cfg(feature = "libtorch")]
pub mod torch;

pub use device::{
    DEVICE_VARIABLE, Device, device, failure, named_by_environment, precision, use_device, wait,
};
pub use error::TensorError;
pub use numbers::Numbers;
pub use precision::Precision;
pub use room::{OutOfMemory, Room};
pub use stored::{Placement, StoredImages};
pub use tensor::Tensor;

/// What every fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, TensorError>;

//! Reads Python pickles, and the PyTorch checkpoints made of them, without executing anything.
//!
//! A pickle is a program for a stack machine that may name and call any Python function; loading
//! one with Python runs whatever its author wrote. Here the instructions that name, call or build
//! (`GLOBAL`, `REDUCE`, `BUILD`, `NEWOBJ`, …) only record what they were given, and a name is
//! recorded only if the caller allowed it beforehand. What comes out is data:
//!
//! * [`read`] yields a [`Pickle`], a graph of [`Value`]s (protocols 0 to 5);
//! * [`numpy::array`] reads an array out of it, as in CIFAR's Python batches;
//! * [`torch::read`] reads a PyTorch checkpoint, legacy or zip, and [`torch::Checkpoint::state_dict`]
//!   finds the named tensors in it.
//!
//! The work and the memory are linear in the size of the file, whatever the file says: declared
//! lengths are compared with the bytes at hand before anything is allocated, values live in one
//! flat arena (sharing stays sharing, a cycle is no trap, nothing recurses), and tensors may not
//! claim more elements than the file could reasonably hold.

mod cursor;
mod dtype;
mod error;
mod machine;
pub mod numpy;
mod strides;
mod text;
pub mod torch;
mod value;

pub use dtype::DType;
pub use error::PickleError;
pub use machine::{Allowed, read, read_prefix};
pub use value::{Entries, Items, Kind, Object, Pickle, Value};

/// What reading a pickle returns.
pub type Result<T> = std::result::Result<T, PickleError>;

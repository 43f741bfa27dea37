//! Image classifiers whose linearization is the central object.
//!
//! The paper's subject is f(x + v) ≈ f(x) + J v, so that is what the code is about: a [`Network`]
//! gives a [`Frozen`] classifier; [`Frozen::linearize`] runs it once at a batch of images; the
//! [`Linearization`] then pulls back (Jᵀu), pushes forward (J v), multiplies by the Hessian of
//! the loss (H v), and gives parameter gradients of first and second order. There is no general
//! automatic differentiation: each primitive states its rules (`primitive/`).

mod architecture;
mod classifier;
mod error;
mod functions;
mod initialise;
mod layout;
mod linearization;
mod load;
mod network;
mod normalization;
mod pieces;
mod primitive;
mod program;
mod ranks;
mod scale;
mod source;
pub mod weights;

pub use architecture::{Architecture, Family, Shortcut};
pub use classifier::{Classifier, Linearized};
pub use error::{NetworkError, Result};
pub use functions::Functions;
pub use layout::{ParameterSpec, Role};
pub use linearization::{Adjoint, BatchStatistics, Linearization, Tangent};
pub use load::{LoadError, LoadOptions, Loaded, load, normalization_of, save};
pub use network::{Frozen, Gradients, Network, Training};
pub use normalization::Normalization;
pub use ranks::{Communicator, Ranks};
pub use scale::Scale;

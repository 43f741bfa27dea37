//! Anybody's network: a module that `torch.jit.save` wrote, behind [`Classifier`](cure_network::Classifier),
//! so that every attack and every geometric measurement runs on it. Derivatives are autograd's: Jᵀu by a
//! backward pass, J v and H v by a second one through the first. Where an operation of the module has no second
//! derivative, both are central differences, and `Script::is_exact` says so.
//!
//! The module is TorchScript, not Python: loading it runs no Python, but does run the operations it is made of.
#![cfg(feature = "libtorch")]

mod check;
mod derivatives;
mod error;
mod script;

pub use error::ScriptError;
pub use script::Script;

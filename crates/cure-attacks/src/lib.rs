//! Adversarial attacks, and the robust accuracy they leave.
//!
//! An attack is a function of a classifier, images and labels; what attacks share (balls, steps,
//! keeping the best iterate) are functions and small values beside each other, not base classes.
//!
//! [`attacks`] is the table of attacks: names, knowledge, norms, sources, parameters and defaults.
//!
//! Pixels are in [0, 1] and ε is a length in pixels ([`Epsilon`]); normalisation belongs to the
//! classifier. [`evaluate`](fn@evaluate) runs attacks over a set and says what is left, with the interval and the
//! warnings without which a robust accuracy is not worth much. Nothing depends on batch size, on
//! order or on the number of threads.

mod adversarial;
mod attack;
mod ball;
mod boundary;
mod carlini_wagner;
mod check;
mod ddn;
mod deepfool;
mod epsilon;
mod error;
mod evaluate;
mod fab;
mod fgsm;
mod interval;
mod loss;
mod parameters;
mod pgd;
mod projection;
mod registry;
mod streams;
mod target;
mod warning;

pub use adversarial::Adversarial;
pub use attack::{Attack, AttackSpec, Entry, Kind, Knowledge};
pub use carlini_wagner::{CarliniWagnerOptions, carlini_wagner};
pub use ddn::{DdnOptions, ddn};
pub use deepfool::{DeepFoolOptions, Preset, deepfool};
pub use epsilon::{Epsilon, Norm};
pub use error::{AttackError, Result};
pub use evaluate::{
    Accuracy, AttackResult, Evaluation, EvaluationOptions, EvaluationSet, Observer, Progress,
    SampleOutcome, SampleRow, Silent, Verdict, WorstCase, evaluate,
};
pub use fab::{FabOptions, fab};
pub use fgsm::{FgsmOptions, fgsm};
pub use interval::wilson95;
pub use loss::Loss;
pub use parameters::Parameter;
pub use pgd::{PgdOptions, Start, pgd};
pub use registry::attacks;
pub use streams::Streams;
pub use target::Target;
pub use warning::Warning;

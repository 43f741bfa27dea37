//! Adversarial attacks, and the robust accuracy they leave.
//!
//! An attack is a function of a classifier, images and labels; what attacks share (balls, steps,
//! keeping the best iterate) are functions and small values beside each other, not base classes.
//!
//! | attack | knowledge | kind | norms | source |
//! |---|---|---|---|---|
//! | [`fgsm`] | gradient | budget | ℓ∞, ℓ2 | Goodfellow et al. 2015 |
//! | [`pgd`] | gradient | budget | ℓ∞, ℓ2 | Madry et al. 2018 |
//!
//! Pixels are in [0, 1] and ε is a length in pixels ([`Epsilon`]); normalisation belongs to the
//! classifier. [`evaluate`](fn@evaluate) runs attacks over a set and says what is left, with the interval and the
//! warnings without which a robust accuracy is not worth much. Nothing depends on batch size, on
//! order or on the number of threads.

mod adversarial;
mod ball;
mod check;
mod epsilon;
mod error;
mod evaluate;
mod interval;
mod loss;
mod pgd;
mod spec;
mod streams;
mod warning;

pub use adversarial::Adversarial;
pub use epsilon::{Epsilon, Norm};
pub use error::{AttackError, Result};
pub use evaluate::{
    Accuracy, AttackResult, Evaluation, EvaluationOptions, EvaluationSet, Observer, Progress,
    SampleOutcome, SampleRow, Silent, Verdict, WorstCase, evaluate,
};
pub use interval::wilson95;
pub use loss::Loss;
pub use pgd::{PgdOptions, fgsm, pgd};
pub use spec::AttackSpec;
pub use streams::Streams;
pub use warning::Warning;

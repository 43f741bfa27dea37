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

mod adam;
mod adversarial;
mod apgd;
mod attack;
mod autoattack;
mod ball;
mod boundary;
mod carlini_wagner;
mod check;
mod climb;
mod ddn;
mod deepfool;
mod epsilon;
mod error;
mod evaluate;
mod fab;
mod fgsm;
mod interval;
mod late;
mod loss;
mod noise;
mod options;
mod parameters;
mod pgd;
mod preflight;
mod projection;
mod region;
mod registry;
mod spsa;
mod square;
mod streams;
mod target;
mod warning;

pub use adversarial::{Adversarial, MemberTally};
pub use apgd::{ApgdOptions, ApgdTargetedOptions, apgd, apgd_targeted};
pub use attack::{Attack, AttackSpec, Member};
pub use autoattack::{AutoAttackOptions, Version, autoattack};
pub use carlini_wagner::{CarliniWagnerOptions, carlini_wagner};
pub use climb::Climb;
pub use ddn::{DdnOptions, ddn};
pub use deepfool::{DeepFoolOptions, Preset, deepfool};
pub use epsilon::{Epsilon, Norm};
pub use error::{AttackError, Result, hint};
pub use evaluate::{
    Accuracy, AttackResult, Curve, CurvePoint, Evaluation, EvaluationOptions, EvaluationSet,
    Inside, Journal, Masking, MaskingRow, MemberResult, Observer, Progress, SampleOutcome,
    SampleRow, Shard, Silent, Verdict, WorstCase, curve, evaluate, evaluate_shard, evaluate_with,
    masking,
};
pub use fab::{FabOptions, fab};
pub use fgsm::{FgsmOptions, fgsm};
pub use interval::wilson95;
pub use loss::Loss;
pub use noise::{NoiseOptions, noise};
pub use parameters::{Parameter, Parameters};
pub use pgd::{PgdOptions, Start, pgd};
pub use preflight::preflight;
pub use region::Region;
pub use registry::{Entry, Kind, Knowledge, attacks};
pub use spsa::{SpsaOptions, spsa};
pub use square::{SquareOptions, square};
pub use streams::Streams;
pub use target::Target;
pub use warning::Warning;

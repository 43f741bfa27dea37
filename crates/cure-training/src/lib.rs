//! Training: objectives ([`objectives`]), optimisers, schedules, and a loop that can be killed at
//! any moment and resumed to the same weights, bit for bit.
//!
//! The way of a run: a [`TrainingConfig`] says what is minimised and how; a [`RunDirectory`] keeps
//! configuration, metrics and checkpoints; [`train`] runs the epochs and tells an [`Observer`].

mod accumulate;
mod average;
mod checkpoint;
mod clipping;
mod config;
mod config_file;
mod curvature;
mod error;
mod export;
mod file;
mod metrics;
mod moment;
mod objective;
mod observer;
mod optimizer;
mod overfitting;
mod prefetch;
mod preset;
mod ranks;
mod record;
mod rows;
mod run_directory;
mod schedule;
mod sealed;
mod selection;
mod tensorboard;
mod train;
mod validation;

pub use average::Average;
pub use checkpoint::{Best, Checkpoint, Ending, EpochSums, Identity, Position, Watch};
pub use config::TrainingConfig;
pub use config_file::{parse_configuration, read_configuration};
pub use curvature::{Curvature, CurvatureOptions};
pub use error::{Result, TrainingError};
pub use export::chosen_epoch;
pub use metrics::EpochRow;
pub use moment::Moment;
pub use objective::{
    AdversarialOptions, BatchNormMode, CureOptions, DeepFoolTrainingOptions, Derivatives,
    Direction, ElleOptions, EpochValues, FgsmAtOptions, FgsmRsOptions, FreeOptions,
    GradAlignOptions, GradientPenaltyOptions, LlrOptions, LossOptions, MartOptions, NFgsmOptions,
    Objective, ObjectiveEntry, PgdAtOptions, RegularizerTerms, SampleStreams, StepOutcome,
    TradesOptions, derivatives, objectives, regularizer,
};
pub use observer::{Control, Event, Observer};
pub use optimizer::{Optimizer, OptimizerOptions, Rates};
pub use overfitting::{Attacked, Consequence, OnOverfitting, Overfitting};
pub use preset::preset;
pub use record::{RunRecord, Session, SessionState};
pub use rows::read_rows;
pub use run_directory::{RunDirectory, is_being_written};
pub use schedule::{LearningRate, ParameterSchedules, Stage, ValueSchedule};
pub use selection::Selection;
pub use train::{Finished, Outcome, train};
pub use validation::{Validation, ValidationAttack};

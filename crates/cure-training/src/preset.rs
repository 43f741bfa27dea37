//! Published recipes of CURE, by name. What each one means is written out in the run's
//! configuration.

use cure_data::Augmentation;
use cure_network::Scale;

use crate::config::TrainingConfig;
use crate::error::{Result, TrainingError};
use crate::objective::{BatchNormMode, CureOptions, Direction, Objective};
use crate::optimizer::OptimizerOptions;
use crate::schedule::{LearningRate, ValueSchedule};

/// The recipe called `name`.
///
/// * `paper`: section 4 of the paper: L_r = ‖Δg‖², γ = 4, h in five equal steps 0.3, 0.6, … 1.5
///   over the first five epochs, Adam 1e-4 → 1e-6, 20 epochs. The paper gives no scale for h and γ;
///   pixels in [0, 1] here, where h = 1.5 is a long step and training is known to be fragile.
/// * `authors-2021`: the authors' published code: L_r = ‖Δg‖ and h over normalised inputs, γ = 4,
///   h = 0.1 → 3 over five epochs, Adam 8e-4 falling tenfold after epochs 7 and 14, batch 1024, no
///   augmentation, 20 epochs, BatchNorm in training mode but in the pass that finds z. Its log
///   ends at 80.87 % clean and 36.04 % under PGD-30 at 8/255 (ResNet-18, CIFAR-10).
///
/// # Errors
/// [`TrainingError::Setting`] with the known names.
pub fn preset(name: &str) -> Result<TrainingConfig> {
    match name {
        "paper" => Ok(TrainingConfig {
            epochs: 20,
            batch: 128,
            learning_rate: LearningRate::Exponential { from: 1e-4, to: 1e-6 },
            h: ValueSchedule::Linear { from: 0.3, to: 1.5, over: 5 },
            gamma: ValueSchedule::Constant(4.0),
            objective: Objective::Cure(CureOptions {
                direction: Direction::Sign,
                scale: Scale::Pixel,
                squared: true,
                loss_mode: BatchNormMode::Train,
                regularizer_mode: BatchNormMode::Eval,
                direction_mode: BatchNormMode::Eval,
                ..CureOptions::default()
            }),
            optimizer: OptimizerOptions::default(),
            ..TrainingConfig::default()
        }),
        "authors-2021" => Ok(TrainingConfig {
            epochs: 20,
            batch: 1024,
            learning_rate: LearningRate::Steps {
                rate: 8e-4,
                milestones: vec![7.0, 14.0],
                factor: 0.1,
            },
            h: ValueSchedule::Linear { from: 0.1, to: 3.0, over: 5 },
            gamma: ValueSchedule::Constant(4.0),
            objective: Objective::Cure(CureOptions {
                direction: Direction::Sign,
                scale: Scale::Normalized,
                squared: false,
                loss_mode: BatchNormMode::Train,
                regularizer_mode: BatchNormMode::Train,
                direction_mode: BatchNormMode::Eval,
                ..CureOptions::default()
            }),
            optimizer: OptimizerOptions::default(),
            augmentation: Augmentation::NONE,
            ..TrainingConfig::default()
        }),
        other => {
            Err(TrainingError::setting("preset", format!("`{other}`"), "paper or authors-2021"))
        }
    }
}

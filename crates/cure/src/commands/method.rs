//! What `train` and `finetune` minimise, from the command line.

use clap::Args;
use cure_training::{BatchNormMode, Objective, TrainingConfig, ValueSchedule};

use super::derivatives::{DIRECTIONS, SCALES, parse_word};
use crate::failure::{Blame, Failure, Outcome};

#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct MethodArguments {
    /// What is minimised, as NAME or NAME:PARAMETER=VALUE,… (pgd-at:eps=8/255,steps=7); `cure
    /// objectives list` knows all [default: standard].
    #[arg(long, value_name = "SPEC")]
    method: Option<String>,
    /// γ, the regulariser's weight: a number or a schedule (steps:4x10,8x5,12x5).
    #[arg(long, value_name = "SCHEDULE", help_heading = "CURE")]
    gamma: Option<String>,
    /// h, the length of the step: a number or a schedule (linear:0.1..3@5).
    #[arg(long, value_name = "SCHEDULE", help_heading = "CURE")]
    h: Option<String>,
    /// Scale of h and of the regulariser: pixel, pixel255 or normalized.
    #[arg(long, value_name = "SCALE", help_heading = "CURE")]
    scale: Option<String>,
    /// Whether the regulariser is ‖Δg‖² (true) or ‖Δg‖ (false).
    #[arg(long, value_name = "BOOL", help_heading = "CURE")]
    squared: Option<bool>,
    /// The direction z: sign, gradient or gaussian.
    #[arg(long, value_name = "NAME", help_heading = "CURE")]
    direction: Option<String>,
    /// BatchNorm: `frozen` keeps the running statistics in every pass (fastest, and steadiest for
    /// short runs); `mixed` has the loss over the batch and the regulariser frozen; `train` has
    /// every pass over the batch but the one that finds z.
    #[arg(long, value_name = "MODE", help_heading = "CURE")]
    batch_norm: Option<String>,
    /// Hold three passes' activations instead of five, for two more passes a step and the same
    /// result.
    #[arg(long, help_heading = "CURE")]
    recompute: bool,
}

impl MethodArguments {
    /// What the flags say, on top of what a preset or a configuration said.
    pub(crate) fn apply(&self, training: &mut TrainingConfig) -> Outcome {
        if let Some(text) = &self.method {
            training.objective = training.objective.respecified(text).input()?;
        }
        let asked = [&self.gamma, &self.h, &self.scale, &self.direction, &self.batch_norm];
        let Objective::Cure(cure) = &mut training.objective else {
            return match self.squared.is_some()
                || self.recompute
                || asked.iter().any(|flag| flag.is_some())
            {
                true => Err(Failure::Input(
                    "--gamma, --h, --scale, --squared, --direction, --batch-norm and --recompute \
                     belong to --method cure"
                        .into(),
                )),
                false => Ok(()),
            };
        };
        if let Some(scale) = &self.scale {
            cure.scale = parse_word("scale", scale, &SCALES)?;
        }
        if let Some(direction) = &self.direction {
            cure.direction = parse_word("direction", direction, &DIRECTIONS)?;
        }
        if let Some(mode) = &self.batch_norm {
            use BatchNormMode::{Eval, Train};
            let modes =
                [("frozen", (Eval, Eval)), ("mixed", (Train, Eval)), ("train", (Train, Train))];
            (cure.loss_mode, cure.regularizer_mode) = parse_word("batch-norm", mode, &modes)?;
        }
        if let Some(squared) = self.squared {
            cure.squared = squared;
        }
        cure.recompute |= self.recompute;
        let has_perturbed_loss = cure.beta > 0.0;
        if let Some(gamma) = &self.gamma {
            training.gamma = gamma.parse().input()?;
        }
        if let Some(h) = &self.h {
            training.h = h.parse().input()?;
        }
        let unset =
            |schedule: &ValueSchedule| schedule.extremes().iter().all(|&value| value == 0.0);
        if unset(&training.h) || unset(&training.gamma) && !has_perturbed_loss {
            return Err(Failure::Input(
                "CURE needs γ (unless beta is over 0) and h over 0: give --gamma and --h, or \
                 --preset authors-2021 to `cure finetune`"
                    .into(),
            ));
        }
        Ok(())
    }
}

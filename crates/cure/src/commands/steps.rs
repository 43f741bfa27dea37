//! How a training run steps, besides what it minimises: the flags of the loop.

use clap::Args;
use cure_training::{CurvatureOptions, TrainingConfig};

use crate::failure::{Blame, Failure, Outcome};

#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct LoopArguments {
    /// Decay of a moving average of the weights, as 0.999; it is what is validated, chosen and
    /// exported [default: no average].
    #[arg(long, value_name = "DECAY", help_heading = "The loop", allow_negative_numbers = true)]
    average: Option<f64>,
    /// Shorten gradients to this ℓ2 norm over all parameters [default: no bound].
    #[arg(long, value_name = "NORM", help_heading = "The loop", allow_negative_numbers = true)]
    clip_norm: Option<f64>,
    /// Let the learning rate rise from 0 to its schedule over so many epochs, 0.5 for half a one.
    #[arg(long, value_name = "EPOCHS", help_heading = "The loop", allow_negative_numbers = true)]
    warm_up: Option<f64>,
    /// Learning rate of BatchNorm's scale and shift, times the others'; 0 freezes them [default:
    /// 1].
    #[arg(long, value_name = "FACTOR", help_heading = "The loop", allow_negative_numbers = true)]
    batch_norm_rate: Option<f64>,
    /// Take CURE's regulariser in every so many steps only, with as many times its weight
    /// [default: 1].
    #[arg(long, value_name = "STEPS", help_heading = "The loop")]
    regularize_every: Option<usize>,
    /// A parameter of the objective over the epochs, as eps=linear:1/255..8/255@5, under its name
    /// in config.toml; may be given several times.
    #[arg(long, value_name = "NAME=SCHEDULE", help_heading = "The loop")]
    schedule: Vec<String>,
    /// Take each batch in so many parts, for less memory; BatchNorm over the batch sees the part.
    #[arg(long, value_name = "PARTS", help_heading = "The loop")]
    accumulate: Option<usize>,
    /// End when so many measurements, one after the other, were no better than the best before.
    #[arg(long, value_name = "N", help_heading = "The loop")]
    patience: Option<usize>,
    /// Catastrophic overfitting (the validation attack wins, FGSM does not): warn, stop or
    /// roll-back to the best epoch [default: warn].
    #[arg(long, value_name = "WHAT", help_heading = "The loop")]
    on_overfitting: Option<String>,
    /// How often to roll back before the run ends [default: 3].
    #[arg(long, value_name = "N", help_heading = "The loop")]
    roll_backs: Option<usize>,
    /// Measure the loss's curvature after each so many epochs (its sample, draws and h are in
    /// config.toml).
    #[arg(long, value_name = "EPOCHS", help_heading = "The loop")]
    curvature_every: Option<usize>,
}

impl LoopArguments {
    /// Overrides what was given.
    pub(crate) fn apply(&self, training: &mut TrainingConfig) -> Outcome {
        fn set<T: Copy>(setting: &mut T, given: Option<T>) {
            if let Some(value) = given {
                *setting = value;
            }
        }
        training.average = self.average.or(training.average);
        training.clip_norm = self.clip_norm.or(training.clip_norm);
        training.patience = self.patience.or(training.patience);
        set(&mut training.warm_up, self.warm_up);
        set(&mut training.batch_norm_rate, self.batch_norm_rate);
        set(&mut training.accumulate, self.accumulate);
        set(&mut training.regularize_every, self.regularize_every);
        set(&mut training.roll_backs, self.roll_backs);
        if let Some(what) = &self.on_overfitting {
            training.on_overfitting = what.parse().input()?;
        }
        if let Some(every) = self.curvature_every {
            let options = training.curvature.unwrap_or_default();
            training.curvature = Some(CurvatureOptions { every, ..options });
        }
        for text in &self.schedule {
            let Some((name, schedule)) = text.split_once('=') else {
                return Err(Failure::Input(format!(
                    "--schedule `{text}`: accepted is NAME=SCHEDULE, as eps=linear:1/255..8/255@5"
                )));
            };
            training.schedules.insert(name.trim().to_owned(), schedule.parse().input()?);
        }
        Ok(())
    }
}

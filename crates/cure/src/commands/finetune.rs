//! `cure finetune`: a trained network, further: with CURE, or plainly for comparison.

use std::path::PathBuf;

use clap::Args;
use cure_training::{BatchNormMode, CureOptions, Objective, TrainingConfig, ValueSchedule, preset};

use super::derivatives::{DIRECTIONS, SCALES, parse_word};
use super::run::{self, RunConfig, TrainingArguments};
use crate::arguments::General;
use crate::failure::{Blame, Failure, Outcome};

#[derive(Args, Debug, Default, PartialEq)]
#[command(after_help = "\
Examples:
  cure finetune --method cure --batch-norm frozen --gamma 0.4 --h linear:0.02..0.6@6 \\
      --data cifar10:DIR --weights resnet20.th --normalize imagenet --batch 100 --epochs 16 \\
      --images-per-epoch 12000 --learning-rate exponential:8e-4..8e-6 --validation 1000 --out runs/b
  cure finetune --method cure --preset authors-2021 --data cifar10:DIR --weights resnet20.th \\
      --normalize imagenet --epochs 8 --validation 1000 --out runs/cure
  cure finetune --resume runs/cure

Presets of --method cure:
  paper         the paper's text: squared, γ = 4, h = 0.3, 0.6, … 1.5 (its scale is not given; pixels
                in [0, 1] here), Adam 1e-4 → 1e-6, 20 epochs
  authors-2021  the authors' published code: not squared, γ = 4, h = 0.1 → 3 over normalised inputs,
                Adam 8e-4 falling tenfold after epochs 7 and 14, batch 1024, 20 epochs
Flags override the preset. What was used in the end is in the run's config.toml.")]
pub(crate) struct Options {
    #[command(flatten)]
    training: TrainingArguments,
    /// The trained network to start from.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The architecture; recognised from the weights if not given.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What is done to pixels first, if the file does not say: none, imagenet, cifar10 or
    /// M,M,M/S,S,S.
    #[arg(long, value_name = "HOW")]
    normalize: Option<String>,
    /// What is minimised: standard or cure.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// A published recipe to start from: paper or authors-2021.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
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
    /// Hold three passes' activations instead of five, for two more passes a step and the same result.
    #[arg(long, help_heading = "CURE")]
    recompute: bool,
    /// Go on with the run in this folder.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    if let Some(folder) = &options.resume {
        let alone = Options { resume: options.resume.clone(), ..Options::default() };
        if *options != alone || general.seed.is_some() || general.plain_sums {
            return Err(Failure::Input(
                "--resume goes on as the run's config.toml says; leave out all but --threads, \
                 --quiet and --verbose"
                    .into(),
            ));
        }
        return run::resume(general, folder);
    }
    let mut config = options.training.base_with(general, |config| options.apply_preset(config))?;
    if let Some(weights) = &options.weights {
        config.weights = Some(weights.clone());
    }
    if options.model.is_some() {
        config.model.clone_from(&options.model);
    }
    if options.normalize.is_some() {
        config.normalize.clone_from(&options.normalize);
    }
    options.apply_method(&mut config)?;
    options.apply_cure(&mut config)?;
    if config.weights.is_none() {
        return Err(Failure::Input(
            "fine-tuning starts from a trained network; give --weights FILE".into(),
        ));
    }
    run::start(general, &options.training, config)
}

impl Options {
    fn apply_preset(&self, config: &mut TrainingConfig) -> Outcome {
        if let Some(name) = &self.preset {
            if self.training.has_config() {
                return Err(Failure::Input(
                    "--preset and --config both say everything; give one of them".into(),
                ));
            }
            *config = preset(name).input()?;
        }
        Ok(())
    }

    fn apply_method(&self, config: &mut RunConfig) -> Outcome {
        match self.method.as_deref() {
            None => Ok(()),
            Some("standard") if self.preset.is_some() => {
                Err(Failure::Input("--preset is for --method cure; leave one of them out".into()))
            }
            Some("standard") => {
                config.training.objective = Objective::default();
                Ok(())
            }
            Some("cure") => {
                if !matches!(config.training.objective, Objective::Cure(_)) {
                    config.training.objective = Objective::Cure(CureOptions::default());
                }
                Ok(())
            }
            Some(other) => {
                Err(Failure::Input(format!("--method `{other}`: accepted are standard and cure")))
            }
        }
    }

    fn apply_cure(&self, config: &mut RunConfig) -> Outcome {
        let asked = [&self.gamma, &self.h, &self.scale, &self.direction, &self.batch_norm];
        let Objective::Cure(cure) = &mut config.training.objective else {
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
        if let Some(gamma) = &self.gamma {
            config.training.gamma = gamma.parse().input()?;
        }
        if let Some(h) = &self.h {
            config.training.h = h.parse().input()?;
        }
        let unset =
            |schedule: &ValueSchedule| schedule.extremes().iter().all(|&value| value == 0.0);
        if unset(&config.training.gamma) || unset(&config.training.h) {
            return Err(Failure::Input(
                "CURE needs γ and h over 0: give --gamma and --h, or --preset authors-2021".into(),
            ));
        }
        Ok(())
    }
}

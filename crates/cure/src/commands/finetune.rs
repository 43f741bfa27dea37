//! `cure finetune`: a trained network, further: with CURE, or with what it is compared to.

use std::path::PathBuf;

use clap::Args;
use cure_training::{TrainingConfig, preset};

use super::method::MethodArguments;
use super::run::{self, TrainingArguments};
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
  cure finetune --method pgd-at:eps=8/255,steps=7 --data cifar10:DIR --weights resnet20.th \\
      --normalize imagenet --epochs 8 --validation 1000 --out runs/pgd
  cure finetune --method cure:alpha=0.5,beta=0.5 --batch-norm frozen --gamma 0.1 --h 1.74 …
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
    /// A published recipe to start from: paper or authors-2021.
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    #[command(flatten)]
    method: MethodArguments,
    /// Go on with the run in this folder.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    if let Some(folder) = &options.resume {
        let alone = Options { resume: options.resume.clone(), ..Options::default() };
        return run::resume(general, folder, *options == alone);
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
    } else if let Some(weights) = config.weights.as_deref().filter(|file| file.is_file())
        && options.training.is_recipe()
        && cure_network::normalization_of(weights).input()?.is_some()
    {
        // A recipe's is of the file that it was made for.
        config.normalize = None;
    }
    options.method.apply(&mut config.training)?;
    if options.preset.is_some() && config.training.objective.name() != "cure" {
        return Err(Failure::Input("--preset is for --method cure; leave one of them out".into()));
    }
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
}

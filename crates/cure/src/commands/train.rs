//! `cure train`: a network from random weights.

use std::path::PathBuf;

use clap::Args;

use super::method::MethodArguments;
use super::run::{self, RunConfig, TrainingArguments};
use crate::arguments::General;
use crate::failure::{Failure, Outcome};

#[derive(Args, Debug, Default, PartialEq)]
#[command(after_help = "\
Examples:
  cure train --data digits --model cnn --epochs 20 --out runs/digits
  cure train --data cifar10:DIR --model resnet20 --normalize cifar10 --epochs 100 \\
      --optimizer sgd --learning-rate one-cycle:0.1@0.3 --out runs/resnet20
  cure train --method trades:eps=8/255 --data cifar10:DIR --model resnet20 --normalize cifar10 \\
      --optimizer sgd --learning-rate one-cycle:0.1@0.3 --out runs/trades
  cure train --resume runs/resnet20

The run directory holds config.toml (which reproduces the run with --config), metrics.jsonl,
checkpoints/, and the chosen weights as weights.safetensors.")]
pub(crate) struct Options {
    #[command(flatten)]
    training: TrainingArguments,
    /// The architecture.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What is done to pixels first: none, imagenet, cifar10 or M,M,M/S,S,S.
    #[arg(long, value_name = "HOW")]
    normalize: Option<String>,
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
    let mut config: RunConfig = options.training.base(general)?;
    if let Some(model) = &options.model {
        config.model = Some(model.clone());
    }
    if let Some(normalize) = &options.normalize {
        config.normalize = Some(normalize.clone());
    }
    options.method.apply(&mut config.training)?;
    if config.model.is_none() {
        return Err(Failure::Input(
            "which network? give --model, as --model resnet20 (or `model` in --config)".into(),
        ));
    }
    if config.weights.is_some() {
        return Err(Failure::Input(
            "`weights` belongs to `cure finetune`; `cure train` starts from random weights".into(),
        ));
    }
    if !config.training.objective.moves_statistics() {
        tracing::warn!(
            "no pass of this objective has BatchNorm over the batch: a network with BatchNorm keeps the \
             running statistics that it starts with; set regularizer_mode=train, or loss_mode=train where \
             the loss has a pass of its own"
        );
    }
    run::start(general, &options.training, config)
}

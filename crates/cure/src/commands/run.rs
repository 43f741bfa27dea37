//! A training run from the command line: its configuration, its start and its resumption.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::Augmentation;
use cure_tensor::ops;
use cure_training::{RunDirectory, TrainingConfig, Validation, ValidationAttack};

use super::prepared::Prepared;
pub(crate) use super::run_config::RunConfig;
use super::session;
use super::steps::LoopArguments;
use crate::arguments::General;
use crate::failure::{Blame, Failure, Outcome};
use crate::recipes;

/// The attack on validation images where none is named.
const VALIDATION_ATTACK: &str = "pgd:norm=linf,eps=8/255,steps=10,random-start=false";

/// What `train` and `finetune` share.
#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct TrainingArguments {
    /// The data; its training split is used.
    #[arg(long, value_name = "NAME[:PLACE]")]
    data: Option<String>,
    /// The run's folder, made for it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A configuration to start from: a file, such as another run's config.toml, or a recipe by
    /// name (cure recipes list); flags override it.
    #[arg(long, value_name = "FILE|RECIPE")]
    config: Option<PathBuf>,
    /// Only the first N training images.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Epochs [default: 20].
    #[arg(long, value_name = "N", help_heading = "Training")]
    epochs: Option<usize>,
    /// Images a step [default: 128].
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch: Option<usize>,
    /// Learning rate: a number, steps:8e-4@7,14x0.1, exponential:1e-4..1e-6, cosine:0.1..0,
    /// one-cycle:0.1@0.3 or cyclic:0..0.2@10 [default: 8e-4].
    #[arg(long, value_name = "SCHEDULE", help_heading = "Training")]
    learning_rate: Option<String>,
    /// adam or sgd (momentum 0.9, Nesterov) [default: adam].
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    optimizer: Option<String>,
    /// Times each parameter, added to its gradient.
    #[arg(long, value_name = "X", help_heading = "Training", allow_negative_numbers = true)]
    weight_decay: Option<f64>,
    /// Random crop and flip (true) or images as they are (false) [default: true, but for digits].
    #[arg(long, value_name = "BOOL", help_heading = "Training")]
    augment: Option<bool>,
    /// Images of each epoch, other ones each time, for short epochs.
    #[arg(long, value_name = "N", help_heading = "Training")]
    images_per_epoch: Option<usize>,
    /// Keep the weights of every so many epochs, in the run's checkpoints.
    #[arg(long, value_name = "N", help_heading = "Training")]
    keep_every: Option<usize>,
    /// Training images set aside to choose the epoch by: a count or a share.
    #[arg(long, value_name = "N", help_heading = "Training")]
    validation: Option<String>,
    /// The attack on the validation images, as `cure evaluate` writes it; `none` for clean
    /// accuracy alone [default: pgd:eps=8/255,steps=10,random-start=false].
    #[arg(long, value_name = "SPEC", help_heading = "Training")]
    validation_attack: Option<String>,
    /// Attack them after each so many epochs, and after the last [default: 1].
    #[arg(long, value_name = "N", help_heading = "Training")]
    validation_every: Option<usize>,
    /// Attack so many of them, spread evenly [default: 500].
    #[arg(long, value_name = "N", help_heading = "Training")]
    validation_samples: Option<usize>,
    /// Which epoch's weights are chosen: best-robust, best-clean, last, or auto, the first of these
    /// that was measured [default: auto].
    #[arg(long, value_name = "WHAT", help_heading = "Training")]
    selection: Option<String>,
    #[command(flatten)]
    steps: LoopArguments,
}

impl TrainingArguments {
    /// The configuration from `--config` and the flags.
    pub(crate) fn base(&self, general: &General) -> Outcome<RunConfig> {
        self.base_with(general, |_| Ok(()))
    }

    /// Whether a configuration file was given.
    pub(crate) fn has_config(&self) -> bool {
        self.config.is_some()
    }

    /// Whether a recipe of the program's is named, and not a file of somebody's.
    pub(crate) fn is_recipe(&self) -> bool {
        self.config.as_ref().is_some_and(|name| !name.is_file())
    }

    /// As [`TrainingArguments::base`], with `preset` applied before the flags.
    pub(crate) fn base_with(
        &self,
        general: &General,
        preset: impl FnOnce(&mut TrainingConfig) -> Outcome,
    ) -> Outcome<RunConfig> {
        let mut config: RunConfig = match &self.config {
            Some(path) => recipes::configuration(path)?,
            None => RunConfig::default(),
        };
        preset(&mut config.training)?;
        if self.data.is_some() {
            config.data.clone_from(&self.data);
        }
        if self.limit.is_some() {
            config.limit = self.limit;
        }
        config.plain_sums |= general.plain_sums;
        // Moving or mirroring an 8×8 digit makes another digit of it.
        if self.config.is_none() && config.data.as_deref() == Some("digits") {
            config.training.augmentation = Augmentation::NONE;
        }
        let training = &mut config.training;
        if let Some(seed) = general.seed {
            training.seed = seed;
        }
        if let Some(epochs) = self.epochs {
            training.epochs = epochs;
        }
        if let Some(batch) = self.batch {
            training.batch = batch;
        }
        if let Some(rate) = &self.learning_rate {
            training.learning_rate = rate.parse().input()?;
        }
        if self.images_per_epoch.is_some() {
            training.images_per_epoch = self.images_per_epoch;
        }
        if self.keep_every.is_some() {
            training.keep_every = self.keep_every;
        }
        if let Some(augment) = self.augment {
            training.augmentation =
                if augment { Augmentation::default() } else { Augmentation::NONE };
        }
        self.apply_optimizer(training)?;
        self.apply_validation(training)?;
        self.steps.apply(training)?;
        Ok(config)
    }

    fn apply_optimizer(&self, training: &mut TrainingConfig) -> Outcome {
        use cure_training::OptimizerOptions::{Adam, Sgd};
        match self.optimizer.as_deref() {
            None => {}
            Some("adam") => training.optimizer = Default::default(),
            Some("sgd") => {
                training.optimizer = Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.0 };
            }
            Some(other) => {
                return Err(Failure::Input(format!(
                    "--optimizer `{other}`: accepted are adam and sgd"
                )));
            }
        }
        if let Some(decay) = self.weight_decay {
            match &mut training.optimizer {
                Adam { weight_decay, .. } | Sgd { weight_decay, .. } => *weight_decay = decay,
            }
        }
        Ok(())
    }

    fn apply_validation(&self, training: &mut TrainingConfig) -> Outcome {
        if let Some(size) = &self.validation {
            let size = size.parse().input()?;
            match &mut training.validation {
                Some(validation) => validation.size = size,
                None => {
                    let spec = VALIDATION_ATTACK.parse().input()?;
                    let attack = Some(ValidationAttack::new(spec));
                    training.validation =
                        Some(Validation { size, attack, ..Validation::default() });
                }
            }
        }
        match (&self.validation_attack, &mut training.validation) {
            (None, _) => {}
            (Some(_), None) => {
                return Err(Failure::Input("--validation-attack needs --validation".into()));
            }
            (Some(text), Some(validation)) if text == "none" => validation.attack = None,
            (Some(text), Some(validation)) => {
                let spec = text.parse().input()?;
                match &mut validation.attack {
                    Some(attack) => attack.spec = spec,
                    None => validation.attack = Some(ValidationAttack::new(spec)),
                }
            }
        }
        if let Some(text) = &self.selection {
            training.selection = text.parse().input()?;
        }
        let given = self.validation_every.is_some() || self.validation_samples.is_some();
        match training.validation.as_mut().and_then(|validation| validation.attack.as_mut()) {
            Some(attack) => {
                attack.every = self.validation_every.unwrap_or(attack.every);
                attack.samples = self.validation_samples.unwrap_or(attack.samples);
                Ok(())
            }
            None if given => Err(Failure::Input(
                "--validation-every and --validation-samples are of the attack on validation \
                 images: give --validation, and no --validation-attack none"
                    .into(),
            )),
            None => Ok(()),
        }
    }
}

/// Starts a run in a folder of its own.
pub(crate) fn start(
    general: &General,
    arguments: &TrainingArguments,
    config: RunConfig,
) -> Outcome {
    let Some(folder) = &arguments.out else {
        return Err(Failure::Input("where to? give --out DIR, a folder for the run".into()));
    };
    ops::use_plain_sums(config.plain_sums);
    config.training.check().input()?;
    let config = config.anchored()?;
    let prepared = Prepared::new(&config)?;
    config
        .training
        .check_data(&prepared.network, &prepared.train, prepared.validation.as_ref())
        .input()?;
    let created = match general.ranks.is_first() {
        true => RunDirectory::create(folder, &config),
        false => Ok(RunDirectory::follow(folder)),
    };
    let mut run = agreed(general, folder, created)?;
    prepared.train(general, &config, &mut run)
}

/// The folder, if the first rank has it: the others read what it finds there.
fn agreed(
    general: &General,
    folder: &Path,
    found: cure_training::Result<RunDirectory>,
) -> Outcome<RunDirectory> {
    let refused = general.ranks.any(found.is_err());
    let run = found.map_err(|error| session::blame(folder, error))?;
    match refused {
        true => Err(Failure::Input("the first rank has no folder for the run".into())),
        false => Ok(run),
    }
}

/// Goes on with the run in `folder`, where nothing else was asked (`is_alone`).
pub(crate) fn resume(general: &General, folder: &Path, is_alone: bool) -> Outcome {
    if !is_alone || general.seed.is_some() || general.plain_sums {
        return Err(Failure::Input(
            "--resume goes on as the run's config.toml says; leave out all but --device, \
             --precision, --threads, --quiet and --verbose"
                .into(),
        ));
    }
    let found = match general.ranks.is_first() {
        true => RunDirectory::resume(folder),
        false => Ok(RunDirectory::follow(folder)),
    };
    let mut run = agreed(general, folder, found)?;
    let config: RunConfig = run.configuration().input()?;
    ops::use_plain_sums(config.plain_sums);
    config.training.check().input()?;
    Prepared::resumed(&config, &run)?.train(general, &config, &mut run)
}

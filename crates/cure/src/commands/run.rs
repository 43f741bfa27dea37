//! A training run from the command line: its configuration, its start and its resumption.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::{Augmentation, Dataset, Split};
use cure_network::{Architecture, LoadOptions, Network, Normalization, load};
use cure_report::{Cell, Table};
use cure_tensor::ops;
use cure_training::{
    Control, Event, Finished, Outcome as Ended, RunDirectory, TrainingConfig, TrainingError,
    Validation, ValidationAttack, train,
};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use super::steps::LoopArguments;
use crate::arguments::{General, load_data};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::output::print;
use crate::progress;
use crate::recipes;

/// The attack on validation images where none is named.
const VALIDATION_ATTACK: &str = "pgd:norm=linf,eps=8/255,steps=10,random-start=false";

/// What a run's `config.toml` holds, and what `--config` reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// The data, as NAME[:PLACE]; its training split is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<String>,
    /// Only the first so many training images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
    /// The architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The weights to start from; random ones without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weights: Option<PathBuf>,
    /// What is done to pixels first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) normalize: Option<String>,
    /// Plain sums in every convolution (`--plain-sums`): whoever resumes takes them too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) plain_sums: bool,
    /// Everything else.
    pub(crate) training: TrainingConfig,
}

/// What `train` and `finetune` share.
#[derive(Args, Debug, Default, PartialEq)]
pub(crate) struct TrainingArguments {
    /// The data; its training split is used.
    #[arg(long, value_name = "NAME[:PLACE]")]
    data: Option<String>,
    /// The run's folder, made for it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A configuration to start from: a file, such as another run's config.toml, or a recipe by name
    /// (cure recipes list); flags override it.
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
    #[arg(long, value_name = "X", help_heading = "Training")]
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
        Ok(())
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
    let prepared = Prepared::new(&config)?;
    config
        .training
        .check_data(&prepared.network, &prepared.train, prepared.validation.as_ref())
        .input()?;
    let mut run = match general.ranks.is_first() {
        true => RunDirectory::create(folder, &config).input()?,
        false => RunDirectory::follow(folder),
    };
    prepared.train(general, &config, &mut run)
}

/// Goes on with the run in `folder`.
pub(crate) fn resume(general: &General, folder: &Path) -> Outcome {
    let mut run = match general.ranks.is_first() {
        true => RunDirectory::resume(folder).input()?,
        false => RunDirectory::follow(folder),
    };
    let config: RunConfig = run.configuration().input()?;
    ops::use_plain_sums(config.plain_sums);
    config.training.check().input()?;
    Prepared::new(&config)?.train(general, &config, &mut run)
}

/// A run's data and network.
pub(super) struct Prepared {
    pub(super) train: Dataset,
    pub(super) validation: Option<Dataset>,
    pub(super) network: Network,
    /// Of the file that the network is from.
    pub(super) weights_sha256: Option<String>,
}

impl Prepared {
    fn new(config: &RunConfig) -> Outcome<Self> {
        let Some(data) = &config.data else {
            return Err(Failure::Input(
                "which data? give --data, as --data digits or --data cifar10:DIR".into(),
            ));
        };
        let mut all = load_data(data, Split::Train)?;
        if let Some(limit) = config.limit {
            all = all.limit(limit).input()?;
        }
        let (train, validation) = config.training.split(&all).input()?;
        let (network, weights_sha256) = match &config.weights {
            Some(weights) => {
                let loaded = load(
                    weights,
                    &LoadOptions {
                        model: config.model.clone(),
                        normalization: config.normalize.clone(),
                        classes: all.classes(),
                        input: all.shape(),
                    },
                )
                .input()?;
                loaded.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
                (loaded.network, Some(loaded.sha256.hexadecimal().to_owned()))
            }
            None => {
                let name = config.model.as_deref().unwrap_or_default();
                let architecture = Architecture::named(name, all.classes(), all.shape()).input()?;
                let how = config.normalize.as_deref().unwrap_or("none");
                let normalization = Normalization::parse(how, all.shape()[0]).input()?;
                let seed = config.training.seed;
                (Network::random(architecture, normalization, seed).input()?, None)
            }
        };
        Ok(Self { train, validation, network, weights_sha256 })
    }

    fn train(mut self, general: &General, config: &RunConfig, run: &mut RunDirectory) -> Outcome {
        interrupt::listen()?;
        self.network.set_ranks(general.ranks.clone());
        let folder = run.path().to_owned();
        if !general.quiet {
            eprintln!(
                "{}: {} on {} images, {}, {} epochs",
                folder.display(),
                self.network.architecture().name(),
                self.train.len(),
                config.training.objective.name(),
                config.training.epochs,
            );
        }
        let is_first = general.ranks.is_first();
        if is_first {
            super::session::begin(run, &self, &config.training)?;
        }
        let mut watcher = Watcher { bar: progress::bar(0, general.quiet), quiet: general.quiet };
        let ended = train(
            self.network,
            &self.train,
            self.validation.as_ref(),
            &config.training,
            run,
            &mut |event: &Event<'_>| watcher.observe(event),
        );
        watcher.bar.finish_and_clear();
        if is_first {
            super::session::end(run, &ended)?;
        }
        match ended {
            Ok(Ended::Finished(_)) if !is_first => Ok(()),
            Ok(Ended::Finished(finished)) => {
                print(&summary(&finished, &folder, config.training.average.is_some()))
            }
            Ok(Ended::Interrupted(position)) => Err(Failure::Interrupted(format!(
                "interrupted in epoch {} after {} batches; go on with --resume {}",
                position.epoch + 1,
                position.batch,
                folder.display(),
            ))),
            // What the run was given does not go together; nothing was trained.
            Err(
                error @ (TrainingError::Setting { .. }
                | TrainingError::Network(_)
                | TrainingError::Data(_)
                | TrainingError::Schedule { .. }
                | TrainingError::Scheduled { .. }),
            ) => Err(error).input(),
            // A full disk, or a folder that may not be written any more.
            Err(error @ (TrainingError::Io { .. } | TrainingError::Weights(_)))
                if run.last().is_file() || run.previous().is_file() =>
            {
                Err(Failure::Failed(format!(
                    "{error}; the last checkpoint is intact: once there is room, go on with \
                     --resume {}",
                    folder.display()
                )))
            }
            Err(error) => Err(error).failed(),
        }
    }
}

fn percent(value: Option<f64>) -> Cell {
    value.map_or(Cell::Missing, |value| Cell::Percent(value, 1))
}

/// The rows of a run.
pub(crate) fn table(rows: &[cure_training::EpochRow]) -> Table {
    let columns = [
        "epoch",
        "loss",
        "L_r",
        "train",
        "valid",
        "valid attacked",
        "h",
        "γ",
        "rate",
        "images",
        "s",
    ];
    rows.iter().fold(Table::new("", columns), |table, row| {
        table.row([
            Cell::from(row.epoch),
            Cell::Number(row.loss, 4),
            Cell::Number(row.regularizer, 4),
            Cell::Percent(row.train_accuracy, 1),
            percent(row.validation_accuracy),
            percent(row.validation_robust_accuracy),
            Cell::Number(row.h, 3),
            Cell::Number(row.gamma, 2),
            Cell::from(format!("{:.1e}", row.learning_rate)),
            Cell::from(row.images_seen),
            Cell::Number(row.seconds, 0),
        ])
    })
}

fn summary(finished: &Finished, folder: &Path, averaged: bool) -> String {
    let attack = finished.rows.iter().find_map(|row| row.validation_attack.clone());
    let attack = attack.map(|attack| format!("valid attacked is {attack}\n")).unwrap_or_default();
    let ended = match finished.ended {
        Some(ending) => format!("ended early: {ending}\n"),
        None => String::new(),
    };
    let averaged = if averaged { ", the average's" } else { "" };
    format!(
        "{}{attack}{ended}chosen: epoch {}{averaged}; weights in {}\n",
        table(&finished.rows).to_text(),
        finished.chosen_epoch,
        folder.join("weights.safetensors").display(),
    )
}

/// Draws a run's progress and hears Ctrl-C.
pub(crate) struct Watcher {
    pub(crate) bar: ProgressBar,
    pub(crate) quiet: bool,
}

impl Watcher {
    /// Above the bar where there is one, plainly where there is none.
    fn say(&self, line: String) {
        if self.bar.is_hidden() { eprintln!("{line}") } else { self.bar.println(line) }
    }

    pub(crate) fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::EpochStarted { epoch, epochs, done, batches } => {
                self.bar.reset();
                self.bar.set_length(*batches as u64);
                self.bar.set_position(*done as u64);
                self.bar.set_prefix(format!("epoch {epoch}/{epochs}"));
            }
            Event::Step { batch, loss, regularizer, accuracy, .. } => {
                self.bar.set_position(*batch as u64);
                self.bar.set_message(format!(
                    "loss {loss:.3}, L_r {regularizer:.3}, {:.0} %",
                    100.0 * accuracy
                ));
            }
            Event::Validation { done, total, .. } => {
                self.bar.set_message(format!("validation {done}/{total}"));
            }
            Event::EpochEnded { row, chosen } if !self.quiet => {
                let percent = |value: Option<f64>| match value {
                    Some(value) => format!("{:.1} %", 100.0 * value),
                    None => "–".into(),
                };
                let line = format!(
                    "epoch {}: loss {:.4}, L_r {:.4}, train {:.1} %, valid {}, attacked {}, h {:.3}, {:.0} s{}",
                    row.epoch,
                    row.loss,
                    row.regularizer,
                    100.0 * row.train_accuracy,
                    percent(row.validation_accuracy),
                    percent(row.validation_robust_accuracy),
                    row.h,
                    row.seconds,
                    if *chosen { ", chosen so far" } else { "" },
                );
                self.say(line);
            }
            Event::Curvature { done, total, .. } => {
                self.bar.set_message(format!("curvature {done}/{total}"));
            }
            Event::Overfitting(overfitting) => self.say(format!("warning: {overfitting}")),
            _ => {}
        }
        if interrupt::asked() { Control::Stop } else { Control::Continue }
    }
}

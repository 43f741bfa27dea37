use std::num::NonZeroUsize;

use cure_data::{Augmentation, Dataset, ValidationSize};
use cure_network::{Network, NetworkError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::checkpoint::hexadecimal;
use crate::error::{Result, TrainingError};
use crate::objective::Objective;
use crate::optimizer::OptimizerOptions;
use crate::schedule::{LearningRate, ValueSchedule};
use crate::validation::ValidationAttack;

/// Everything that decides a training run but the network it starts from and the data. Saved as
/// `config.toml` it reproduces the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Number of epochs; default 20.
    pub epochs: usize,
    /// Samples a step; default 128.
    pub batch: usize,
    /// Leave out the last batch of an epoch where it is smaller; default false.
    pub drop_last: bool,
    /// Use only this many images in each epoch, other ones each time, for short epochs; default
    /// all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_per_epoch: Option<usize>,
    /// Decides order, augmentation and directions; default 0.
    pub seed: u64,
    /// The learning rate; default `8e-4`.
    pub learning_rate: LearningRate,
    /// h, the length of the regulariser's step in its scale; default 0. Only CURE uses it.
    pub h: ValueSchedule,
    /// γ, the regulariser's weight; default 0. Only CURE uses it.
    pub gamma: ValueSchedule,
    /// Which epoch's weights are chosen; default `auto`.
    pub selection: Selection,
    /// Seconds between checkpoints within an epoch (each epoch ends with one as well); default
    /// 120. It does not change the result.
    pub checkpoint_seconds: f64,
    /// Export the weights of every so many epochs to `checkpoints/epoch-NNN.safetensors`, to be
    /// measured later; default none. It does not change the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<usize>,
    /// What is minimised; default `method = "standard"`.
    pub objective: Objective,
    /// Default Adam.
    pub optimizer: OptimizerOptions,
    /// Crop and flip; default padding 4 and flip.
    pub augmentation: Augmentation,
    /// Samples set aside from the training split to choose by; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

/// Which samples are set aside, and how they are attacked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// `{ fraction = 0.1 }` (the default) or `{ count = 5000 }`.
    pub size: ValidationSize,
    /// Decides which samples; default 0.
    pub seed: u64,
    /// An attack on them; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack: Option<ValidationAttack>,
}

impl Default for Validation {
    fn default() -> Self {
        Self { size: ValidationSize::Fraction(0.1), seed: 0, attack: None }
    }
}

/// Which epoch's weights a run chooses. Of equal epochs it is the latest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The best under attack if there is an attack, else by clean accuracy if there are validation
    /// samples, else the last.
    #[default]
    Auto,
    /// The highest accuracy under the validation attack, among epochs where it was measured.
    BestRobust,
    /// The highest clean accuracy on the validation samples.
    BestClean,
    /// The last epoch.
    Last,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 128,
            drop_last: false,
            images_per_epoch: None,
            seed: 0,
            learning_rate: LearningRate::Constant(8e-4),
            h: ValueSchedule::Constant(0.0),
            gamma: ValueSchedule::Constant(0.0),
            selection: Selection::Auto,
            checkpoint_seconds: 120.0,
            keep_every: None,
            objective: Objective::default(),
            optimizer: OptimizerOptions::default(),
            augmentation: Augmentation::default(),
            validation: None,
        }
    }
}

impl TrainingConfig {
    /// Whether every setting is in its range. Nothing needs to be loaded for it.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] or [`TrainingError::Schedule`] for the first that is not.
    pub fn check(&self) -> Result<()> {
        let at_least_one = |name, value: usize| match NonZeroUsize::new(value) {
            Some(_) => Ok(()),
            None => Err(TrainingError::setting(name, value, "1 or more")),
        };
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch", self.batch)?;
        at_least_one("images_per_epoch", self.images_per_epoch.unwrap_or(1))?;
        at_least_one("keep_every", self.keep_every.unwrap_or(1))?;
        for seed in [self.seed, self.validation.as_ref().map_or(0, |validation| validation.seed)] {
            if i64::try_from(seed).is_err() {
                let accepted = format!("0 to {}, the largest integer of TOML", i64::MAX);
                return Err(TrainingError::setting("seed", seed, accepted));
            }
        }
        if !(self.checkpoint_seconds > 0.0 && self.checkpoint_seconds.is_finite()) {
            let value = self.checkpoint_seconds;
            return Err(TrainingError::setting("checkpoint_seconds", value, "above 0"));
        }
        // A schedule made in code rather than read has not been checked yet.
        self.learning_rate.to_string().parse::<LearningRate>()?;
        for (name, schedule) in [("h", &self.h), ("gamma", &self.gamma)] {
            schedule.to_string().parse::<ValueSchedule>()?;
            if let Some(value) = schedule.extremes().into_iter().find(|&value| value < 0.0) {
                return Err(TrainingError::setting(name, value, "0 or more"));
            }
        }
        self.objective.check()?;
        self.optimizer.check()?;
        let attack = self.attack();
        if let Some(attack) = attack {
            attack.check()?;
        }
        match self.selection {
            Selection::BestRobust if attack.is_none() => {
                let accepted = "auto, best-clean or last without a validation attack";
                Err(TrainingError::setting("selection", "best-robust", accepted))
            }
            Selection::BestClean if self.validation.is_none() => {
                let accepted = "auto or last without validation samples";
                Err(TrainingError::setting("selection", "best-clean", accepted))
            }
            _ => Ok(()),
        }
    }

    /// The attack on the validation samples.
    pub fn attack(&self) -> Option<&ValidationAttack> {
        self.validation.as_ref()?.attack.as_ref()
    }

    /// Whether the settings and a network fit the data, as [`train`](crate::train) will ask:
    /// before anything is written.
    ///
    /// # Errors
    /// Images of another size than the network's, more classes than it has outputs, a validation
    /// that has no samples, no full batch with `drop_last`.
    pub fn check_data(
        &self,
        network: &Network,
        train: &Dataset,
        validation: Option<&Dataset>,
    ) -> Result<()> {
        let architecture = network.architecture();
        for dataset in [Some(train), validation].into_iter().flatten() {
            if dataset.shape() != architecture.input {
                let (expected, found) = (architecture.input, dataset.shape().to_vec());
                return Err(NetworkError::Images { expected, found }.into());
            }
            if dataset.classes() > architecture.classes {
                let accepted = format!("at most {}, the network's outputs", architecture.classes);
                let found = dataset.classes();
                return Err(TrainingError::setting("number of classes", found, accepted));
            }
        }
        if self.validation.is_some() && validation.is_none() {
            let accepted = "none when no validation samples are given";
            return Err(TrainingError::setting("validation", "set", accepted));
        }
        if let Some(images) = self.images_per_epoch.filter(|&images| images > train.len()) {
            let accepted = format!("up to {}, the training images", train.len());
            return Err(TrainingError::setting("images_per_epoch", images, accepted));
        }
        let images = self.images_of(train);
        if self.drop_last && images < self.batch {
            let accepted = format!("up to {images}, the images of an epoch, with drop_last = true");
            return Err(TrainingError::setting("batch", self.batch, accepted));
        }
        Ok(())
    }

    /// Images used in each epoch.
    pub(crate) fn images_of(&self, train: &Dataset) -> usize {
        self.images_per_epoch.unwrap_or(train.len())
    }

    /// Cuts the validation samples from a training split: the samples to train on, and those.
    ///
    /// # Errors
    /// A size that leaves either part empty.
    pub fn split(&self, train: &Dataset) -> Result<(Dataset, Option<Dataset>)> {
        match &self.validation {
            None => Ok((train.clone(), None)),
            Some(validation) => {
                let (train, held_out) = train.split_validation(validation.size, validation.seed)?;
                Ok((train, Some(held_out)))
            }
        }
    }

    /// What is chosen by, with `auto` resolved.
    pub(crate) fn criterion(&self) -> Selection {
        match (self.selection, &self.validation, self.attack()) {
            (Selection::Auto, _, Some(_)) => Selection::BestRobust,
            (Selection::Auto, Some(_), None) => Selection::BestClean,
            (Selection::Auto, None, None) => Selection::Last,
            (chosen, ..) => chosen,
        }
    }

    /// SHA-256 of everything here that decides the result.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let deciding = Self { checkpoint_seconds: 1.0, keep_every: None, ..self.clone() };
        let text = toml::to_string(&deciding).map_err(|error| TrainingError::Configuration {
            path: "config.toml".into(),
            reason: error.to_string(),
        })?;
        Ok(hexadecimal(&Sha256::digest(text)))
    }
}

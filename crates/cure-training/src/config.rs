use std::num::NonZeroUsize;

use cure_data::{Augmentation, Dataset};
use cure_network::{Network, NetworkError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::curvature::CurvatureOptions;
use crate::error::{Result, TrainingError};
use crate::objective::Objective;
use crate::optimizer::OptimizerOptions;
use crate::overfitting::OnOverfitting;
use crate::schedule::{LearningRate, ParameterSchedules, ValueSchedule};
use crate::sealed::hexadecimal;
use crate::selection::Selection;
use crate::validation::{Validation, ValidationAttack};
use crate::{average, clipping};

/// Everything that decides a training run but the network it starts from and the data. Saved as
/// `config.toml` it reproduces the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Number of epochs; default 20.
    pub epochs: usize,
    /// Samples a step; default 128.
    pub batch: usize,
    /// Parts that each batch is taken in, one after the other, for less memory; default 1.
    /// BatchNorm over the batch then sees the part.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
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
    /// Epochs, also a part of one, over which the learning rate rises from 0 to its schedule;
    /// default 0.
    #[serde(skip_serializing_if = "is_default")]
    pub warm_up: f64,
    /// The learning rate of BatchNorm's scale and shift, as a multiple of the others'; default 1.
    /// 0 leaves them as they are.
    #[serde(skip_serializing_if = "is_one")]
    pub batch_norm_rate: f64,
    /// The largest ℓ2 norm of a gradient over all parameters: longer ones are shortened to it;
    /// default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of a moving average of the weights, as 0.999; default none. Where there is one, it is
    /// what is validated, chosen and exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// h, the length of the regulariser's step in its scale; default 0. Only CURE uses it.
    pub h: ValueSchedule,
    /// γ, the regulariser's weight; default 0. Only CURE uses it.
    pub gamma: ValueSchedule,
    /// Take γ's regulariser in every so many steps only, with as many times its weight; default 1.
    /// The other steps go without its passes.
    #[serde(skip_serializing_if = "is_one")]
    pub regularize_every: usize,
    /// Which epoch's weights are chosen; default `auto`.
    pub selection: Selection,
    /// End the run when so many measurements of what is chosen by, one after the other, were no
    /// better than the best before them; default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// What is done about catastrophic overfitting, where there is a validation attack: `warn` (the
    /// default), `stop` or `roll-back`.
    #[serde(skip_serializing_if = "is_default")]
    pub on_overfitting: OnOverfitting,
    /// How often a run may be rolled back; then it ends. Default 3.
    #[serde(skip_serializing_if = "is_usual_roll_backs")]
    pub roll_backs: usize,
    /// Seconds between checkpoints within an epoch (each epoch ends with one as well); default
    /// 120. It does not change the result.
    pub checkpoint_seconds: f64,
    /// Export the weights of every so many epochs to `checkpoints/epoch-NNN.safetensors`, to be
    /// measured later; default none. It does not change the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<usize>,
    /// What is minimised; default `method = "standard"`.
    pub objective: Objective,
    /// Schedules for parameters of the objective, by their names in `objective`: `eps =
    /// "linear:1/255..8/255@5"`. They override what is said there. Default none.
    #[serde(skip_serializing_if = "ParameterSchedules::is_empty")]
    pub schedules: ParameterSchedules,
    /// Default Adam.
    pub optimizer: OptimizerOptions,
    /// Crop and flip; default padding 4 and flip.
    pub augmentation: Augmentation,
    /// Samples set aside from the training split to choose by; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
    /// Curvature on a fixed sample of the training images; default none. It does not change the
    /// result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curvature: Option<CurvatureOptions>,
}

/// Whether a setting need not be written: files of runs without it stay as they were.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_one<T: PartialEq + From<u8>>(value: &T) -> bool {
    *value == T::from(1)
}

const ROLL_BACKS: usize = 3;

fn is_usual_roll_backs(value: &usize) -> bool {
    *value == ROLL_BACKS
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 128,
            accumulate: 1,
            drop_last: false,
            images_per_epoch: None,
            seed: 0,
            learning_rate: LearningRate::Constant(8e-4),
            warm_up: 0.0,
            batch_norm_rate: 1.0,
            clip_norm: None,
            average: None,
            h: ValueSchedule::Constant(0.0),
            gamma: ValueSchedule::Constant(0.0),
            regularize_every: 1,
            selection: Selection::Auto,
            patience: None,
            on_overfitting: OnOverfitting::Warn,
            roll_backs: ROLL_BACKS,
            checkpoint_seconds: 120.0,
            keep_every: None,
            objective: Objective::default(),
            schedules: ParameterSchedules::new(),
            optimizer: OptimizerOptions::default(),
            augmentation: Augmentation::default(),
            validation: None,
            curvature: None,
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
        at_least_one("accumulate", self.accumulate)?;
        if self.accumulate > self.batch {
            let accepted = format!("up to {}, the samples of a batch", self.batch);
            return Err(TrainingError::setting("accumulate", self.accumulate, accepted));
        }
        at_least_one("images_per_epoch", self.images_per_epoch.unwrap_or(1))?;
        at_least_one("keep_every", self.keep_every.unwrap_or(1))?;
        at_least_one("patience", self.patience.unwrap_or(1))?;
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
        self.objective.check(None)?;
        self.check_schedules()?;
        self.optimizer.check()?;
        let attack = self.attack();
        if let Some(attack) = attack {
            attack.check()?;
        }
        self.clip_norm.map_or(Ok(()), clipping::check)?;
        self.average.map_or(Ok(()), average::check)?;
        self.curvature.map_or(Ok(()), |curvature| curvature.check())?;
        self.check_selection()
    }

    /// The attack on the validation samples.
    pub fn attack(&self) -> Option<&ValidationAttack> {
        self.validation.as_ref()?.attack.as_ref()
    }

    /// Whether the settings and a network fit the data, as [`train`](crate::train) will ask:
    /// before anything is written.
    ///
    /// # Errors
    /// A length of the objective that its pixels do not have, images of another size than the
    /// network's, more classes than it has outputs, a validation that has no samples, no full batch
    /// with `drop_last`.
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
        let dimension = Some(architecture.input.iter().product());
        for epoch in 0..self.epochs {
            self.objective_at(epoch)?.check(dimension)?;
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

    /// SHA-256 of everything here that decides the result.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let deciding =
            Self { checkpoint_seconds: 1.0, keep_every: None, curvature: None, ..self.clone() };
        let text = toml::to_string(&deciding).map_err(|error| TrainingError::Configuration {
            path: "config.toml".into(),
            reason: error.to_string(),
        })?;
        Ok(hexadecimal(&Sha256::digest(text)))
    }
}

//! What is minimised: each objective is one file, with its reference and its cost in passes.
//!
//! A pass is one evaluation, one pull back to the input, or one weight gradient of the whole
//! network on the batch; all cost about the same. The gradient of each objective is exact for the
//! objective as its file defines it, with the points and directions that an attack finds held
//! constant.
//!
//! [`objectives`] is the table: names, sources, passes, parameters. An objective is written as
//! `NAME:PARAMETER=VALUE,…` on the command line and as a table in configurations, with the same
//! names.

mod adversarial;
mod awp;
mod batch_norm;
mod cure;
mod elle;
mod entry;
#[cfg(test)]
mod golden;
mod gradalign;
mod gradient_penalty;
mod length;
mod llr;
mod loss;
mod mart;
mod pair;
mod part;
mod point;
mod spec;
mod standard;
mod trades;

pub use adversarial::{
    AdversarialOptions, DeepFoolTrainingOptions, FgsmAtOptions, FgsmRsOptions, FreeOptions,
    NFgsmOptions, PgdAtOptions,
};
pub use batch_norm::BatchNormMode;
pub use cure::{CureOptions, Derivatives, Direction, RegularizerTerms, derivatives, regularizer};
pub use elle::ElleOptions;
pub use entry::{ObjectiveEntry, objectives};
pub use gradalign::GradAlignOptions;
pub use gradient_penalty::GradientPenaltyOptions;
pub use llr::LlrOptions;
pub use loss::LossOptions;
pub use mart::MartOptions;
pub use trades::TradesOptions;

use cure_network::{Gradients, Network};
use cure_tensor::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::Result;
use part::{Batch, Part};

/// The values that schedules give to an objective's parameters in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochValues {
    /// Length h of the step to the second point, in the declared scale. Only CURE has one.
    pub h: f64,
    /// Weight γ of CURE's regulariser.
    pub gamma: f64,
}

/// Where the private random stream of each sample comes from: results then do not depend on
/// which batch a sample is in.
#[derive(Clone, Copy, Debug)]
pub struct SampleStreams<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The stored position of each sample of the batch.
    pub indices: &'a [usize],
}

impl SampleStreams<'_> {
    /// A stream of the sample stored at `index`; uses are told apart by number.
    fn stream(&self, index: usize, which: u64) -> ChaCha8Rng {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(which << 32));
        stream.set_stream(((self.epoch << 40) | index as u64).wrapping_add(1));
        stream
    }
}

/// What one batch contributes.
#[derive(Debug)]
pub struct StepOutcome {
    /// The gradient of the objective's mean over the batch.
    pub gradients: Gradients,
    /// Sum of the whole objective over the batch: what `gradients` is the gradient of, times the
    /// samples.
    pub objective: f64,
    /// Sum of the losses ℓ over the batch, without the regulariser; at the perturbed points where
    /// the objective is about those.
    pub loss: f64,
    /// Sum of L_r, or of whatever is added to the loss, over the batch, without its weight; 0 where
    /// the objective has none.
    pub regularizer: f64,
    /// Samples of the batch that the pass of the loss classified correctly.
    pub correct: usize,
    /// Samples of the batch.
    pub samples: usize,
    /// The points of the batch's next replay; only of an objective that has one
    /// ([`Objective::replays`]).
    pub next: Option<Tensor>,
}

/// What is minimised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Objective {
    /// The mean cross-entropy.
    Standard(LossOptions),
    /// The mean of α·ℓ(x) + β·ℓ(x + hz) + γ·L_r (the paper's section 4; α = 1, β = 0 there).
    Cure(CureOptions),
    /// Adversarial training by projected gradient descent.
    PgdAt(PgdAtOptions),
    /// Adversarial training by FGSM from the image itself.
    FgsmAt(FgsmAtOptions),
    /// Adversarial training by FGSM from a random start.
    FgsmRs(FgsmRsOptions),
    /// Adversarial training by FGSM from noise, not projected.
    NFgsm(NFgsmOptions),
    /// Free adversarial training.
    Free(FreeOptions),
    /// Training on DeepFool's examples (the paper's section 2).
    #[serde(rename = "deepfool")]
    DeepFool(DeepFoolTrainingOptions),
    /// TRADES.
    Trades(TradesOptions),
    /// MART.
    Mart(MartOptions),
    /// The penalty on the input gradient.
    GradientPenalty(GradientPenaltyOptions),
    /// FGSM with gradient alignment.
    #[serde(rename = "gradalign")]
    GradAlign(GradAlignOptions),
    /// The local linearity regulariser.
    Llr(LlrOptions),
    /// FGSM with efficient local linearity regularisation.
    Elle(ElleOptions),
}

/// What every objective's options can do.
trait Minimise {
    /// Whether every parameter is in its range, and lengths fit images of `dimension` = C·H·W
    /// pixels, where that is known.
    ///
    /// # Errors
    /// [`TrainingError::Setting`](crate::TrainingError::Setting) for the first that is not.
    fn check(&self, dimension: Option<usize>) -> Result<()>;

    /// The perturbed points of a batch, where the objective looks for them before anything else.
    /// None: it has none, or finds them in passes that it makes anyway.
    ///
    /// # Errors
    /// As [`Minimise::part`].
    fn points(&self, _: &Network, _: &Batch<'_>, _: &EpochValues) -> Result<Option<Tensor>> {
        Ok(None)
    }

    /// The objective on a batch, with its gradient; at [`Batch::points`] where there are any.
    ///
    /// # Errors
    /// If the images do not fit the network or a label is no class.
    fn part(&self, network: &Network, batch: &Batch<'_>, at: &EpochValues) -> Result<Part>;
}

impl Default for Objective {
    fn default() -> Self {
        Self::Standard(LossOptions::default())
    }
}

impl Objective {
    /// The gradient of the objective on a batch. Running statistics of BatchNorm move with each
    /// pass in training mode that has a gradient in θ; those of attacks, and the one that only
    /// finds z, leave them alone.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]` in [0, 1]; `labels`: `N` classes.
    ///
    /// # Errors
    /// If the images do not fit the network or a label is no class.
    pub fn step(
        &self,
        network: &mut Network,
        images: &Tensor,
        labels: &[usize],
        at: &EpochValues,
        streams: &SampleStreams<'_>,
    ) -> Result<StepOutcome> {
        self.step_at(network, images, labels, at, streams, None)
    }

    /// As [`Objective::step`], at perturbed points that are given, `[N, C, H, W]`, instead of those
    /// that the objective would find (an attack's, or CURE's x + hz): for the replays of a batch,
    /// and for whoever checks the gradient, in which the points are constants. Objectives without
    /// such points take them in the place of the images.
    ///
    /// # Errors
    /// As [`Objective::step`].
    pub fn step_at(
        &self,
        network: &mut Network,
        images: &Tensor,
        labels: &[usize],
        at: &EpochValues,
        streams: &SampleStreams<'_>,
        points: Option<&Tensor>,
    ) -> Result<StepOutcome> {
        let batch = Batch::new(images, labels, *streams, points)?;
        let found = match points {
            Some(_) => None,
            None => self.options().points(network, &batch, at)?,
        };
        let batch = Batch { points: points.or(found.as_ref()), ..batch };
        let part = self.options().part(network, &batch, at)?;
        for statistics in &part.statistics {
            network.update_running_statistics(statistics)?;
        }
        let Part { gradients, objective, loss, regularizer, correct, next, .. } = part;
        let samples = labels.len();
        Ok(StepOutcome { gradients, objective, loss, regularizer, correct, samples, next })
    }

    /// The perturbed points that [`Objective::step`] finds before anything else: an attack's. None:
    /// it has none, or finds them in passes that it makes anyway (CURE's by default, gradient
    /// alignment's, LLR's).
    ///
    /// # Errors
    /// As [`Objective::step`].
    pub fn points(
        &self,
        network: &Network,
        images: &Tensor,
        labels: &[usize],
        at: &EpochValues,
        streams: &SampleStreams<'_>,
    ) -> Result<Option<Tensor>> {
        self.options().points(network, &Batch::new(images, labels, *streams, None)?, at)
    }

    /// How often each batch is stepped on, the points of one step's outcome given to the next: 1
    /// for all but free adversarial training.
    pub fn replays(&self) -> usize {
        match self {
            Self::Free(options) => options.replays,
            _ => 1,
        }
    }

    /// Whether it trains on the loss at points of one-step attacks, which networks can learn to mislead.
    pub fn is_one_step(&self) -> bool {
        match self {
            Self::Cure(options) => options.beta > 0.0,
            Self::FgsmAt(_)
            | Self::FgsmRs(_)
            | Self::NFgsm(_)
            | Self::Free(_)
            | Self::GradAlign(_)
            | Self::Elle(_) => true,
            Self::Standard(_)
            | Self::PgdAt(_)
            | Self::DeepFool(_)
            | Self::Trades(_)
            | Self::Mart(_)
            | Self::GradientPenalty(_)
            | Self::Llr(_) => false,
        }
    }

    /// The objective's name on the command line.
    pub fn name(&self) -> &'static str {
        self.entry().name
    }

    /// Whether every parameter is in its range, and lengths fit images of `dimension` = C·H·W
    /// pixels, where that is known.
    ///
    /// # Errors
    /// [`TrainingError::Setting`](crate::TrainingError::Setting) or
    /// [`TrainingError::Attack`](crate::TrainingError::Attack) for the first that is not.
    pub fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.options().check(dimension)
    }

    fn options(&self) -> &dyn Minimise {
        match self {
            Self::Standard(options) => options,
            Self::Cure(options) => options,
            Self::PgdAt(options) => options,
            Self::FgsmAt(options) => options,
            Self::FgsmRs(options) => options,
            Self::NFgsm(options) => options,
            Self::Free(options) => options,
            Self::DeepFool(options) => options,
            Self::Trades(options) => options,
            Self::Mart(options) => options,
            Self::GradientPenalty(options) => options,
            Self::GradAlign(options) => options,
            Self::Llr(options) => options,
            Self::Elle(options) => options,
        }
    }
}

//! Adversarial training: the mean of ℓ(x′), x′ what an attack made of x. In each form the gradient
//! is that of ℓ at x′ held constant (Danskin's theorem, as far as the attack finds the maximum).
//!
//! The attack climbs the cross-entropy, with BatchNorm's running statistics unless asked otherwise;
//! its passes leave those statistics alone (but [`free`], whose passes are those of the loss). All
//! samples take all steps and the last point is taken, misclassified or not, so that no pass is
//! spent on judging it. A random start is a pure function of seed, epoch and sample, and so is
//! which samples are left clean, where a share of them is.

pub(super) mod clean;
pub(super) mod deepfool;
pub(super) mod fgsm;
pub(super) mod free;
pub(super) mod pgd;

pub use deepfool::DeepFoolTrainingOptions;
pub use fgsm::{FgsmAtOptions, FgsmRsOptions, NFgsmOptions};
pub use free::FreeOptions;
pub use pgd::PgdAtOptions;

use cure_attacks::Climb;
use cure_network::{Classifier, Network};
use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};

use super::batch_norm::{BatchNormMode, Passes};
use super::entry::Follows;
use super::loss::LossOptions;
use super::part::{Batch, Part};
use super::standard::mean_loss;
use super::{EpochValues, Minimise, awp, entry};
use crate::Result;

/// What adversarial training in all its forms can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdversarialOptions {
    /// BatchNorm in the pass of the loss. Default over the batch.
    pub loss_mode: BatchNormMode,
    /// BatchNorm in the passes of the attack. Default running statistics.
    pub attack_mode: BatchNormMode,
    /// Label smoothing of the loss. Default 0.
    #[serde(skip_serializing_if = "entry::is_zero")]
    pub smoothing: f64,
}

impl Default for AdversarialOptions {
    fn default() -> Self {
        Self { loss_mode: BatchNormMode::Train, attack_mode: BatchNormMode::Eval, smoothing: 0.0 }
    }
}

impl AdversarialOptions {
    pub(super) fn loss(&self) -> LossOptions {
        LossOptions { loss_mode: self.loss_mode, smoothing: self.smoothing }
    }
}

/// Training on the last point of a climb up the cross-entropy.
trait Climbing {
    fn common(&self) -> &AdversarialOptions;

    fn climb(&self) -> Climb;

    /// The share of the samples that are not attacked.
    fn clean(&self) -> f64;

    /// γ of adversarial weight perturbation.
    fn awp(&self) -> f64 {
        0.0
    }

    /// The length of the climb that was not given, where it could be too long.
    fn follows(&self) -> Option<Follows> {
        None
    }

    /// What must hold besides what [`Climb::check`] says.
    fn check_more(&self) -> Result<()> {
        Ok(())
    }
}

impl<T: Climbing> Minimise for T {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.common().loss().check()?;
        entry::check_share("objective.clean", self.clean())?;
        entry::check_share("objective.awp", self.awp())?;
        self.check_more()?;
        entry::check_climb(&self.climb(), dimension, self.follows())
    }

    fn points(
        &self,
        network: &Network,
        batch: &Batch<'_>,
        _: &EpochValues,
    ) -> Result<Option<Tensor>> {
        let mode = self.common().attack_mode;
        let passes = Passes::new(network, mode)?;
        let points = clean::mixed(batch, self.clean(), mode == BatchNormMode::Eval, |batch| {
            climb_loss(passes.classifier(), batch, &self.climb())
        });
        points.map(Some)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        awp::with_perturbation(self.awp(), network, |network| {
            mean_loss(&self.common().loss(), network, batch, batch.at())
        })
    }
}

/// The last point of a climb up the cross-entropy: 2 passes a step.
pub(super) fn climb_loss(
    classifier: &dyn Classifier,
    batch: &Batch<'_>,
    climb: &Climb,
) -> Result<Tensor> {
    climb.run(batch.images, &batch.attack_streams(), batch.draw(0), |points| {
        let pass = classifier.linearize(points)?;
        Ok(pass.pullback(&ops::cross_entropy(pass.logits(), batch.labels)?.residual)?)
    })
}

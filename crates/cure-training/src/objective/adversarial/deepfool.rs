//! Fine-tuning on DeepFool's examples, the paper's section 2: the mean of ℓ at the nearest
//! misclassified point that DeepFool finds, with the true label; at x itself where it finds none,
//! or where x is misclassified already. The paper names the attack and the number of epochs (20 for
//! CIFAR-10, 10 for SVHN), not the norm or whether clean images are mixed in: here ℓ2, DeepFool's
//! own, and they are not unless `clean` says so.
//!
//! Cost: 3 passes, and those of the attack: at most 1 + 2·steps evaluations and (candidates −
//! 1)·steps pull backs, of the samples that are still on their way; most take two or three steps.

use cure_attacks::{DeepFoolOptions, Norm, Parameter, deepfool};
use cure_network::Network;
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::super::entry::{
    LOSS_MODE, ObjectiveEntry, SMOOTHING, check_count, check_share, is_zero,
};
use super::super::loss::LossOptions;
use super::super::part::{Batch, Part};
use super::super::standard::mean_loss;
use super::super::{EpochValues, Minimise};
use super::clean::{self, CLEAN};
use crate::Result;

pub(in super::super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "deepfool",
    title: "training on DeepFool's examples",
    reference: "Moosavi-Dezfooli et al. 2019, section 2; 2016",
    passes: "4 and, at most, steps·(candidates + 1), of samples still on their way",
    parameters: &[
        Parameter::new("norm", "l2", "l2 or linf"),
        Parameter::new("steps", "50", "steps at most"),
        Parameter::new("overshoot", "0.02", "share by which steps go beyond the boundary"),
        Parameter::new("candidates", "10", "likeliest classes considered, the label included"),
        CLEAN,
        LOSS_MODE,
        SMOOTHING,
    ],
};

/// The parameters of training on DeepFool's examples, those of [`DeepFoolOptions`] in Foolbox's
/// variant. Its attack always sees BatchNorm's running statistics: samples leave the batch one by
/// one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeepFoolTrainingOptions {
    /// The norm to minimise, ℓ2 or ℓ∞. Default ℓ2.
    pub norm: Norm,
    /// Steps at most. Default 50.
    pub steps: usize,
    /// The share by which steps go beyond the boundary. Default 0.02.
    pub overshoot: f64,
    /// How many of the likeliest classes are considered, the label included. Default 10.
    pub candidates: usize,
    /// The share of the samples that are not attacked. Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub clean: f64,
    /// The loss.
    #[serde(flatten)]
    pub loss: LossOptions,
}

impl Default for DeepFoolTrainingOptions {
    fn default() -> Self {
        let DeepFoolOptions { norm, steps, overshoot, candidates, .. } =
            DeepFoolOptions::new(Norm::L2);
        let loss = LossOptions::default();
        Self { norm, steps, overshoot, candidates, clean: 0.0, loss }
    }
}

impl DeepFoolTrainingOptions {
    fn attack(&self) -> DeepFoolOptions {
        DeepFoolOptions {
            steps: self.steps,
            overshoot: self.overshoot,
            candidates: self.candidates,
            ..DeepFoolOptions::new(self.norm)
        }
    }
}

impl Minimise for DeepFoolTrainingOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.loss.check()?;
        check_share("objective.clean", self.clean)?;
        check_count("objective.steps", self.steps)?;
        Ok(cure_attacks::Attack::check(&self.attack(), dimension, None)?)
    }

    fn points(
        &self,
        network: &Network,
        batch: &Batch<'_>,
        _: &EpochValues,
    ) -> Result<Option<Tensor>> {
        let (classifier, attack) = (network.frozen()?, self.attack());
        let points = clean::mixed(batch, self.clean, true, |batch| {
            let (images, streams) = (batch.images, batch.attack_streams());
            Ok(deepfool(&classifier, images, batch.labels, &attack, &streams)?.images)
        });
        points.map(Some)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        mean_loss(&self.loss, network, batch, batch.at())
    }
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::curvature::Curvature;
use crate::overfitting::Overfitting;

/// A row of `metrics.jsonl`: one epoch. Accuracies are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Mean training loss over the epoch's samples, as the objective states it.
    pub loss: f64,
    /// Mean regulariser over the epoch's samples, before γ.
    pub regularizer: f64,
    /// Accuracy on the training samples as they were met, augmented and by the network of the
    /// moment.
    pub train_accuracy: f64,
    /// Clean accuracy on the validation samples after the epoch.
    pub validation_accuracy: Option<f64>,
    /// Accuracy of the attacked validation samples after the epoch, where it was measured.
    pub validation_robust_accuracy: Option<f64>,
    /// Accuracy of the same samples under FGSM at the same ε.
    #[serde(default)]
    pub validation_fgsm_accuracy: Option<f64>,
    /// The attack behind them.
    pub validation_attack: Option<String>,
    /// h in this epoch.
    pub h: f64,
    /// γ in this epoch.
    pub gamma: f64,
    /// Scheduled parameters of the objective in this epoch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scheduled: BTreeMap<String, f64>,
    /// Mean over the epoch's steps of the gradient's ℓ2 norm before it was clipped; none without
    /// clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Share of the steps whose gradient was clipped; none without clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clipped: Option<f64>,
    /// Curvature on the fixed sample after the epoch, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curvature: Option<Curvature>,
    /// Catastrophic overfitting, where it was found after the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overfitting: Option<Overfitting>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Training images used since the start, each as often as it was used.
    pub images_seen: u64,
    /// Seconds the epoch took, validation included.
    pub seconds: f64,
}

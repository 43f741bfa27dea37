//! ℓ and what else is minimised of logits, with gradients.

use cure_tensor::ops::{self, CrossEntropy};
use cure_tensor::{Numbers, Tensor};
use serde::{Deserialize, Serialize};

use super::batch_norm::BatchNormMode;
use super::entry::{check_share, is_zero};
use crate::Result;

/// What can be asked of ℓ, the cross-entropy, whatever it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossOptions {
    /// BatchNorm in the passes of the loss. Default over the batch.
    #[serde(skip_serializing_if = "is_train")]
    pub loss_mode: BatchNormMode,
    /// Label smoothing s (Szegedy et al. 2016): the target is (1 − s)·y + s/K. Attacks with passes
    /// of their own climb the loss without it. Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub smoothing: f64,
}

impl Default for LossOptions {
    fn default() -> Self {
        Self { loss_mode: BatchNormMode::Train, smoothing: 0.0 }
    }
}

impl LossOptions {
    pub(super) fn check(&self) -> Result<()> {
        check_share("objective.smoothing", self.smoothing)
    }
}

fn is_train(mode: &BatchNormMode) -> bool {
    *mode == BatchNormMode::Train
}

/// ℓ with target (1 − s)·y + s/K, s the `smoothing`: with 0 the bits of [`ops::cross_entropy`].
///
/// # Shapes
/// `logits`: `[N, K]`; `labels`: `N` entries below `K`.
pub(super) fn cross_entropy(
    logits: &Tensor,
    labels: &[usize],
    smoothing: f64,
) -> Result<CrossEntropy> {
    let mut loss = ops::cross_entropy(logits, labels)?;
    if smoothing == 0.0 {
        return Ok(loss);
    }
    let classes = logits.shape()[1].max(1);
    let (values, mut residual) = (logits.host(), loss.residual.host().into_owned());
    let mut losses = loss.losses.to_vec();
    let rows = values.chunks_exact(classes).zip(residual.chunks_exact_mut(classes)).zip(labels);
    for (((row, residual), &label), loss) in rows.zip(&mut losses) {
        let mean = row.iter().map(|&logit| f64::from(logit)).sum::<f64>() / classes as f64;
        *loss += smoothing * (f64::from(row[label]) - mean);
        for (class, residual) in residual.iter_mut().enumerate() {
            let off = if class == label { 1.0 } else { 0.0 } - 1.0 / classes as f64;
            *residual = (f64::from(*residual) + smoothing * off) as f32;
        }
    }
    loss.losses = Numbers::new(losses);
    loss.residual = Tensor::new(logits.shape(), residual)?;
    Ok(loss)
}

/// log softmax of one row, in `f64`.
pub(super) fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted: Vec<f64> =
        logits.iter().map(|&logit| f64::from(logit) - f64::from(most)).collect();
    let log_sum = shifted.iter().map(|logit| logit.exp()).sum::<f64>().ln();
    shifted.into_iter().map(|logit| logit - log_sum).collect()
}

/// KL(p ‖ q) of one row from the logarithms, with its gradients with respect to the logits of p,
/// p(log p/q − KL), and of q, q − p.
pub(super) fn divergence(log_p: &[f64], log_q: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let terms = || log_p.iter().zip(log_q);
    let value: f64 = terms().map(|(&p, &q)| p.exp() * (p - q)).sum();
    let by_p = terms().map(|(&p, &q)| p.exp() * (p - q - value)).collect();
    let by_q = terms().map(|(&p, &q)| q.exp() - p.exp()).collect();
    (value, by_p, by_q)
}

/// Rows of logits whose largest entry is at the label.
pub(super) fn count_correct(logits: &Tensor, labels: &[usize]) -> usize {
    let classes = logits.shape().get(1).copied().unwrap_or(1).max(1);
    let values = logits.host();
    let rows = values.chunks_exact(classes).zip(labels);
    rows.filter(|(row, label)| {
        let at_label = row[**label];
        // A tie, or a NaN, is no success.
        row.iter().enumerate().all(|(class, &value)| class == **label || value < at_label)
    })
    .count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ROWS: [f32; 8] = [0.3, -1.2, 2.0, 0.9, -0.4, 0.1, 0.8, -2.2];

    #[test]
    fn smoothing_is_a_mixture_of_the_losses_at_all_labels() {
        let logits = Tensor::new(&[2, 4], ROWS.to_vec()).unwrap();
        let labels = [2, 3];
        let (plain, none) = (
            ops::cross_entropy(&logits, &labels).unwrap(),
            cross_entropy(&logits, &labels, 0.0).unwrap(),
        );
        let numbers = |found: &CrossEntropy| (found.losses.to_vec(), found.residual.clone());
        assert_eq!(numbers(&plain), numbers(&none));
        let smooth = cross_entropy(&logits, &labels, 0.3).unwrap();
        for sample in 0..2 {
            let at = |class: usize| {
                let loss = ops::cross_entropy(&logits, &[class, class]).unwrap();
                (loss.losses.to_vec()[sample], loss.residual.host()[4 * sample..][..4].to_vec())
            };
            let mut expected = 0.7 * none.losses.to_vec()[sample];
            expected += (0..4).map(|class| 0.3 / 4.0 * at(class).0).sum::<f64>();
            assert!((smooth.losses.to_vec()[sample] - expected).abs() < 1e-6);
            for class in 0..4 {
                let mixed: f32 = (0..4).map(|other| 0.3 / 4.0 * at(other).1[class]).sum();
                let expected = 0.7 * none.residual.host()[4 * sample + class] + mixed;
                assert!((smooth.residual.host()[4 * sample + class] - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_divergence_and_its_gradients() {
        let (p, q) = (&ROWS[..4], &ROWS[4..]);
        let value =
            |p: &[f32], q: &[f32]| divergence(&log_probabilities(p), &log_probabilities(q)).0;
        assert!(value(p, p).abs() < 1e-15 && value(p, q) > 0.0);
        let (_, by_p, by_q) = divergence(&log_probabilities(p), &log_probabilities(q));
        for class in 0..4 {
            let moved = |row: &[f32], change: f32| {
                let mut row = row.to_vec();
                row[class] += change;
                row
            };
            let of_p = (value(&moved(p, 0.01), q) - value(&moved(p, -0.01), q)) / 0.02;
            let of_q = (value(p, &moved(q, 0.01)) - value(p, &moved(q, -0.01))) / 0.02;
            assert!((of_p - by_p[class]).abs() < 1e-4, "{of_p} {}", by_p[class]);
            assert!((of_q - by_q[class]).abs() < 1e-4, "{of_q} {}", by_q[class]);
        }
    }
}

//! What an attack climbs.

use std::fmt;
use std::str::FromStr;

use cure_tensor::{Tensor, ops};

use crate::error::{AttackError, Result, hint};

/// A loss of the logits at a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Cross-entropy, `ce`, with p − y computed so that it is exact where the network is sure:
    /// 1 − p_y is the sum of the other probabilities.
    #[default]
    CrossEntropy,
    /// Cross-entropy in single precision throughout, `ce-f32`, as PyTorch's `cross_entropy` and
    /// the libraries on top of it compute it. Where p_y rounds to 1 its gradient loses the label's
    /// part and points elsewhere: attacks look weaker than they are. For comparisons with them.
    CrossEntropyF32,
}

const NAMES: [&str; 2] = ["ce", "ce-f32"];

impl Loss {
    /// The loss of each sample, and its gradient with respect to the logits, `[N, K]`.
    pub(crate) fn evaluate(self, logits: &Tensor, labels: &[usize]) -> Result<(Vec<f64>, Tensor)> {
        let exact = ops::cross_entropy(logits, labels)?;
        if self == Self::CrossEntropy {
            return Ok((exact.losses, exact.residual));
        }
        let classes = logits.shape()[1];
        let (mut losses, mut seed) = (Vec::new(), Vec::with_capacity(logits.len()));
        for (row, &label) in logits.host().chunks_exact(classes).zip(labels) {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|&logit| (logit - most).exp()).sum();
            let log_sum = sum.ln();
            let log_probability = |class: usize| row[class] - most - log_sum;
            losses.push(f64::from(-log_probability(label)));
            seed.extend((0..classes).map(|class| {
                let target = f32::from(u8::from(class == label));
                log_probability(class).exp() - target
            }));
        }
        Ok((losses, Tensor::new(logits.shape(), seed)?))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::CrossEntropy => NAMES[0],
            Self::CrossEntropyF32 => NAMES[1],
        })
    }
}

impl FromStr for Loss {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ce" => Ok(Self::CrossEntropy),
            "ce-f32" => Ok(Self::CrossEntropyF32),
            other => Err(AttackError::Parameter {
                attack: "any attack",
                parameter: "loss",
                value: other.into(),
                reason: format!("accepted are {}{}", NAMES.join(", "), hint(other, &NAMES)),
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_sure_network_keeps_its_gradient() {
        // The label's probability is 1 − 2e-9, which single precision calls 1.
        let logits = Tensor::new(&[1, 3], vec![20.0, 0.0, -1.0]).unwrap();
        let (_, exact) = Loss::CrossEntropy.evaluate(&logits, &[0]).unwrap();
        let (_, rounded) = Loss::CrossEntropyF32.evaluate(&logits, &[0]).unwrap();
        assert!(exact.host()[0] < 0.0);
        assert_eq!(rounded.host()[0], 0.0);
        assert!((exact.host().iter().sum::<f32>()).abs() < 1e-15);
        // Where it is not sure the two agree.
        let logits = Tensor::new(&[1, 3], vec![0.3, 0.2, -0.5]).unwrap();
        let (loss, exact) = Loss::CrossEntropy.evaluate(&logits, &[1]).unwrap();
        let (rounded_loss, rounded) = Loss::CrossEntropyF32.evaluate(&logits, &[1]).unwrap();
        assert!((loss[0] - rounded_loss[0]).abs() < 1e-6);
        for (a, b) in exact.host().iter().zip(rounded.host().iter()) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}

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
    /// `margin`: max z_j − z_y over j ≠ y, positive where the image is misclassified (Carlini and
    /// Wagner 2017).
    Margin,
    /// `dlr`: the margin over z_π1 − z_π3, the distance of the largest logit to the third largest
    /// (Croce and Hein 2020): invariant to shifts and scales of the logits. Needs three classes.
    Dlr,
}

const NAMES: [&str; 4] = ["ce", "ce-f32", "margin", "dlr"];
/// Classes that the DLR loss compares.
pub(crate) const CLASSES_OF_DLR: usize = 3;
/// Added to the divisor of the DLR loss, as by its authors.
const TINY: f64 = 1e-12;

impl Loss {
    /// Whether the loss is one of so many classes.
    pub(crate) fn check(self, attack: &'static str, classes: Option<usize>) -> Result<()> {
        match classes {
            Some(classes) if self == Self::Dlr && classes < CLASSES_OF_DLR => {
                Err(AttackError::Parameter {
                    attack,
                    parameter: "loss",
                    value: self.to_string(),
                    reason: format!(
                        "it needs {CLASSES_OF_DLR} classes, the network has {classes}; use margin"
                    ),
                })
            }
            _ => Ok(()),
        }
    }

    /// The loss of each sample, and its gradient with respect to the logits, `[N, K]`.
    pub(crate) fn evaluate(self, logits: &Tensor, labels: &[usize]) -> Result<(Vec<f64>, Tensor)> {
        match self {
            Self::CrossEntropy => {
                let exact = ops::cross_entropy(logits, labels)?;
                Ok((exact.losses.to_vec(), exact.residual))
            }
            Self::CrossEntropyF32 => by_rows(logits, labels, single_precision),
            Self::Margin => by_rows(logits, labels, margin),
            Self::Dlr => by_rows(logits, labels, dlr),
        }
    }

    /// `,loss=…` behind a specification, where it is not the usual one.
    pub(crate) fn write_unless_default(self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self == Self::default() { Ok(()) } else { write!(out, ",loss={self}") }
    }
}

/// Applies `loss` to each row of `[N, K]`, with its label or whatever else belongs to it.
pub(crate) fn by_rows<L: Copy>(
    logits: &Tensor,
    labels: &[L],
    loss: impl Fn(&[f32], L, &mut [f32]) -> f64,
) -> Result<(Vec<f64>, Tensor)> {
    let classes = logits.shape().last().copied().unwrap_or(1).max(1);
    let mut seed = vec![0.0; logits.len()];
    let values = logits.host();
    let rows = values.chunks_exact(classes).zip(seed.chunks_exact_mut(classes)).zip(labels);
    let losses = rows.map(|((row, seed), &label)| loss(row, label, seed)).collect();
    Ok((losses, Tensor::new(logits.shape(), seed)?))
}

fn single_precision(row: &[f32], label: usize, seed: &mut [f32]) -> f64 {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = row.iter().map(|&logit| (logit - most).exp()).sum();
    let log_sum = sum.ln();
    let log_probability = |class: usize| row[class] - most - log_sum;
    for (class, seed) in seed.iter_mut().enumerate() {
        *seed = log_probability(class).exp() - f32::from(u8::from(class == label));
    }
    f64::from(-log_probability(label))
}

/// The class of the largest logit other than the label's, the first of several.
fn runner_up(row: &[f32], label: usize) -> usize {
    let mut best = usize::from(label == 0).min(row.len() - 1);
    for class in (0..row.len()).filter(|&class| class != label) {
        if row[class] > row[best] {
            best = class;
        }
    }
    best
}

fn margin(row: &[f32], label: usize, seed: &mut [f32]) -> f64 {
    let other = runner_up(row, label);
    seed[other] += 1.0;
    seed[label] -= 1.0;
    f64::from(row[other]) - f64::from(row[label])
}

fn dlr(row: &[f32], label: usize, seed: &mut [f32]) -> f64 {
    let order = descending(row);
    let (first, third) = (order[0], order[CLASSES_OF_DLR - 1]);
    let other = runner_up(row, label);
    let divisor = f64::from(row[first]) - f64::from(row[third]) + TINY;
    let value = (f64::from(row[other]) - f64::from(row[label])) / divisor;
    let unit = (1.0 / divisor) as f32;
    let slope = (value / divisor) as f32;
    seed[other] += unit;
    seed[label] -= unit;
    seed[first] -= slope;
    seed[third] += slope;
    value
}

/// The targeted DLR loss of Croce and Hein 2020, (z_t − z_y) / (z_π1 − (z_π3 + z_π4)/2): of at least
/// four classes.
pub(crate) fn targeted_dlr(row: &[f32], label: usize, target: usize, seed: &mut [f32]) -> f64 {
    let order = descending(row);
    let value = |class: usize| f64::from(row[class]);
    let divisor = value(order[0]) - 0.5 * (value(order[2]) + value(order[3])) + TINY;
    let loss = (value(target) - value(label)) / divisor;
    let (unit, slope) = ((1.0 / divisor) as f32, (loss / divisor) as f32);
    seed[target] += unit;
    seed[label] -= unit;
    seed[order[0]] -= slope;
    seed[order[2]] += 0.5 * slope;
    seed[order[3]] += 0.5 * slope;
    loss
}

/// Classes by falling logit, the first of equals first.
pub(crate) fn descending(row: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    order
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::CrossEntropy => NAMES[0],
            Self::CrossEntropyF32 => NAMES[1],
            Self::Margin => NAMES[2],
            Self::Dlr => NAMES[3],
        })
    }
}

impl FromStr for Loss {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "ce" => Ok(Self::CrossEntropy),
            "ce-f32" => Ok(Self::CrossEntropyF32),
            "margin" => Ok(Self::Margin),
            "dlr" => Ok(Self::Dlr),
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

    /// Every gradient against central differences, away from ties.
    #[test]
    fn gradients_are_those_of_the_losses() {
        let row = [1.5f32, -0.3, 0.9, 2.4, -1.1];
        type RowLoss<'a> = &'a dyn Fn(&[f32], usize, &mut [f32]) -> f64;
        let losses: [(&str, RowLoss<'_>); 4] = [
            ("ce-f32", &single_precision),
            ("margin", &margin),
            ("dlr", &dlr),
            ("targeted dlr", &|row, label, seed| targeted_dlr(row, label, (label + 2) % 5, seed)),
        ];
        for (name, loss) in losses {
            for label in 0..row.len() {
                let mut seed = [0.0; 5];
                loss(&row, label, &mut seed);
                for class in 0..row.len() {
                    let at = |change: f32| {
                        let mut row = row;
                        row[class] += change;
                        loss(&row, label, &mut [0.0; 5])
                    };
                    let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
                    let found = f64::from(seed[class]);
                    assert!(
                        (found - expected).abs() < 2e-3,
                        "{name} {label} {class}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn positive_where_misclassified() {
        let logits = Tensor::new(&[2, 4], vec![3.0, 1.0, 0.0, -1.0, 1.0, 3.0, 0.0, -1.0]).unwrap();
        let (margins, _) = Loss::Margin.evaluate(&logits, &[0, 0]).unwrap();
        assert_eq!(margins, [-2.0, 2.0]);
        let (ratios, _) = Loss::Dlr.evaluate(&logits, &[0, 0]).unwrap();
        assert!((ratios[0] + 2.0 / 3.0).abs() < 1e-9 && (ratios[1] - 2.0 / 3.0).abs() < 1e-9);
        assert!(Loss::Dlr.check("pgd", Some(2)).unwrap_err().to_string().contains("3 classes"));
    }

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

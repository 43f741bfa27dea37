//! Folding batch normalisation with fixed statistics into the convolution before it, and the
//! chain rule of that fold.
//!
//! With r = 1/√(variance + ε): W′ = γ r W and b′ = β + γ r (b − mean). So, for gradients G of W′
//! and c of b′: ∂W = γ r G, ∂b = γ r c, ∂γ = r (⟨G, W⟩ + c (b − mean)), ∂β = c, each per output
//! channel. The same holds for second-order gradients: the fold does not depend on the input.

use cure_tensor::Tensor;
use cure_tensor::ops;

use crate::error::Result;
use crate::program::EPSILON;

/// Where the parameters of a node come from, as indices into the network's tensors.
pub(crate) enum Source {
    Nothing,
    Convolution {
        weight: usize,
        bias: Option<usize>,
    },
    /// A convolution whose weights are kept as a matrix.
    Linear {
        weight: usize,
        bias: usize,
    },
    /// A convolution with batch normalisation folded in.
    Folded {
        weight: usize,
        bias: Option<usize>,
        norm: Fixed,
    },
    /// Batch normalisation with fixed statistics, on its own.
    FixedStatistics(Fixed),
    BatchStatistics {
        scale: usize,
        shift: usize,
    },
}

/// Batch normalisation with fixed statistics.
pub(crate) struct Fixed {
    scale: usize,
    shift: usize,
    mean: Vec<f64>,
    /// 1/√(variance + ε).
    inverse: Vec<f64>,
}

impl Fixed {
    fn new([scale, shift, mean, variance]: [usize; 4], tensors: &[Tensor]) -> Self {
        let wide =
            |id: usize| tensors[id].host().iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let inverse = wide(variance).into_iter().map(|v| 1.0 / (v + EPSILON).sqrt()).collect();
        Self { scale, shift, mean: wide(mean), inverse }
    }

    /// γ r of each channel.
    fn slope(&self, tensors: &[Tensor]) -> Vec<f64> {
        let scale = tensors[self.scale].host();
        scale
            .iter()
            .zip(&self.inverse)
            .map(|(&scale, inverse)| f64::from(scale) * inverse)
            .collect()
    }
}

fn bias_at(tensors: &[Tensor], bias: Option<usize>, channel: usize) -> f64 {
    bias.map_or(0.0, |id| f64::from(tensors[id].host()[channel]))
}

fn add_into(slot: &mut Option<Tensor>, gradient: Tensor) -> Result<()> {
    *slot = Some(match slot.take() {
        Some(sum) => ops::add(sum, &gradient)?,
        None => gradient,
    });
    Ok(())
}

impl Source {
    pub(crate) fn folded(
        weight: usize,
        bias: Option<usize>,
        norm: [usize; 4],
        tensors: &[Tensor],
    ) -> Self {
        Self::Folded { weight, bias, norm: Fixed::new(norm, tensors) }
    }

    pub(crate) fn fixed_statistics(norm: [usize; 4], tensors: &[Tensor]) -> Self {
        Self::FixedStatistics(Fixed::new(norm, tensors))
    }

    /// W′ and b′ of a folded convolution.
    pub(crate) fn fold(&self, tensors: &[Tensor]) -> Result<(Tensor, Vec<f32>)> {
        let Self::Folded { weight, bias, norm } = self else {
            return Ok((Tensor::zeros(&[0]), Vec::new()));
        };
        let slope = norm.slope(tensors);
        let kernel = scale_rows(&tensors[*weight], &slope)?;
        let shift = tensors[norm.shift].host();
        let folded = (0..slope.len()).map(|c| {
            let offset = bias_at(tensors, *bias, c) - norm.mean[c];
            (f64::from(shift[c]) + slope[c] * offset) as f32
        });
        Ok((kernel, folded.collect()))
    }

    /// Scale and shift of batch normalisation on its own.
    pub(crate) fn affine(&self, tensors: &[Tensor]) -> (Vec<f32>, Vec<f32>) {
        let Self::FixedStatistics(norm) = self else { return Default::default() };
        let slope = norm.slope(tensors);
        let shift = tensors[norm.shift].host();
        let shifts =
            (0..slope.len()).map(|c| (f64::from(shift[c]) - slope[c] * norm.mean[c]) as f32);
        (slope.iter().map(|&s| s as f32).collect(), shifts.collect())
    }

    /// Adds a node's parameter gradients to those of the network, through the fold.
    pub(crate) fn deposit(
        &self,
        node: Vec<Tensor>,
        tensors: &[Tensor],
        gradients: &mut [Option<Tensor>],
    ) -> Result<()> {
        let mut node = node.into_iter();
        let (Some(first), second) = (node.next(), node.next()) else { return Ok(()) };
        match self {
            Self::Nothing => {}
            Self::Convolution { weight, bias } => {
                add_into(&mut gradients[*weight], first)?;
                if let (Some(bias), Some(second)) = (bias, second) {
                    add_into(&mut gradients[*bias], second)?;
                }
            }
            Self::Linear { weight, bias } => {
                add_into(&mut gradients[*weight], first.reshape(tensors[*weight].shape())?)?;
                if let Some(second) = second {
                    add_into(&mut gradients[*bias], second)?;
                }
            }
            Self::BatchStatistics { scale, shift } => {
                add_into(&mut gradients[*scale], first)?;
                if let Some(second) = second {
                    add_into(&mut gradients[*shift], second)?;
                }
            }
            Self::FixedStatistics(norm) => {
                let Some(second) = second else { return Ok(()) };
                let (by_scale, by_shift) = (first.host(), second.host());
                let scale = (0..by_scale.len()).map(|c| {
                    let centred = f64::from(by_scale[c]) - norm.mean[c] * f64::from(by_shift[c]);
                    (norm.inverse[c] * centred) as f32
                });
                let scale = Tensor::new(&[by_scale.len()], scale.collect())?;
                add_into(&mut gradients[norm.scale], scale)?;
                add_into(&mut gradients[norm.shift], second.clone())?;
            }
            Self::Folded { weight, bias, norm } => {
                let Some(by_bias) = second else { return Ok(()) };
                let slope = norm.slope(tensors);
                let kernel = &tensors[*weight];
                let inner = ops::sample_dot(&first, kernel)?;
                let c = by_bias.host();
                let scale = (0..slope.len()).map(|o| {
                    let offset = bias_at(tensors, *bias, o) - norm.mean[o];
                    (norm.inverse[o] * (inner[o] + f64::from(c[o]) * offset)) as f32
                });
                let scale = Tensor::new(&[slope.len()], scale.collect())?;
                add_into(&mut gradients[norm.scale], scale)?;
                if let Some(bias) = bias {
                    let scaled = c.iter().zip(&slope).map(|(&c, s)| (f64::from(c) * s) as f32);
                    let scaled = Tensor::new(&[slope.len()], scaled.collect())?;
                    add_into(&mut gradients[*bias], scaled)?;
                }
                add_into(&mut gradients[norm.shift], by_bias.clone())?;
                add_into(&mut gradients[*weight], scale_rows(&first, &slope)?)?;
            }
        }
        Ok(())
    }
}

/// Each output channel's weights times a factor.
fn scale_rows(weight: &Tensor, factors: &[f64]) -> Result<Tensor> {
    let factors: Vec<f32> = factors.iter().map(|&factor| factor as f32).collect();
    Ok(ops::scale_samples(weight, &factors)?)
}

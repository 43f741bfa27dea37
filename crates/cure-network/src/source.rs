//! Folding batch normalisation with fixed statistics into the convolution before it, and the
//! chain rule of that fold.
//!
//! With r = 1/√(variance + ε): W′ = γ r W and b′ = β + γ r (b − mean). So, for gradients G of W′
//! and c of b′: ∂W = γ r G, ∂b = γ r c, ∂γ = r (⟨G, W⟩ + c (b − mean)), ∂β = c, each per output
//! channel. The same holds for second-order gradients: the fold does not depend on the input.

use cure_tensor::ops::{self, ChannelSum};
use cure_tensor::{Numbers, Tensor};

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
    mean: Numbers,
    /// 1/√(variance + ε).
    inverse: Numbers,
}

impl Fixed {
    fn new([scale, shift, mean, variance]: [usize; 4], tensors: &[Tensor]) -> Self {
        let inverse = Numbers::of(&tensors[variance]).inverse_root(EPSILON);
        Self { scale, shift, mean: Numbers::of(&tensors[mean]), inverse }
    }

    /// γ r of each channel.
    fn slope(&self, tensors: &[Tensor]) -> Numbers {
        Numbers::of(&tensors[self.scale]) * &self.inverse
    }

    /// b − mean, of a convolution with or without a bias before it.
    fn offset(&self, tensors: &[Tensor], bias: Option<usize>) -> Numbers {
        match bias {
            Some(bias) => Numbers::of(&tensors[bias]) - &self.mean,
            None => -&self.mean,
        }
    }
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
    pub(crate) fn fold(&self, tensors: &[Tensor]) -> Result<(Tensor, Tensor)> {
        let Self::Folded { weight, bias, norm } = self else {
            return Ok((Tensor::zeros(&[0]), Tensor::zeros(&[0])));
        };
        let slope = norm.slope(tensors);
        let kernel = scale_rows(&tensors[*weight], &slope)?;
        let folded = Numbers::of(&tensors[norm.shift]) + slope * norm.offset(tensors, *bias);
        Ok((kernel, folded.to_tensor()))
    }

    /// Scale and shift of batch normalisation on its own.
    pub(crate) fn affine(&self, tensors: &[Tensor]) -> (Numbers, Numbers) {
        let Self::FixedStatistics(norm) = self else {
            return (Numbers::new(vec![]), Numbers::new(vec![]));
        };
        let slope = norm.slope(tensors);
        let shift = Numbers::of(&tensors[norm.shift]) - &slope * &norm.mean;
        (slope, shift)
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
                let centred = Numbers::of(&first) - &norm.mean * Numbers::of(&second);
                add_into(&mut gradients[norm.scale], (&norm.inverse * centred).to_tensor())?;
                add_into(&mut gradients[norm.shift], second)?;
            }
            Self::Folded { weight, bias, norm } => {
                let Some(by_bias) = second else { return Ok(()) };
                let slope = norm.slope(tensors);
                let kernel = &tensors[*weight];
                let [inner] = ops::channel_sums([ChannelSum::of(&first).times(kernel)])?;
                let c = Numbers::of(&by_bias);
                let scale = &norm.inverse * (inner + &c * norm.offset(tensors, *bias));
                add_into(&mut gradients[norm.scale], scale.to_tensor())?;
                if let Some(bias) = bias {
                    add_into(&mut gradients[*bias], (c * &slope).to_tensor())?;
                }
                add_into(&mut gradients[norm.shift], by_bias)?;
                add_into(&mut gradients[*weight], scale_rows(&first, &slope)?)?;
            }
        }
        Ok(())
    }
}

/// Each output channel's weights times a factor.
fn scale_rows(weight: &Tensor, factors: &Numbers) -> Result<Tensor> {
    Ok(ops::channel_combination(&[(weight, factors)], None)?)
}

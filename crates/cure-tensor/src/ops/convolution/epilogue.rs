//! What is done to a convolution's result before it leaves the cache.

use std::ops::Range;

use pulp::Simd;

use super::super::activation::Activation;
use super::super::machine::vectorised;
use crate::{Result, Tensor, TensorError};

/// What is done to a convolution's result while it is still in cache.
#[derive(Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to each channel, `[C_out]`.
    pub bias: Option<&'a Tensor>,
    /// Added element by element; of the output's shape.
    pub residual: Option<&'a Tensor>,
    /// Applied after the sums.
    pub activation: Option<Activation>,
    /// Where it is not over zero the result is zero; of the output's shape. The derivative of a
    /// ReLU whose input or output this is.
    pub mask: Option<&'a Tensor>,
}

impl Epilogue<'_> {
    pub(super) fn check(&self, operation: &'static str, shape: &[usize; 4]) -> Result<()> {
        for (what, other) in [("residual", self.residual), ("mask", self.mask)] {
            if let Some(other) = other
                && other.shape() != shape
            {
                return Err(TensorError::shape(
                    operation,
                    format!("{what} {shape:?}"),
                    other.shape(),
                ));
            }
        }
        match self.bias {
            Some(bias) if bias.shape() != &shape[..1] => {
                Err(TensorError::shape(operation, format!("bias [{}]", shape[0]), bias.shape()))
            }
            _ => Ok(()),
        }
    }

    /// What is done to a range of positions of one channel.
    pub(super) fn of_row(&self, channel: usize, at: Range<usize>) -> Ending<'_> {
        Ending {
            bias: self.bias.map(|bias| bias.cpu()[channel]),
            residual: self.residual.map(|residual| &residual.cpu()[at.clone()]),
            activation: self.activation,
            mask: self.mask.map(|mask| &mask.cpu()[at]),
        }
    }
}

/// An [`Epilogue`] where it applies to some values of one channel.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    bias: Option<f32>,
    residual: Option<&'a [f32]>,
    activation: Option<Activation>,
    mask: Option<&'a [f32]>,
}

impl Ending<'_> {
    /// Whether [`Ending::finish_vector`] can do it.
    pub(super) fn is_linear(&self) -> bool {
        matches!(self.activation, None | Some(Activation::Relu))
    }

    /// One vector, `at` from the beginning of the row, with the bits of [`Ending::finish`].
    ///
    /// # Safety
    /// The row has a whole vector there.
    #[inline(always)]
    pub(super) unsafe fn finish_vector<S: Simd>(
        &self,
        simd: S,
        mut value: S::f32s,
        at: usize,
    ) -> S::f32s {
        // SAFETY: promised by the caller; vectors are plain numbers.
        let load = |row: &[f32]| unsafe { row.as_ptr().add(at).cast::<S::f32s>().read_unaligned() };
        let zero = simd.splat_f32s(0.0);
        match (self.bias, self.residual) {
            (None, None) => {}
            (Some(bias), None) => value = simd.add_f32s(value, simd.splat_f32s(bias)),
            (bias, Some(residual)) => {
                let bias = simd.splat_f32s(bias.unwrap_or(0.0));
                value = simd.add_f32s(value, simd.add_f32s(bias, load(residual)));
            }
        }
        if self.activation.is_some() {
            value = simd.select_f32s(simd.less_than_or_equal_f32s(value, zero), zero, value);
        }
        match self.mask {
            None => value,
            Some(mask) => simd.select_f32s(simd.less_than_f32s(zero, load(mask)), value, zero),
        }
    }

    /// All of the row, in place.
    pub(super) fn finish(&self, out: &mut [f32]) {
        vectorised(|| {
            match (self.bias, self.residual) {
                (None, None) => {}
                (Some(bias), None) => out.iter_mut().for_each(|value| *value += bias),
                (bias, Some(residual)) => {
                    let bias = bias.unwrap_or(0.0);
                    out.iter_mut().zip(residual).for_each(|(value, &other)| *value += bias + other);
                }
            }
            match self.activation {
                None => {}
                Some(Activation::Relu) => {
                    out.iter_mut()
                        .for_each(|value| *value = if *value <= 0.0 { 0.0 } else { *value });
                }
                Some(kind) => out.iter_mut().for_each(|value| *value = kind.value(*value)),
            }
            if let Some(mask) = self.mask {
                for (value, &mask) in out.iter_mut().zip(mask) {
                    *value = if mask > 0.0 { *value } else { 0.0 };
                }
            }
        });
    }
}

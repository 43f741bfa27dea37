//! The primitives that networks are made of, each with its rules beside each other:
//!
//! 1. `value`: the function itself;
//! 2. `tangent`: ẏ = J ẋ, the derivative along a direction of the input;
//! 3. `pullback`: Jᵀg, the adjoint;
//! 4. `second_order`: the derivative of the pull back along ẋ (Pearlmutter's R-operator), given
//!    λ, the adjoint that arrived at first order, and μ, its derivative. Where the primitive is
//!    linear this is the pull back of μ;
//!
//! and, where it has parameters, their gradient to both orders. Tensors are channel-major.

mod affine;
mod batch_normalization;
mod convolution;
mod shape;

pub(crate) use affine::Affine;
pub(crate) use batch_normalization::BatchNormalization;
pub(crate) use convolution::Convolution;
pub(crate) use shape::{Add, Flatten, GlobalAverage, Subsample};

use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};

use crate::error::Result;
use crate::linearization::Moments;

/// What a primitive keeps of a forward pass besides its inputs.
#[derive(Clone)]
pub(crate) enum Kept {
    /// Nothing.
    Nothing,
    /// The statistics of the batch.
    Moments(Moments),
}

/// Where a primitive is linearized: its inputs and what it kept.
pub(crate) struct At<'a> {
    pub(crate) inputs: &'a [&'a Tensor],
    pub(crate) kept: &'a Kept,
}

/// What second order needs besides μ: the tangents of the inputs and the first-order adjoint λ
/// of the output.
pub(crate) struct Second<'a> {
    pub(crate) tangents: &'a [&'a Tensor],
    pub(crate) lambda: &'a Tensor,
}

pub(crate) trait Primitive: Send + Sync {
    /// The function, with `relu` applied to its result if asked (it can be fused).
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)>;

    /// The tangent, zero where `mask` is not over zero (a ReLU behind the primitive; it can be
    /// fused).
    fn tangent(&self, at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor>;

    /// One tensor for each input.
    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>>;

    /// As [`Primitive::pullback`], with `sum` added to the first input's and the result zero where
    /// `mask` is not over zero, in one pass over memory; `None` where the primitive cannot. Only
    /// for primitives whose second order is the pull back.
    fn fused_pullback(
        &self,
        _at: &At<'_>,
        _g: &Tensor,
        _sum: Option<&Tensor>,
        _mask: Option<&Tensor>,
    ) -> Option<Result<Vec<Tensor>>> {
        None
    }

    fn second_order(&self, at: &At<'_>, _second: &Second<'_>, mu: &Tensor) -> Result<Vec<Tensor>> {
        self.pullback(at, mu)
    }

    /// The gradients of the primitive's own parameters, in its own order: of first order in `g`,
    /// or, with `second`, of second order with `g` as μ.
    fn parameter_gradient(
        &self,
        _at: &At<'_>,
        _g: &Tensor,
        _second: Option<&Second<'_>>,
    ) -> Result<Vec<Tensor>> {
        Ok(Vec::new())
    }
}

fn masked(value: Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    match mask {
        Some(mask) => Ok(ops::activation_pullback(Activation::Relu, mask, value)?),
        None => Ok(value),
    }
}

fn finish(value: Tensor, relu: bool) -> Tensor {
    if relu { ops::activate(Activation::Relu, value) } else { value }
}

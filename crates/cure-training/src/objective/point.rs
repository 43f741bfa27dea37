//! A pass at one point with its first-order adjoint, ready for second order.

use cure_network::{Adjoint, Gradients, Linearization};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, CrossEntropy};

use super::loss::cross_entropy;
use crate::Result;

/// A pass at one point with its first-order adjoint, whose input is ∇ℓ.
pub(super) struct Point<'a> {
    pub(super) pass: Linearization<'a>,
    pub(super) loss: CrossEntropy,
    pub(super) adjoint: Adjoint,
}

impl<'a> Point<'a> {
    /// With ℓ smoothed as in [`cross_entropy`]. 1 pull back.
    pub(super) fn new(pass: Linearization<'a>, labels: &[usize], smoothing: f64) -> Result<Self> {
        let loss = cross_entropy(pass.logits(), labels, smoothing)?;
        let adjoint = pass.adjoint(&loss.residual)?;
        Ok(Self { pass, loss, adjoint })
    }

    /// ∇_θ⟨v, ∇ℓ⟩, plus the gradient of ⟨seed, f⟩: 4 passes, with or without the second part.
    /// Memory is let go as it is used up.
    pub(super) fn gradient_along(self, v: &Tensor, seed: Option<&Tensor>) -> Result<Gradients> {
        let tangent = self.pass.tangent(v)?;
        let mut mu = ops::softmax_covariance(&self.loss.probabilities, tangent.logits())?;
        if let Some(seed) = seed {
            mu = ops::add(mu, seed)?;
        }
        Ok(self.pass.second_order_parameter_gradient(self.adjoint, tangent, &mu)?)
    }
}

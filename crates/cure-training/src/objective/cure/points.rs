//! The two points of the regulariser, and what is measured there.

use cure_network::{Adjoint, Frozen, Gradients, Linearization, Network};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, CrossEntropy};

use super::super::SampleStreams;
use super::{CureOptions, scale_channels};
use crate::Result;

/// The two points of the regulariser and what was measured there, per sample.
#[derive(Debug)]
pub struct RegularizerTerms {
    /// z, of unit length in the declared scale: `[N, C, H, W]`.
    pub direction: Tensor,
    /// x + hz: `[N, C, H, W]`, pixels in [0, 1] but for the step.
    pub perturbed: Tensor,
    /// ∇ℓ(x) with respect to pixels in [0, 1].
    pub gradient: Tensor,
    /// ∇ℓ(x + hz), likewise.
    pub perturbed_gradient: Tensor,
    /// L_r of each sample, in the declared scale, without γ.
    pub values: Vec<f64>,
    /// v = ∂(Σ L_r)/∂Δg with respect to pixels in [0, 1]; a zero Δg gives a zero row.
    pub(super) cotangent: Tensor,
}

/// A pass at one point with its first-order adjoint.
pub(super) struct Point<'a> {
    pub(super) pass: Linearization<'a>,
    pub(super) loss: CrossEntropy,
    pub(super) adjoint: Adjoint,
}

impl<'a> Point<'a> {
    pub(super) fn new(pass: Linearization<'a>, labels: &[usize]) -> Result<Self> {
        let loss = ops::cross_entropy(pass.logits(), labels)?;
        let adjoint = pass.adjoint(&loss.residual)?;
        Ok(Self { pass, loss, adjoint })
    }

    /// ∇_θ⟨v, ∇ℓ⟩, plus the gradient of `factor` times the sum of the losses.
    /// Memory is let go as it is used up.
    pub(super) fn gradient_along(self, v: &Tensor, factor: f32) -> Result<Gradients> {
        let tangent = self.pass.tangent(v)?;
        let curvature = ops::softmax_covariance(&self.loss.probabilities, tangent.logits())?;
        let mu = if factor == 0.0 {
            curvature
        } else {
            ops::axpy(factor, &self.loss.residual, curvature)?
        };
        Ok(self.pass.second_order_parameter_gradient(self.adjoint, tangent, &mu)?)
    }
}

/// The two points with BatchNorm's running statistics.
struct Points<'a> {
    here: Point<'a>,
    there: Point<'a>,
    terms: RegularizerTerms,
}

fn points<'a>(
    options: &CureOptions,
    network: &Network,
    frozen: &'a Frozen,
    images: &Tensor,
    labels: &[usize],
    h: f64,
    streams: &SampleStreams<'_>,
) -> Result<Points<'a>> {
    let here = Point::new(frozen.linearize(images)?, labels)?;
    let unit = options.unit(network);
    let z = options.direction(here.adjoint.input(), &unit, streams)?;
    let perturbed = step_along(images, &z, &unit, h)?;
    let there = Point::new(frozen.linearize(&perturbed)?, labels)?;
    let terms = terms(options, here.adjoint.input(), &there, &unit, z, perturbed)?;
    Ok(Points { here, there, terms })
}

/// L_r at `images` with BatchNorm's running statistics, without its parameter gradient; and the
/// loss and the logits of each sample.
///
/// # Errors
/// If the images do not fit the network or a label is no class.
pub fn regularizer(
    options: &CureOptions,
    network: &Network,
    images: &Tensor,
    labels: &[usize],
    h: f64,
    streams: &SampleStreams<'_>,
) -> Result<(RegularizerTerms, Vec<f64>, Tensor)> {
    let frozen = network.frozen()?;
    let Points { here, terms, .. } = points(options, network, &frozen, images, labels, h, streams)?;
    Ok((terms, here.loss.losses, here.pass.logits().clone()))
}

/// Everything CURE's gradient is made of, at one batch, with BatchNorm's running statistics.
pub struct Derivatives {
    /// The two points of the regulariser.
    pub terms: RegularizerTerms,
    /// ℓ(x) of each sample.
    pub losses: Vec<f64>,
    /// f(x): `[N, K]`.
    pub logits: Tensor,
    /// The parameter gradient of the mean of ℓ.
    pub loss_gradient: Gradients,
    /// The parameter gradient of the mean of L_r, without γ.
    pub regularizer_gradient: Gradients,
}

/// The derivatives at `images`, for checking them against any other program.
///
/// # Errors
/// If the images do not fit the network or a label is no class.
pub fn derivatives(
    options: &CureOptions,
    network: &Network,
    images: &Tensor,
    labels: &[usize],
    h: f64,
    streams: &SampleStreams<'_>,
) -> Result<Derivatives> {
    let frozen = network.frozen()?;
    let Points { here, there, terms } =
        points(options, network, &frozen, images, labels, h, streams)?;
    let share = 1.0 / labels.len().max(1) as f32;
    let v = ops::scale(share, terms.cotangent.clone());
    let (losses, logits) = (here.loss.losses.clone(), here.pass.logits().clone());
    let mean = ops::scale(share, here.loss.residual.clone());
    let loss_gradient = here.pass.clone().parameter_gradient(&mean)?;
    let regularizer_gradient =
        there.gradient_along(&v, 0.0)?.add_scaled(-1.0, &here.gradient_along(&v, 0.0)?)?;
    Ok(Derivatives { terms, losses, logits, loss_gradient, regularizer_gradient })
}

pub(super) fn step_along(images: &Tensor, z: &Tensor, unit: &[f32], h: f64) -> Result<Tensor> {
    Ok(ops::axpy(h as f32, &scale_channels(z, unit)?, images.clone())?)
}

pub(super) fn terms(
    options: &CureOptions,
    gradient: &Tensor,
    there: &Point<'_>,
    unit: &[f32],
    direction: Tensor,
    perturbed: Tensor,
) -> Result<RegularizerTerms> {
    let difference = ops::subtract(there.adjoint.input(), gradient)?;
    let (values, cotangent) = options.values(&difference, unit)?;
    Ok(RegularizerTerms {
        direction,
        perturbed,
        gradient: gradient.clone(),
        perturbed_gradient: there.adjoint.input().clone(),
        values,
        cotangent,
    })
}

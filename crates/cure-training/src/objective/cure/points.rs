//! The two points of the regulariser, and what is measured there.

use cure_network::{Frozen, Gradients, Network};
use cure_tensor::{Tensor, ops};

use super::super::SampleStreams;
use super::super::point::Point;
use super::CureOptions;
use crate::Result;

/// The two points of the regulariser and what was measured there, per sample.
#[derive(Debug)]
pub struct RegularizerTerms {
    /// z, of unit length in the declared scale: `[N, C, H, W]`.
    pub direction: Tensor,
    /// x + hz: `[N, C, H, W]`, pixels in [0, 1] but for the step, or cut.
    pub perturbed: Tensor,
    /// ∇ℓ(x) with respect to pixels in [0, 1].
    pub gradient: Tensor,
    /// ∇ℓ(x + hz), likewise.
    pub perturbed_gradient: Tensor,
    /// L_r of each sample, in the declared scale, without γ.
    pub values: Vec<f64>,
    /// v = ∂(Σ L_r)/∂Δg with respect to pixels in [0, 1]; a zero Δg gives a zero row.
    cotangent: Tensor,
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
    let here = Point::new(frozen.linearize(images)?, labels, options.smoothing)?;
    let unit = options.unit(network);
    let gradient = here.adjoint.input();
    let z = options.direction(gradient, &unit, streams)?;
    let perturbed = options.step_along(images, &z, &unit, h)?;
    let there = Point::new(frozen.linearize(&perturbed)?, labels, options.smoothing)?;
    let difference = ops::subtract(there.adjoint.input(), gradient)?;
    let (values, cotangent) = options.values(&difference, &unit)?;
    let terms = RegularizerTerms {
        direction: z,
        perturbed,
        gradient: gradient.clone(),
        perturbed_gradient: there.adjoint.input().clone(),
        values,
        cotangent,
    };
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
    Ok((terms, here.loss.losses.to_vec(), here.pass.logits().clone()))
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
    let (losses, logits) = (here.loss.losses.to_vec(), here.pass.logits().clone());
    let mean = ops::scale(share, here.loss.residual.clone());
    let loss_gradient = here.pass.clone().parameter_gradient(&mean)?;
    let regularizer_gradient =
        there.gradient_along(&v, None)?.add_scaled(-1.0, &here.gradient_along(&v, None)?)?;
    Ok(Derivatives { terms, losses, logits, loss_gradient, regularizer_gradient })
}

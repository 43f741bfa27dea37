//! CURE, the paper's section 4: minimise the mean of ℓ(x) + γ·L_r(x) with
//! L_r = ‖∇ℓ(x + hz) − ∇ℓ(x)‖², z a unit direction found at x and then held constant.
//!
//! The gradient of L_r is exact and needs no second-order automatic differentiation: with
//! v = ∂L_r/∂Δg held constant it is ∇_θ⟨v, ∇ℓ(x + hz)⟩ − ∇_θ⟨v, ∇ℓ(x)⟩, and each term is the
//! derivative along v of the ordinary gradient (Pearlmutter 1994): tangents forward, then one
//! second-order pull back that reuses the first-order adjoint which gave ∇ℓ in the first place.
//!
//! Cost: 2 passes for ∇ℓ(x), which is also z's pass; 2 for ∇ℓ(x + hz); 8 for the gradient of L_r;
//! 3 for the loss with BatchNorm over the batch, or none where it shares the regulariser's mode
//! (its seed is added). The authors' procedure takes 18.

use cure_network::{Adjoint, Frozen, Gradients, Linearization, Network, Training};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, CrossEntropy};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{EpochValues, SampleStreams, StepOutcome, count_correct};
use crate::Result;

/// The direction z, always of unit ℓ2 length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// sign(∇ℓ)/‖sign(∇ℓ)‖₂, the paper's choice.
    #[default]
    Sign,
    /// ∇ℓ/‖∇ℓ‖₂, which the paper reports as almost identical.
    Gradient,
    /// Uniformly random, from the sample's own stream.
    Gaussian,
}

/// The scale that h and L_r are measured in. The paper does not say; see `docs/decisions.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Pixels in [0, 1].
    #[default]
    Pixel,
    /// Pixels in [0, 255].
    Pixel255,
    /// What the network sees: (x − mean)/std.
    Normalized,
}

/// Which statistics BatchNorm uses in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormMode {
    /// The batch's own; samples of a batch see each other.
    Train,
    /// The running ones; each sample stands alone.
    Eval,
}

/// How L_r is formed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CureOptions {
    /// The direction z.
    pub direction: Direction,
    /// The scale of h and of L_r.
    pub scale: Scale,
    /// L_r = ‖Δg‖² (the paper's text) or ‖Δg‖ (the authors' published code).
    pub squared: bool,
    /// BatchNorm in the pass of the loss ℓ(x).
    pub loss_mode: BatchNormMode,
    /// BatchNorm in the passes of the regulariser.
    pub regularizer_mode: BatchNormMode,
    /// BatchNorm in the pass that finds z.
    pub direction_mode: BatchNormMode,
    /// Whether the pass at x is forgotten once ∇ℓ(x) is known, and made again (2 more passes) when its turn
    /// comes: three passes' activations are then held at most instead of five, for the same result.
    pub recompute: bool,
}

impl Default for CureOptions {
    fn default() -> Self {
        Self {
            direction: Direction::Sign,
            scale: Scale::Pixel,
            squared: false,
            loss_mode: BatchNormMode::Train,
            regularizer_mode: BatchNormMode::Eval,
            direction_mode: BatchNormMode::Eval,
            recompute: false,
        }
    }
}

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
    cotangent: Tensor,
}

/// A pass at one point with its first-order adjoint.
struct Point<'a> {
    pass: Linearization<'a>,
    loss: CrossEntropy,
    adjoint: Adjoint,
}

impl<'a> Point<'a> {
    fn new(pass: Linearization<'a>, labels: &[usize]) -> Result<Self> {
        let loss = ops::cross_entropy(pass.logits(), labels)?;
        let adjoint = pass.adjoint(&loss.residual)?;
        Ok(Self { pass, loss, adjoint })
    }

    /// ∇_θ⟨v, ∇ℓ⟩, plus the gradient of `factor` times the sum of the losses.
    /// Memory is let go as it is used up.
    fn gradient_along(self, v: &Tensor, factor: f32) -> Result<Gradients> {
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

impl CureOptions {
    /// The length of one unit of the scale, in pixels of [0, 1], for each channel.
    fn unit(&self, network: &Network) -> Vec<f32> {
        match self.scale {
            Scale::Pixel => vec![1.0; network.normalization().std.len()],
            Scale::Pixel255 => vec![1.0 / 255.0; network.normalization().std.len()],
            Scale::Normalized => network.normalization().std.clone(),
        }
    }

    /// z, in the declared scale, from the gradient with respect to pixels.
    fn direction(
        &self,
        gradient: &Tensor,
        unit: &[f32],
        streams: &SampleStreams<'_>,
    ) -> Result<Tensor> {
        Ok(match self.direction {
            Direction::Sign => ops::direction_of_sign(gradient)?,
            Direction::Gradient => ops::normalised(&scale_channels(gradient, unit)?)?,
            Direction::Gaussian => {
                let length = gradient.len() / gradient.shape()[0].max(1);
                let mut values = Vec::with_capacity(gradient.len());
                for &index in streams.indices {
                    let mut stream = ChaCha8Rng::seed_from_u64(streams.seed);
                    stream.set_stream(((streams.epoch << 40) | index as u64).wrapping_add(1));
                    values.extend((0..length).map(|_| {
                        let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
                        (radius * (std::f64::consts::TAU * stream.random::<f64>()).cos()) as f32
                    }));
                }
                ops::normalised(&Tensor::new(gradient.shape(), values)?)?
            }
        })
    }

    /// L_r of each sample and v, from Δg with respect to pixels.
    fn values(&self, difference: &Tensor, unit: &[f32]) -> Result<(Vec<f64>, Tensor)> {
        let scaled = scale_channels(difference, unit)?;
        let norms = ops::sample_l2(&scaled)?;
        let (values, factors): (Vec<f64>, Vec<f32>) = norms
            .into_iter()
            .map(|norm| match (self.squared, norm > 0.0) {
                (true, _) => (norm * norm, 2.0),
                (false, true) => (norm, (1.0 / norm) as f32),
                (false, false) => (norm, 0.0),
            })
            .unzip();
        // Δg is scaled once in the norm and once by the chain rule.
        Ok((values, scale_channels(&ops::scale_samples(&scaled, &factors)?, unit)?))
    }
}

/// Each channel of `[N, C, H, W]` times its factor.
fn scale_channels(x: &Tensor, factors: &[f32]) -> Result<Tensor> {
    if factors.iter().all(|&factor| factor == 1.0) {
        return Ok(x.clone());
    }
    let shape = x.shape().to_vec();
    let plane: usize = shape[2..].iter().product();
    let mut values = x.host().into_owned();
    for (index, run) in values.chunks_exact_mut(plane.max(1)).enumerate() {
        let factor = factors[index % factors.len()];
        run.iter_mut().for_each(|value| *value *= factor);
    }
    Ok(Tensor::new(&shape, values)?)
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

fn step_along(images: &Tensor, z: &Tensor, unit: &[f32], h: f64) -> Result<Tensor> {
    Ok(ops::axpy(h as f32, &scale_channels(z, unit)?, images.clone())?)
}

fn terms(
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

/// A network with BatchNorm in one of its modes.
enum Passes {
    Eval(Frozen),
    Train(Training),
}

impl Passes {
    fn new(network: &Network, mode: BatchNormMode) -> Result<Self> {
        Ok(match mode {
            BatchNormMode::Eval => Self::Eval(network.frozen()?),
            BatchNormMode::Train => Self::Train(network.training()?),
        })
    }

    fn linearize(&self, images: &Tensor) -> Result<Linearization<'_>> {
        Ok(match self {
            Self::Eval(network) => network.linearize(images)?,
            Self::Train(network) => network.linearize(images)?,
        })
    }
}

pub(super) fn step(
    options: &CureOptions,
    network: &mut Network,
    images: &Tensor,
    labels: &[usize],
    at: &EpochValues,
    streams: &SampleStreams<'_>,
) -> Result<StepOutcome> {
    let share = 1.0 / labels.len().max(1) as f32;
    let mode = options.regularizer_mode;
    let passes = Passes::new(network, mode)?;
    let here = Point::new(passes.linearize(images)?, labels)?;
    let unit = options.unit(network);
    let z = if options.direction_mode == mode {
        options.direction(here.adjoint.input(), &unit, streams)?
    } else {
        let passes = Passes::new(network, options.direction_mode)?;
        let pass = passes.linearize(images)?;
        let loss = ops::cross_entropy(pass.logits(), labels)?;
        options.direction(&pass.pullback(&loss.residual)?, &unit, streams)?
    };
    let gradient = here.adjoint.input().clone();
    let mut loss: f64 = here.loss.losses.iter().sum();
    let mut correct = count_correct(here.pass.logits(), labels);
    let of_here = here.pass.batch_statistics();
    let kept = (!options.recompute).then_some(here);
    let perturbed = step_along(images, &z, &unit, at.h)?;
    let there = Point::new(passes.linearize(&perturbed)?, labels)?;
    let terms = terms(options, &gradient, &there, &unit, z, perturbed)?;

    // The perturbed pass first, so that the clean one weighs more in the running statistics.
    let mut statistics = vec![there.pass.batch_statistics(), of_here];
    let v = ops::scale(at.gamma as f32 * share, terms.cotangent);
    let is_shared = options.loss_mode == mode;
    let gradients = there.gradient_along(&v, 0.0)?;
    let here = match kept {
        Some(here) => here,
        None => Point::new(passes.linearize(images)?, labels)?,
    };
    let factor = if is_shared { share } else { 0.0 };
    let mut gradients =
        gradients.add_scaled(1.0, &here.gradient_along(&ops::scale(-1.0, v), factor)?)?;

    if !is_shared {
        // Its packed weights go before those of the other program come.
        drop(passes);
        let passes = Passes::new(network, options.loss_mode)?;
        let pass = passes.linearize(images)?;
        let clean = ops::cross_entropy(pass.logits(), labels)?;
        loss = clean.losses.iter().sum();
        correct = count_correct(pass.logits(), labels);
        statistics.insert(0, pass.batch_statistics());
        let seed = ops::scale(share, clean.residual);
        gradients = gradients.add_scaled(1.0, &pass.parameter_gradient(&seed)?)?;
    }
    for batch in &statistics {
        network.update_running_statistics(batch)?;
    }
    Ok(StepOutcome {
        gradients,
        loss,
        regularizer: terms.values.iter().sum(),
        correct,
        samples: labels.len(),
    })
}

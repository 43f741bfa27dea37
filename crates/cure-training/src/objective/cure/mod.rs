//! CURE, the paper's section 4: minimise the mean of ℓ(x) + γ·L_r(x) with
//! L_r = ‖∇ℓ(x + hz) − ∇ℓ(x)‖², z a unit direction found at x and then held constant.
//!
//! With the perturbed loss it is the mean of α·ℓ(x) + β·ℓ(x + hz) + γ·L_r: the point x + hz is
//! linearized already, and the seed of its loss is added to a pull back that is made anyway, so β
//! costs nothing. For z the sign direction and h = ε√d, d pixels with a gradient, x + hz is FGSM's
//! point before the cut to [0, 1], or after it with `cut`; β's loss has the regulariser's BatchNorm, so that with α = 0 and
//! the defaults no pass moves running statistics: those of a network from random weights stay what
//! they are. With `noise` k the two points are x′ = x + η and x′ + hz, η uniform within kh/√d of
//! each pixel: those of N-FGSM (de Jorge et al. 2022), while α's loss stays at x.
//!
//! The gradient of L_r is exact and needs no second-order automatic differentiation: with
//! v = ∂L_r/∂Δg held constant it is ∇_θ⟨v, ∇ℓ(x + hz)⟩ − ∇_θ⟨v, ∇ℓ(x)⟩, and each term is the
//! derivative along v of the ordinary gradient (Pearlmutter 1994): tangents forward, then one
//! second-order pull back that reuses the first-order adjoint which gave ∇ℓ in the first place.
//!
//! Where ∇ℓ(x) is `held` constant as z is, the term at x has no gradient in θ: L_r then pulls
//! ∇ℓ(x + hz) to what ∇ℓ(x) was, for 8 passes instead of 12.
//!
//! Cost: 2 passes for ∇ℓ(x), which is also z's pass; 2 for ∇ℓ(x + hz); 8 for the gradient of L_r;
//! 3 for the loss with BatchNorm over the batch, or none where it shares the regulariser's mode
//! and point (its seed is added) or α = 0. The authors' procedure takes 18.

mod points;
mod step;

pub use points::{Derivatives, RegularizerTerms, derivatives, regularizer};

use cure_attacks::Parameter;
use cure_network::{Network, Scale};
use cure_tensor::Tensor;
use cure_tensor::ops;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::SampleStreams;
use super::batch_norm::BatchNormMode;
use super::entry::{ObjectiveEntry, SMOOTHING, is_zero};
use super::length::{penalty, units};
use super::part::Batch;
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

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "cure",
    title: "curvature regularisation; with beta the perturbed loss too",
    reference: "Moosavi-Dezfooli et al. 2019, section 4",
    passes: "15: 12, and 3 where ℓ(x) has a pass of its own; held −4, recompute +2",
    parameters: &[
        Parameter::new("direction", "sign", "z: sign, gradient or gaussian"),
        Parameter::new("scale", "pixel", "scale of h and L_r: pixel, pixel255 or normalized"),
        Parameter::new("squared", "false", "whether L_r is ‖Δg‖² or ‖Δg‖"),
        Parameter::new("alpha", "1", "α, weight of ℓ(x)"),
        Parameter::new("beta", "0", "β, weight of ℓ(x + hz)"),
        Parameter::new("noise", "0", "k: the points are x + η and x + η + hz, |η| ≤ kh/√d"),
        Parameter::new("loss_mode", "train", "BatchNorm in the pass of ℓ(x): train or eval"),
        Parameter::new(
            "regularizer_mode",
            "eval",
            "BatchNorm in the passes of the regulariser and of β's loss: train or eval",
        ),
        Parameter::new("direction_mode", "eval", "BatchNorm in the pass that finds z"),
        Parameter::new("cut", "false", "whether x + hz is cut to pixels in [0, 1]"),
        Parameter::new("held", "false", "whether ∇ℓ(x) is a constant in L_r, for 4 passes less"),
        Parameter::new("recompute", "false", "whether to hold less memory for 2 passes"),
        SMOOTHING,
    ],
};

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
    /// Whether the pass at x is forgotten once ∇ℓ(x) is known, and made again (2 more passes) when
    /// its turn comes: three passes' activations are then held at most instead of five, for the
    /// same result.
    pub recompute: bool,
    /// α, the weight of ℓ(x). Default 1.
    #[serde(skip_serializing_if = "is_one")]
    pub alpha: f64,
    /// β, the weight of ℓ(x + hz). Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub beta: f64,
    /// k: the regulariser's points are x + η and x + η + hz, η uniform within kh/√d of each of the
    /// d pixels in the declared scale. Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// Whether x + hz is cut to [0, 1], pixel by pixel, before anything is measured there. Default
    /// no, as in the paper.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Whether ∇ℓ(x) is a constant in L_r, as z is: its gradient in θ is then that of ∇ℓ(x + hz)
    /// alone. Default no, as in the paper.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Label smoothing of ℓ, wherever it stands. Default 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub smoothing: f64,
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
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
            alpha: 1.0,
            beta: 0.0,
            noise: 0.0,
            cut: false,
            held: false,
            smoothing: 0.0,
        }
    }
}

impl CureOptions {
    /// The length of one unit of the scale, in pixels of [0, 1], for each channel.
    fn unit(&self, network: &Network) -> Vec<f32> {
        self.scale.units(network.normalization())
    }

    /// The first point of the regulariser: x, or x + η.
    fn base(&self, batch: &Batch<'_>, unit: &[f32], h: f64) -> Result<Tensor> {
        if self.noise == 0.0 {
            return Ok(batch.images.clone());
        }
        let length = batch.images.len() / batch.labels.len().max(1);
        let most = self.noise * h / (length as f64).sqrt();
        let mut values = Vec::with_capacity(batch.images.len());
        for &index in batch.streams.indices {
            let mut stream = batch.streams.stream(index, 1);
            values
                .extend((0..length).map(|_| (most * (2.0 * stream.random::<f64>() - 1.0)) as f32));
        }
        let noise = scale_channels(&Tensor::new(batch.images.shape(), values)?, unit)?;
        Ok(ops::add(noise, batch.images)?)
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
            Direction::Gradient => units(&scale_channels(gradient, unit)?)?.1,
            Direction::Gaussian => {
                let length = gradient.len() / gradient.shape()[0].max(1);
                let mut values = Vec::with_capacity(gradient.len());
                for &index in streams.indices {
                    let mut stream = streams.stream(index, 0);
                    values.extend((0..length).map(|_| {
                        let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
                        (radius * (std::f64::consts::TAU * stream.random::<f64>()).cos()) as f32
                    }));
                }
                ops::normalised(&Tensor::new(gradient.shape(), values)?)?
            }
        })
    }

    /// x + hz, from x and z in the declared scale; cut if so declared.
    fn step_along(&self, x: &Tensor, z: &Tensor, unit: &[f32], h: f64) -> Result<Tensor> {
        let point = ops::axpy(h as f32, &scale_channels(z, unit)?, x.clone())?;
        if !self.cut {
            return Ok(point);
        }
        Ok(ops::clamp(point, 0.0, 1.0))
    }

    /// L_r of each sample and v, from Δg with respect to pixels.
    fn values(&self, difference: &Tensor, unit: &[f32]) -> Result<(Vec<f64>, Tensor)> {
        let scaled = scale_channels(difference, unit)?;
        let (values, by) = penalty(&scaled, self.squared)?;
        // Δg is scaled once in the norm and once by the chain rule.
        Ok((values, scale_channels(&by, unit)?))
    }
}

/// Each channel of `[N, C, H, W]` times its factor.
fn scale_channels(x: &Tensor, factors: &[f32]) -> Result<Tensor> {
    if factors.iter().all(|&factor| factor == 1.0) {
        return Ok(x.clone());
    }
    let scaled = ops::scale_samples(&ops::channel_major(x)?, factors)?;
    Ok(ops::sample_major(&scaled)?)
}

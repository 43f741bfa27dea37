//! FGSM with gradient alignment (Andriushchenko and Flammarion 2020): the mean of ℓ(x′) +
//! λ·(1 − cos(∇ℓ(x), ∇ℓ(x + η))), x′ = x + ε·sign ∇ℓ(x) cut to [0, 1] and η uniform in the ball. It
//! keeps the one step of FGSM honest.
//!
//! The gradient is exact in both gradients of the cosine: each has its own v, and ∇_θ⟨v, ∇ℓ⟩ as in
//! CURE. ∇ℓ(x) also gives x′. The authors' code has ∇ℓ(x) constant in the cosine, as here where it
//! is `held`, does not cut x + η to [0, 1], and makes every pass with BatchNorm over the batch.
//! They grow λ with ε: 0.2 is for 8/255, 0.027 for 1/255 and 2 for 16/255.
//!
//! Cost: 12 passes for the alignment, 8 with ∇ℓ(x) held; 3 for ℓ(x′).

use cure_attacks::{Climb, Epsilon, Norm, Parameter};
use cure_network::Network;
use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};

use super::adversarial::pgd::linf;
use super::batch_norm::{BatchNormMode, Passes};
use super::entry::{
    CLIMBING_REGULARIZER_MODE, EPS, LOSS_MODE, NORM, ObjectiveEntry, SMOOTHING, check_climb,
    check_weight, eval,
};
use super::length::units;
use super::loss::LossOptions;
use super::part::{Batch, Part};
use super::point::Point;
use super::standard::with_loss;
use super::{EpochValues, Minimise};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "gradalign",
    title: "adversarial training by FGSM with gradients aligned",
    reference: "Andriushchenko and Flammarion 2020",
    passes: "15; held −4",
    parameters: &[
        EPS,
        NORM,
        Parameter::new("lambda", "0.2", "λ, weight of the alignment; 0.2 is for 8/255"),
        Parameter::new("held", "false", "whether ∇ℓ(x) is a constant in it, for 4 passes less"),
        LOSS_MODE,
        CLIMBING_REGULARIZER_MODE,
        SMOOTHING,
    ],
};

/// The parameters of FGSM with gradient alignment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradAlignOptions {
    /// ε, the length of the step in pixels, and the radius of η's ball.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// λ, the weight of the alignment. Default 0.2.
    #[serde(default = "fifth")]
    pub lambda: f64,
    /// Whether ∇ℓ(x) is a constant in the alignment, as in the authors' code. Default no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// BatchNorm in the passes of the alignment, whose ∇ℓ(x) is FGSM's. Default running statistics.
    #[serde(default = "eval")]
    pub regularizer_mode: BatchNormMode,
    /// The loss, whose smoothing both gradients and x′ share.
    #[serde(flatten)]
    pub loss: LossOptions,
}

fn fifth() -> f64 {
    0.2
}

/// Each sample's 1 − cos of the angle between two gradients, and its derivatives by both. A sample
/// with a zero among them has the value 0 and no derivative: the authors leave it out of their
/// mean.
fn misalignment(a: &Tensor, b: &Tensor) -> Result<(Vec<f64>, Tensor, Tensor)> {
    let inner = ops::sample_dot(a, b)?;
    let ((a_lengths, a), (b_lengths, b)) = (units(a)?, units(b)?);
    let inverses = a_lengths.into_iter().zip(b_lengths).map(|(a, b)| match a > 0.0 && b > 0.0 {
        true => (1.0 / a, 1.0 / b),
        false => (0.0, 0.0),
    });
    let inverses: Vec<(f64, f64)> = inverses.collect();
    // Not from the units, which are rounded: where gradients are parallel most digits of 1 − cos
    // cancel.
    let cosines = inner.iter().zip(&inverses).map(|(inner, (a, b))| inner * a * b);
    let cosines: Vec<f64> = cosines.collect();
    let along: Vec<f32> = cosines.iter().map(|cosine| -cosine as f32).collect();
    // (cos·â − b̂)/‖a‖, of units: 1/‖a‖² leaves single precision long before 1/‖a‖ does.
    let by = |unit: &Tensor, other: &Tensor, inverse: fn(&(f64, f64)) -> f64| {
        let scales: Vec<f32> = inverses.iter().map(|pair| -inverse(pair) as f32).collect();
        ops::scale_samples(&ops::perturb(other, unit, &along)?, &scales)
    };
    let (by_a, by_b) = (by(&a, &b, |pair| pair.0)?, by(&b, &a, |pair| pair.1)?);
    let values = cosines.iter().zip(&inverses);
    let values = values.map(|(cosine, (a, _))| if *a > 0.0 { 1.0 - cosine } else { 0.0 });
    Ok((values.collect(), by_a, by_b))
}

impl GradAlignOptions {
    fn climb(&self) -> Climb {
        let start = Some(self.eps);
        Climb { norm: self.norm, epsilon: Some(self.eps), step: self.eps, steps: 1, start }
    }

    /// λ·(1 − cos) of the gradients at the images and at `noisy`, with its gradient; and x′.
    pub(super) fn alignment(
        &self,
        passes: &Passes,
        batch: &Batch<'_>,
        noisy: &Tensor,
    ) -> Result<(Part, Tensor)> {
        let point = |images: &Tensor| {
            Point::new(passes.linearize(images)?, batch.labels, self.loss.smoothing)
        };
        let (here, there) = (point(batch.images)?, point(noisy)?);
        let points = match batch.points {
            Some(points) => points.clone(),
            None => self.climb().step(batch.images, batch.images, here.adjoint.input())?,
        };
        let (values, by_here, by_there) =
            misalignment(here.adjoint.input(), there.adjoint.input())?;
        let regularizer: f64 = values.iter().sum();
        let factor = self.lambda as f32 * batch.share;
        let mut statistics = vec![there.pass.batch_statistics()];
        let mut gradients = there.gradient_along(&ops::scale(factor, by_there), None)?;
        if !self.held {
            statistics.push(here.pass.batch_statistics());
            let other = here.gradient_along(&ops::scale(factor, by_here), None)?;
            gradients = gradients.add_scaled(1.0, &other)?;
        }
        let part = Part {
            gradients,
            objective: self.lambda * regularizer,
            loss: 0.0,
            regularizer,
            correct: 0,
            statistics,
            next: None,
        };
        Ok((part, points))
    }
}

impl Minimise for GradAlignOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.loss.check()?;
        check_weight("objective.lambda", self.lambda)?;
        check_climb(&self.climb(), dimension, None)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        let (alignment, points) = {
            let passes = Passes::new(network, self.regularizer_mode)?;
            let noisy = self.climb().start(batch.images, &batch.attack_streams(), batch.draw(0))?;
            self.alignment(&passes, batch, &noisy)?
        };
        with_loss(alignment, false, &self.loss, network, batch, &points)
    }
}

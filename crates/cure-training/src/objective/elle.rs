//! FGSM with efficient local linearity regularisation, ELLE (Abad Rocamora et al. 2024): the mean
//! of ℓ(x′) + λ·E² with E = ℓ(x_c) − (1 − α)·ℓ(x_a) − α·ℓ(x_b), x_a and x_b uniform in the ball,
//! x_c = (1 − α)·x_a + α·x_b, α uniform in [0, 1]: zero where ℓ is linear, without any second
//! derivative. With `noise` x′ is N-FGSM's. (The authors' code does not cut x_a and x_b to [0, 1],
//! makes every pass with BatchNorm over the batch, and has λ = 1000 up to ε = 8/255 only: 5000 for
//! 10/255 to 20/255 and 10000 from 22/255.)
//!
//! Cost: 2 passes for x′, 3 for ℓ(x′), 9 for E².

use cure_attacks::{Climb, Epsilon, Norm, Parameter};
use cure_network::Network;
use cure_tensor::{Tensor, ops};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::adversarial::{AdversarialOptions, climb_loss, pgd::linf};
use super::batch_norm::{BatchNormMode, Passes};
use super::entry::{
    ATTACK_MODE, EPS, Follows, LOSS_MODE, NORM, ObjectiveEntry, REGULARIZER_MODE, SMOOTHING,
    check_climb, check_weight, eval, is_zero,
};
use super::loss::cross_entropy;
use super::part::{Batch, Part, in_parts};
use super::standard::with_loss;
use super::{EpochValues, Minimise};
use crate::Result;

pub(super) const ENTRY: ObjectiveEntry = ObjectiveEntry {
    name: "elle",
    title: "adversarial training by FGSM, kept linear between random points",
    reference: "Abad Rocamora et al. 2024",
    passes: "14",
    parameters: &[
        EPS,
        NORM,
        Parameter::new(
            "lambda",
            "1000",
            "λ, weight of the squared distance from linear; 1000 is for up to 8/255",
        ),
        Parameter::new("noise", "0", "k: x′ starts from noise in the ball of k·eps, not projected"),
        LOSS_MODE,
        ATTACK_MODE,
        REGULARIZER_MODE,
        SMOOTHING,
    ],
};

/// The parameters of FGSM with efficient local linearity regularisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElleOptions {
    /// ε, the length of the step in pixels, and the radius of the ball of x_a and x_b.
    pub eps: Epsilon,
    /// The norm. Default ℓ∞.
    #[serde(default = "linf")]
    pub norm: Norm,
    /// λ, the weight of E². Default 1000.
    #[serde(default = "thousand")]
    pub lambda: f64,
    /// k, the radius of the noise that x′ starts from as a multiple of ε. Default 0, the image.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// BatchNorm in the passes of E. Default running statistics.
    #[serde(default = "eval")]
    pub regularizer_mode: BatchNormMode,
    /// What all adversarial training has; E is of the smoothed loss.
    #[serde(flatten)]
    pub common: AdversarialOptions,
}

fn thousand() -> f64 {
    1000.0
}

/// What E is found between: x_a, x_b and α of each sample.
pub(super) struct Draws {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
    pub(super) alphas: Vec<f64>,
}

impl ElleOptions {
    fn climb(&self) -> Climb {
        let start = (self.noise > 0.0).then(|| self.eps.times(self.noise));
        Climb { norm: self.norm, epsilon: None, step: self.eps, steps: 1, start }
    }

    fn draws(&self, batch: &Batch<'_>) -> Result<Draws> {
        let ball = Climb { start: Some(self.eps), ..self.climb() };
        let uniform = |which| ball.start(batch.images, &batch.attack_streams(), batch.draw(which));
        let of_sample = |&index: &usize| batch.streams.stream(index, 2).random();
        let alphas = batch.streams.indices.iter().map(of_sample).collect();
        Ok(Draws { a: uniform(1)?, b: uniform(2)?, alphas })
    }

    /// λ·E² and its gradient at the three points.
    pub(super) fn regularizer(
        &self,
        passes: &Passes,
        batch: &Batch<'_>,
        draws: &Draws,
    ) -> Result<Part> {
        let Draws { a, b, alphas } = draws;
        let shares: Vec<f32> = alphas.iter().map(|&alpha| alpha as f32).collect();
        let c = ops::perturb(a, &ops::subtract(b, a)?, &shares)?;

        let point = |images: &Tensor| {
            let pass = passes.linearize(images)?;
            let loss = cross_entropy(pass.logits(), batch.labels, self.common.smoothing)?;
            Ok::<_, crate::TrainingError>((pass, loss))
        };
        let points = [point(&c)?, point(a)?, point(b)?];
        let losses = points.each_ref().map(|(_, loss)| loss.losses.to_vec());
        let statistics = points.iter().map(|(pass, _)| pass.batch_statistics()).collect();
        // Of ℓ(x_c), ℓ(x_a) and ℓ(x_b) in E.
        let weights = |alpha: f64| [1.0, alpha - 1.0, -alpha];
        let distance = |sample: usize| -> f64 {
            let terms = weights(alphas[sample]).into_iter().zip(&losses);
            terms.map(|(weight, losses)| weight * losses[sample]).sum()
        };
        let distances: Vec<f64> = (0..alphas.len()).map(distance).collect();
        let regularizer: f64 = distances.iter().map(|distance| distance * distance).sum();

        let seed = |which: usize, residual: &Tensor| {
            let terms = alphas.iter().zip(&distances);
            let factor = |(&alpha, distance): (&f64, &f64)| {
                (2.0 * self.lambda * distance * weights(alpha)[which]) as f32 * batch.share
            };
            ops::scale_samples(residual, &terms.map(factor).collect::<Vec<f32>>())
        };
        let seeds: Vec<Tensor> = points
            .iter()
            .enumerate()
            .map(|(which, (_, loss))| seed(which, &loss.residual))
            .collect::<std::result::Result<_, _>>()?;
        let [c, a, b] = points.map(|(pass, _)| pass);
        let gradients = c
            .parameter_gradient(&seeds[0])?
            .add_scaled(1.0, &a.parameter_gradient(&seeds[1])?)?
            .add_scaled(1.0, &b.parameter_gradient(&seeds[2])?)?;
        Ok(Part {
            gradients,
            objective: self.lambda * regularizer,
            loss: 0.0,
            regularizer,
            correct: 0,
            statistics,
            next: None,
        })
    }
}

impl Minimise for ElleOptions {
    fn check(&self, dimension: Option<usize>) -> Result<()> {
        self.common.loss().check()?;
        check_weight("objective.lambda", self.lambda)?;
        check_weight("objective.noise", self.noise)?;
        let given = self.noise;
        let (length, parameter, formula) = ("the random start", "objective.noise", "noise·eps");
        check_climb(&self.climb(), dimension, Some(Follows { length, parameter, given, formula }))
    }

    fn points(
        &self,
        network: &Network,
        batch: &Batch<'_>,
        _: &EpochValues,
    ) -> Result<Option<Tensor>> {
        let passes = Passes::new(network, self.common.attack_mode)?;
        climb_loss(passes.classifier(), batch, &self.climb()).map(Some)
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, _: &EpochValues) -> Result<Part> {
        let regularizer = {
            let passes = &Passes::new(network, self.regularizer_mode)?;
            in_parts(passes, batch, |batch| self.regularizer(passes, batch, &self.draws(batch)?))?
        };
        with_loss(regularizer, false, &self.common.loss(), network, batch, batch.at())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::super::{Objective, SampleStreams};
    use super::*;

    /// Of each sample two points of the ball, which differ, and a share; all others in another
    /// epoch.
    #[test]
    fn draws_belong_to_sample_and_epoch() {
        let Objective::Elle(options) = "elle:eps=0.1".parse().unwrap() else { panic!() };
        let images = Tensor::full(&[3, 1, 4, 4], 0.5);
        let draws = |epoch, indices: &[usize; 3]| {
            let streams = SampleStreams { seed: 5, epoch, indices };
            let batch = Batch::new(&images, &[0, 0, 0], streams, None).unwrap();
            let Draws { a, b, alphas } = options.draws(&batch).unwrap();
            [
                a.host().into_owned(),
                b.host().into_owned(),
                alphas.iter().map(|&v| v as f32).collect(),
            ]
        };
        let (first, turned, later) =
            (draws(0, &[4, 9, 1]), draws(0, &[1, 9, 4]), draws(1, &[4, 9, 1]));
        for (which, count) in [(0, 16), (1, 16), (2, 1)] {
            assert_eq!(first[which][..count], turned[which][2 * count..]);
            assert_ne!(first[which], later[which]);
            assert_ne!(first[which][..count], first[which][count..2 * count]);
        }
        assert_ne!(first[0], first[1]);
        assert!(first[2].iter().all(|alpha| (0.0..1.0).contains(alpha)));
        for points in &first[..2] {
            let most = points.iter().fold(0f32, |most, value| most.max((value - 0.5).abs()));
            assert!(most < 0.1 + 1e-6 && most > 0.08, "{most}");
        }
    }
}

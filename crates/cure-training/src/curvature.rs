//! Curvature over the course of training, on a fixed sample (the paper's Figs 10 and 14).

use cure_data::Dataset;
use cure_network::{Network, Ranks};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::objective::{CureOptions, Direction, SampleStreams, regularizer};
use crate::ranks::share;
use crate::validation::spread;

/// Samples measured at once.
const BATCH: usize = 100;

/// How often curvature is measured, and how well.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurvatureOptions {
    /// After each how many epochs, and after the last; default 1.
    pub every: usize,
    /// How many training images, spread evenly over them, as stored; default 100. (The paper takes
    /// 1000.)
    pub samples: usize,
    /// Draws behind the Frobenius norm; default 10. (The paper takes 100.)
    pub draws: usize,
    /// h, the ℓ2 length in pixels of the finite difference's step, for every direction; default
    /// 0.1. (The paper does not say which h its figures have.)
    pub h: f64,
}

impl Default for CurvatureOptions {
    fn default() -> Self {
        Self { every: 1, samples: 100, draws: 10, h: 0.1 }
    }
}

impl CurvatureOptions {
    pub(crate) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("curvature.every", self.every),
            ("curvature.samples", self.samples),
            ("curvature.draws", self.draws),
        ] {
            if value == 0 {
                return Err(TrainingError::setting(name, value, "1 or more"));
            }
        }
        match self.h > 0.0 && self.h.is_finite() {
            true => Ok(()),
            false => Err(TrainingError::setting("curvature.h", self.h, "above 0")),
        }
    }
}

/// Curvature of the loss around images: means over the sample, with H = ∇²ₓℓ, pixels in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Curvature {
    /// ‖H‖_F, from ‖H‖²_F = E‖Hz‖² over z ~ N(0, I).
    pub frobenius: f64,
    /// ‖Hz‖ for z = sign(∇ℓ)/‖sign(∇ℓ)‖₂.
    pub gradient_sign: f64,
    /// The standard error of [`frobenius`](Self::frobenius) over the images; none of one image, and in runs
    /// of before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frobenius_error: Option<f64>,
    /// That of [`gradient_sign`](Self::gradient_sign).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_sign_error: Option<f64>,
}

/// Sums over images that ranks can add up.
#[derive(Clone, Copy, Default)]
struct Sums {
    values: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.values += value;
        self.squares += value * value;
    }

    fn mean(&self, n: usize) -> f64 {
        self.values / n.max(1) as f64
    }

    /// The standard error of the mean.
    fn error(&self, n: usize) -> Option<f64> {
        let deviations = (self.squares - self.values * self.mean(n)).max(0.0);
        (n > 1).then(|| (deviations / (n - 1) as f64 / n as f64).sqrt())
    }
}

/// Measures the curvature of `samples`' losses by the paper's finite difference, Hz ≈ (∇ℓ(x + hz) −
/// ∇ℓ(x))/h, which is CURE's regulariser over h. A Gaussian z has a direction u and, apart from it,
/// a length with mean square d: E‖Hz‖² = d·E‖Hu‖², and the step is taken along u. Each image draws
/// from its own stream, in every epoch the same.
///
/// Each rank takes its share of the samples. `proceed` is asked before each measurement, with the
/// number of them done and to do; if it says no on any rank, there is no result. Cost: 4 passes a
/// direction and image.
pub(crate) fn measure(
    network: &Network,
    samples: &Dataset,
    options: &CurvatureOptions,
    seed: u64,
    ranks: &Ranks,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Option<Curvature>> {
    let positions = spread(options.samples, samples.len());
    let dimension: usize = samples.shape().iter().product();
    let along = |direction| CureOptions { direction, squared: false, ..CureOptions::default() };
    let (sign, gaussian) = (along(Direction::Sign), along(Direction::Gaussian));
    let own = &positions[share(positions.len(), ranks)];
    let total = own.len().div_ceil(BATCH) * (options.draws + 1);
    let mut done = 0;
    let mut stopped = false;
    let (mut frobenius, mut gradient_sign) = (Sums::default(), Sums::default());
    'samples: for part in own.chunks(BATCH) {
        let batch = samples.batch(part)?;
        let mut squares = vec![0.0; part.len()];
        for draw in 0..=options.draws {
            if !proceed(done, total) {
                stopped = true;
                break 'samples;
            }
            let streams = SampleStreams { seed, epoch: draw as u64, indices: &batch.indices };
            let direction = if draw == 0 { &sign } else { &gaussian };
            let (images, labels) = (&batch.images, &batch.labels);
            let (terms, ..) = regularizer(direction, network, images, labels, options.h, &streams)?;
            let norms = terms.values.iter().map(|difference| difference / options.h);
            if draw == 0 {
                norms.for_each(|norm| gradient_sign.add(norm));
            } else {
                squares.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm * norm);
            }
            done += 1;
        }
        let mean = |sum: &f64| (dimension as f64 * sum / options.draws as f64).sqrt();
        squares.iter().map(mean).for_each(|norm| frobenius.add(norm));
    }
    if ranks.any(stopped) {
        return Ok(None);
    }
    let mut sums =
        [frobenius.values, frobenius.squares, gradient_sign.values, gradient_sign.squares];
    ranks.sum(&mut sums);
    let [frobenius, gradient_sign] =
        [[sums[0], sums[1]], [sums[2], sums[3]]].map(|[values, squares]| Sums { values, squares });
    let n = positions.len();
    Ok(Some(Curvature {
        frobenius: frobenius.mean(n),
        gradient_sign: gradient_sign.mean(n),
        frobenius_error: frobenius.error(n),
        gradient_sign_error: gradient_sign.error(n),
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cure_data::{DataSpec, Split};
    use cure_network::{Architecture, Normalization};
    use cure_tensor::{Tensor, ops};

    use super::*;

    /// Against H itself, column by column, where the loss is smooth and h small.
    #[test]
    fn both_figures_are_those_of_the_exact_hessian() {
        let digits = "digits".parse::<DataSpec>().unwrap().load(Split::Train).unwrap();
        let architecture = Architecture::named("mlp+softplus=5", 10, [1, 8, 8]).unwrap();
        let network = Network::random(architecture, Normalization::none(1), 3).unwrap();
        let options = CurvatureOptions { samples: 4, draws: 800, h: 0.02, ..Default::default() };
        let found =
            measure(&network, &digits, &options, 0, &Ranks::alone(), |_, _| true).unwrap().unwrap();

        let batch = digits.batch(&spread(4, digits.len())).unwrap();
        let frozen = network.frozen().unwrap();
        let pass = frozen.linearize(&batch.images).unwrap();
        let mut squares = [0.0; 4];
        for pixel in 0..64 {
            let unit = (0..4 * 64).map(|at| if at % 64 == pixel { 1.0 } else { 0.0 }).collect();
            let unit = Tensor::new(&[4, 1, 8, 8], unit).unwrap();
            let column = pass.hessian_vector(&batch.labels, &unit).unwrap();
            let norms = ops::sample_l2(&column).unwrap();
            squares.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm * norm);
        }
        let frobenius = squares.iter().map(|sum: &f64| sum.sqrt()).sum::<f64>() / 4.0;
        assert!((found.frobenius / frobenius - 1.0).abs() < 0.05, "{found:?}, {frobenius}");

        let loss = ops::cross_entropy(pass.logits(), &batch.labels).unwrap();
        let z = ops::direction_of_sign(&pass.pullback(&loss.residual).unwrap()).unwrap();
        let along = pass.hessian_vector(&batch.labels, &z).unwrap();
        let norms = ops::sample_l2(&along).unwrap();
        let exact = norms.iter().sum::<f64>() / 4.0;
        assert!((found.gradient_sign / exact - 1.0).abs() < 0.02, "{found:?}, {exact}");
        let deviations: f64 = norms.iter().map(|norm| (norm - exact).powi(2)).sum();
        let error = (deviations / 3.0 / 4.0).sqrt();
        assert!(
            (found.gradient_sign_error.unwrap() / error - 1.0).abs() < 0.05,
            "{found:?}, {error}"
        );
        let options = CurvatureOptions { samples: 1, draws: 1, ..options };
        let one = measure(&network, &digits, &options, 0, &Ranks::alone(), |_, _| true);
        assert_eq!(one.unwrap().unwrap().frobenius_error, None);

        // The same whenever it is asked, and not at all for who asks to stop.
        let options = CurvatureOptions { samples: 4, draws: 800, ..options };
        let again =
            measure(&network, &digits, &options, 0, &Ranks::alone(), |_, _| true).unwrap().unwrap();
        assert_eq!(again, found);
        assert!(
            measure(&network, &digits, &options, 0, &Ranks::alone(), |done, _| done < 3)
                .unwrap()
                .is_none()
        );
    }
}

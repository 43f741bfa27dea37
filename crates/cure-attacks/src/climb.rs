//! The walk of projected gradient ascent without its judgement: for training, which takes the last
//! point whatever it is, and climbs other things than attacks do.

use cure_tensor::{Tensor, ops};

use crate::ball::Ball;
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::streams::Streams;

/// Steps up a gradient that the caller gives, each cut to [0, 1] and, where there is one, to a ball around
/// the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climb {
    /// The norm of ball and steps.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels. None: no ball.
    pub epsilon: Option<Epsilon>,
    /// The length of a step in pixels. It may be over ε.
    pub step: Epsilon,
    /// Number of steps.
    pub steps: usize,
    /// The radius in pixels of the ball that a random start is drawn from, uniformly. None: the image
    /// itself.
    pub start: Option<Epsilon>,
}

impl Climb {
    /// Whether the lengths fit images of `dimension` = C·H·W pixels, where that is known.
    ///
    /// # Errors
    /// Naming the length, the range and the likely meaning.
    pub fn check(&self, dimension: Option<usize>) -> Result<()> {
        for (name, length) in
            [("ε", self.epsilon), ("step", Some(self.step)), ("the random start", self.start)]
        {
            length.map_or(Ok(()), |length| length.check_within(name, self.norm, dimension))?;
        }
        Ok(())
    }

    /// Where it starts. `draw` tells apart starts of the same sample, such as those of several epochs.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]`, pixels in [0, 1], as the result; the indices of `streams`: `N`.
    ///
    /// # Errors
    /// If [`Climb::check`] refuses, there is not one index for each image, or a pixel is outside [0, 1].
    pub fn start(&self, images: &Tensor, streams: &Streams<'_>, draw: usize) -> Result<Tensor> {
        self.check(Some(images.shape().iter().skip(1).product()))?;
        let images = check::pixels(images)?;
        let count = images.shape().first().copied().unwrap_or(0);
        if streams.len() != count {
            let found = streams.len();
            return Err(AttackError::Count { what: "indices", count: found, images: count });
        }
        let Some(radius) = self.start else { return Ok(images) };
        let (centers, rows) = (images.host(), (0..count).collect::<Vec<_>>());
        let ball = Ball::new(self.norm, radius, &centers, count, None);
        ball.random_start(&rows, images.shape(), streams, draw, false)
    }

    /// One step from `points` along sign(g) in ℓ∞ (sign(0) = 0), g/‖g‖ in ℓ2 and ℓ1, then back into
    /// ball and box.
    ///
    /// # Shapes
    /// All `[N, C, H, W]`.
    ///
    /// # Errors
    /// If they differ in shape.
    pub fn step(&self, images: &Tensor, points: &Tensor, gradients: &Tensor) -> Result<Tensor> {
        for tensor in [points, gradients] {
            if tensor.shape() != images.shape() {
                return Err(cure_tensor::TensorError::ShapeMismatch {
                    operation: "a step of ascent",
                    expected: format!("{:?}, as the images", images.shape()),
                    found: tensor.shape().to_vec(),
                }
                .into());
            }
        }
        // Finite: a step is a share of it.
        let epsilon = self.epsilon.map_or(f64::MAX, Epsilon::value);
        if self.norm == Norm::Linf {
            // What Ball::step does too, without images on the host.
            return Ok(ops::sign_step(points, images, gradients, self.step.value(), epsilon)?);
        }
        let (centers, count) = (images.host(), images.shape().first().copied().unwrap_or(0));
        let ball = Ball {
            norm: self.norm,
            epsilon,
            centers: &centers,
            length: centers.len() / count.max(1),
            region: None,
        };
        let rows: Vec<usize> = (0..count).collect();
        ball.step(&rows, [points, images, gradients], self.step.value())
    }

    /// The last point of a climb: all samples take all steps, and nothing is asked of the point where
    /// they end.
    ///
    /// Cost: what `gradient` costs, `steps` times.
    ///
    /// # Errors
    /// Those of [`Climb::start`], [`Climb::step`] and `gradient`.
    pub fn run<E: From<AttackError>>(
        &self,
        images: &Tensor,
        streams: &Streams<'_>,
        draw: usize,
        mut gradient: impl FnMut(&Tensor) -> std::result::Result<Tensor, E>,
    ) -> std::result::Result<Tensor, E> {
        let mut points = self.start(images, streams, draw)?;
        for _ in 0..self.steps {
            points = self.step(images, &points, &gradient(&points)?)?;
        }
        Ok(points)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn climb(step: f64, steps: usize, start: Option<f64>) -> Climb {
        let [epsilon, step] = [0.1, step].map(|length| Epsilon::new(length).unwrap());
        let start = start.map(|radius| Epsilon::new(radius).unwrap());
        Climb { norm: Norm::Linf, epsilon: Some(epsilon), step, steps, start }
    }

    #[test]
    fn steps_are_cut_to_the_ball_and_to_the_box() {
        let images = Tensor::new(&[1, 1, 1, 3], vec![0.5, 0.95, 0.02]).unwrap();
        let gradient = |points: &Tensor| {
            Ok::<_, AttackError>(Tensor::new(points.shape(), vec![3.0, 0.1, -2.0]).unwrap())
        };
        let streams = Streams::new(0, &[7]);
        let one = climb(0.06, 1, None).run(&images, &streams, 0, gradient).unwrap();
        let two = climb(0.06, 2, None).run(&images, &streams, 0, gradient).unwrap();
        for (found, expected) in [(&one, [0.56, 1.0, 0.0]), (&two, [0.6, 1.0, 0.0])] {
            for (found, expected) in found.host().iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    #[test]
    fn without_a_ball_steps_are_cut_to_the_box_alone() {
        let images = Tensor::new(&[1, 1, 1, 2], vec![0.3, 0.9]).unwrap();
        for (norm, expected) in [
            (Norm::Linf, [0.9, 1.0]),
            (Norm::L2, [0.66, 1.0]),
            (Norm::L1, [0.3 + 0.6 * 3.0 / 7.0, 1.0]),
        ] {
            let climb = Climb { norm, epsilon: None, ..climb(0.6, 1, None) };
            let gradient = Tensor::new(&[1, 1, 1, 2], vec![3.0, 4.0]).unwrap();
            let found = climb.step(&images, &images, &gradient).unwrap();
            for (found, expected) in found.host().iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{norm}: {found} {expected}");
            }
        }
    }

    #[test]
    fn starts_depend_on_the_sample_and_the_draw_alone() {
        let images = Tensor::full(&[2, 1, 2, 2], 0.5);
        let climb = climb(0.1, 1, Some(0.2));
        let start = |indices: &[usize], draw| {
            climb.start(&images, &Streams::new(3, indices), draw).unwrap().host().into_owned()
        };
        let (first, turned) = (start(&[4, 9], 0), start(&[9, 4], 0));
        assert_eq!(first[..4], turned[4..]);
        assert_eq!(first[4..], turned[..4]);
        assert_ne!(first, start(&[4, 9], 1));
        // The start's radius is its own.
        assert!(first.iter().any(|value| (value - 0.5).abs() > 0.1));
        assert!(climb.start(&images, &Streams::new(3, &[1]), 0).is_err());
    }
}

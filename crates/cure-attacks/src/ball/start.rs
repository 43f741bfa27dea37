//! Random points of the ball.

use cure_tensor::Tensor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Ball, inverse, some_of};
use crate::epsilon::Norm;
use crate::error::Result;
use crate::region::keep_free;
use crate::streams::Streams;

impl Ball<'_> {
    /// A random point around each of `rows`, uniform in the ball (or, `on_sphere`, at distance ε in
    /// a random direction; in ℓ∞ a corner), then clipped to the box.
    ///
    /// # Shapes
    /// `images` is the shape of the whole batch, `[N, C, H, W]`; the result `[rows, C, H, W]`.
    pub(crate) fn random_start(
        &self,
        rows: &[usize],
        images: &[usize],
        streams: &Streams<'_>,
        restart: usize,
        on_sphere: bool,
    ) -> Result<Tensor> {
        let values = self.place(rows, |slot, _, perturbation| {
            let random = &mut streams.stream(rows[slot], restart);
            let ball = self.of_row(rows[slot]);
            match self.mask(rows[slot]) {
                None => ball.random_perturbation(random, on_sphere, perturbation),
                // Uniform in the ball of those pixels that may change.
                Some(mask) => {
                    let mut free = vec![0.0; mask.iter().filter(|&&free| free).count()];
                    ball.random_perturbation(random, on_sphere, &mut free);
                    let places = perturbation.iter_mut().zip(mask).filter(|(_, free)| **free);
                    places.zip(free).for_each(|((value, _), drawn)| *value = drawn);
                }
            }
        });
        some_of(images, values, rows.len())
    }

    /// A random point at distance ε of each of `rows`, then clipped to the box: in ℓ∞ a uniform one
    /// stretched until its largest change is ε (as AutoAttack starts), else a uniform direction.
    ///
    /// # Shapes
    /// As [`Ball::random_start`].
    pub(crate) fn border_start(
        &self,
        rows: &[usize],
        images: &[usize],
        streams: &Streams<'_>,
        restart: usize,
    ) -> Result<Tensor> {
        if self.norm != Norm::Linf {
            return self.random_start(rows, images, streams, restart, true);
        }
        let values = self.place(rows, |slot, _, perturbation| {
            let random = &mut streams.stream(rows[slot], restart);
            perturbation.iter_mut().for_each(|value| *value = 2.0 * random.random::<f64>() - 1.0);
            keep_free(self.mask(rows[slot]), perturbation);
            let factor =
                self.radius(rows[slot]) * inverse(Norm::Linf.of(perturbation.iter().copied()));
            perturbation.iter_mut().for_each(|value| *value *= factor);
        });
        some_of(images, values, rows.len())
    }

    fn random_perturbation(&self, random: &mut ChaCha8Rng, on_sphere: bool, out: &mut [f64]) {
        match self.norm {
            Norm::Linf => out.iter_mut().for_each(|value| {
                let coordinate = 2.0 * random.random::<f64>() - 1.0;
                *value = self.epsilon * if on_sphere { coordinate.signum() } else { coordinate };
            }),
            Norm::L2 | Norm::L1 => {
                direction(self.norm, random, out);
                let share = if on_sphere {
                    1.0
                } else {
                    random.random::<f64>().powf(1.0 / out.len().max(1) as f64)
                };
                out.iter_mut().for_each(|value| *value *= self.epsilon * share);
            }
        }
    }
}

/// A direction of unit length: uniform on the sphere in ℓ2, on the surface of the cross-polytope
/// in ℓ1.
pub(crate) fn direction(norm: Norm, random: &mut ChaCha8Rng, out: &mut [f64]) {
    // The arguments of the logarithms are in (0, 1].
    let mut exponential = || -(1.0 - random.random::<f64>()).ln();
    for value in &mut *out {
        *value = exponential();
    }
    for value in &mut *out {
        let turn = random.random::<f64>();
        match norm {
            // Box and Muller's transform.
            Norm::L2 | Norm::Linf => {
                *value = (2.0 * *value).sqrt() * (std::f64::consts::TAU * turn).cos()
            }
            Norm::L1 if turn < 0.5 => *value = -*value,
            Norm::L1 => {}
        }
    }
    let factor = inverse(norm.of(out.iter().copied()));
    out.iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In d dimensions a uniform point of the unit ball has mean radius d/(d + 1), and mean 0.
    #[test]
    fn random_points_fill_the_ball_evenly() {
        let (d, n) = (3, 20_000);
        let indices: Vec<usize> = (0..n).collect();
        let streams = Streams::new(5, &indices);
        let (mut radius, mut mean) = (0.0, vec![0.0; d]);
        for row in 0..n {
            let mut point = vec![0.0; d];
            let mut random = streams.stream(row, 0);
            direction(Norm::L2, &mut random, &mut point);
            let share = random.random::<f64>().powf(1.0 / d as f64);
            point.iter_mut().for_each(|value| *value *= share);
            radius += Norm::L2.of(point.iter().copied()) / n as f64;
            mean.iter_mut().zip(&point).for_each(|(mean, value)| *mean += value / n as f64);
        }
        assert!((radius - 0.75).abs() < 0.01, "{radius}");
        assert!(mean.iter().all(|mean| mean.abs() < 0.02), "{mean:?}");
    }
}

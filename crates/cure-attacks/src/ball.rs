//! The ε-ball around a clean image, inside the box [0, 1]ᵈ: steps, projections, random starts.

use cure_tensor::Tensor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::streams::Streams;

/// All perturbations of norm at most ε of the images of a batch.
pub(crate) struct Ball<'a> {
    pub(crate) norm: Norm,
    pub(crate) epsilon: f64,
    /// The clean images, one after the other.
    pub(crate) centers: &'a [f32],
    /// Pixels of an image, all channels.
    pub(crate) length: usize,
}

impl<'a> Ball<'a> {
    /// Of radius ε around `count` images.
    pub(crate) fn new(norm: Norm, epsilon: Epsilon, centers: &'a [f32], count: usize) -> Self {
        Self { norm, epsilon: epsilon.value(), centers, length: centers.len() / count.max(1) }
    }

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
            match self.norm {
                Norm::Linf => perturbation.iter_mut().for_each(|value| {
                    let coordinate = 2.0 * random.random::<f64>() - 1.0;
                    *value =
                        self.epsilon * if on_sphere { coordinate.signum() } else { coordinate };
                }),
                Norm::L2 | Norm::L1 => {
                    direction(self.norm, random, perturbation);
                    let share = if on_sphere {
                        1.0
                    } else {
                        random.random::<f64>().powf(1.0 / self.length.max(1) as f64)
                    };
                    perturbation.iter_mut().for_each(|value| *value *= self.epsilon * share);
                }
            }
        });
        let mut shape = images.to_vec();
        shape[..1].fill(rows.len());
        Ok(Tensor::new(&shape, values)?)
    }

    /// One step of length `step` from each `point` up its loss, then back into ball and box:
    /// along sign(g) in ℓ∞ (sign(0) = 0), along g/‖g‖ in ℓ2 and ℓ1.
    ///
    /// # Shapes
    /// `points`, `gradients`: `[rows, C, H, W]`; gradients finite and not zero.
    pub(crate) fn step(
        &self,
        rows: &[usize],
        points: &Tensor,
        gradients: &Tensor,
        step: f64,
    ) -> Result<Tensor> {
        let (from, gradients) = (points.host(), gradients.host());
        let values = self.place(rows, |slot, center, perturbation| {
            let range = slot * self.length..(slot + 1) * self.length;
            let (from, gradient) = (&from[range.clone()], &gradients[range]);
            let unit = match self.norm {
                Norm::Linf => 1.0,
                norm => 1.0 / norm.of(gradient.iter().map(|&g| f64::from(g))),
            };
            for (i, value) in perturbation.iter_mut().enumerate() {
                let direction = match self.norm {
                    Norm::Linf => sign(gradient[i]),
                    Norm::L2 | Norm::L1 => unit * f64::from(gradient[i]),
                };
                *value = f64::from(from[i]) - f64::from(center[i]) + step * direction;
            }
        });
        Ok(Tensor::new(points.shape(), values)?)
    }

    /// For each row the perturbation that `perturb(slot, center, perturbation)` asks for, cut to
    /// the ball, added to the centre and cut to the box.
    fn place(
        &self,
        rows: &[usize],
        perturb: impl Fn(usize, &[f32], &mut [f64]) + Sync,
    ) -> Vec<f32> {
        let mut output = vec![0.0; rows.len() * self.length];
        let slots = output.par_chunks_exact_mut(self.length.max(1)).enumerate();
        slots.for_each_init(
            || vec![0.0; self.length],
            |perturbation, (slot, out)| {
                let center = &self.centers[rows[slot] * self.length..][..self.length];
                perturb(slot, center, perturbation);
                self.shorten(perturbation);
                self.add(center, perturbation, out);
            },
        );
        output
    }

    /// center + perturbation in `f32`, cut to the box. Rounding to the nearest may leave the ball
    /// (at ε = 1/255 the last bit of a bright pixel is 1.5e-5 of ε); where it does, it is done
    /// towards the centre.
    fn add(&self, center: &[f32], perturbation: &[f64], out: &mut [f32]) {
        let fill = |out: &mut [f32], limit: &dyn Fn(f64) -> f64| {
            for ((out, &center), &change) in out.iter_mut().zip(center).zip(perturbation) {
                *out = moved(center, change, limit(change)).clamp(0.0, 1.0);
            }
        };
        match self.norm {
            Norm::Linf => fill(out, &|_| self.epsilon),
            norm => {
                fill(out, &|_| f64::INFINITY);
                let changes = out.iter().zip(center).map(|(&a, &b)| f64::from(a) - f64::from(b));
                if norm.of(changes) > self.epsilon {
                    fill(out, &f64::abs);
                }
            }
        }
    }

    /// The nearest perturbation of norm at most ε.
    fn shorten(&self, perturbation: &mut [f64]) {
        match self.norm {
            Norm::Linf => {
                for value in perturbation {
                    *value = value.clamp(-self.epsilon, self.epsilon);
                }
            }
            Norm::L2 => {
                let length = Norm::L2.of(perturbation.iter().copied());
                if length > self.epsilon {
                    let factor = self.epsilon / length;
                    perturbation.iter_mut().for_each(|value| *value *= factor);
                }
            }
            Norm::L1 => project_l1(self.epsilon, perturbation),
        }
    }
}

/// The nearest point, in ℓ2, of ℓ1 norm at most `radius`: every size falls by one threshold, down to
/// zero (Duchi et al. 2008).
fn project_l1(radius: f64, values: &mut [f64]) {
    if Norm::L1.of(values.iter().copied()) <= radius {
        return;
    }
    let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut threshold) = (0.0, 0.0);
    for (index, &size) in sizes.iter().enumerate() {
        sum += size;
        let candidate = (sum - radius) / (index + 1) as f64;
        if candidate >= size {
            break;
        }
        threshold = candidate;
    }
    for value in values {
        *value = value.signum() * (value.abs() - threshold).max(0.0);
    }
}

fn sign(value: f32) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// The `f32` nearest to center + change, or its neighbour towards the centre if it is further
/// away than `limit` ≥ |change|.
fn moved(center: f32, change: f64, limit: f64) -> f32 {
    let point = (f64::from(center) + change) as f32;
    if (f64::from(point) - f64::from(center)).abs() <= limit {
        point
    } else if point > center {
        point.next_down()
    } else {
        point.next_up()
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
    let length = norm.of(out.iter().copied());
    let factor = if length > 0.0 { 1.0 / length } else { 0.0 };
    out.iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_stays_within_the_limit(center in 0f32..=1.0, change in -1f64..=1.0) {
            let found = |limit| f64::from(moved(center, change, limit)) - f64::from(center);
            prop_assert!(found(change.abs()).abs() <= change.abs());
            // And loses no more than one unit in the last place below 2; half of it unlimited.
            prop_assert!((found(change.abs()) - change).abs() <= f64::from(f32::EPSILON));
            prop_assert!((found(f64::INFINITY) - change).abs() <= f64::from(f32::EPSILON) / 2.0);
        }
    }

    proptest! {
        /// Against the definition: no point of the ball is nearer, and the result is in it.
        #[test]
        fn the_nearest_point_of_the_cross_polytope(
            values in proptest::collection::vec(-2f64..2.0, 1..12), radius in 0.1f64..3.0, seed: u64,
        ) {
            let mut found = values.clone();
            project_l1(radius, &mut found);
            prop_assert!(Norm::L1.of(found.iter().copied()) <= radius * (1.0 + 1e-12));
            let apart = |a: &[f64]| Norm::L2.of(a.iter().zip(&values).map(|(a, b)| a - b));
            let mut other = vec![0.0; values.len()];
            direction(Norm::L1, &mut Streams::new(seed, &[0]).stream(0, 0), &mut other);
            other.iter_mut().for_each(|value| *value *= radius);
            prop_assert!(apart(&found) <= apart(&other) + 1e-12);
            // And of the points between: the segment towards any other point leads away.
            let between: Vec<f64> = found.iter().zip(&other).map(|(f, o)| 0.99 * f + 0.01 * o).collect();
            prop_assert!(apart(&found) <= apart(&between) + 1e-12);
        }
    }

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

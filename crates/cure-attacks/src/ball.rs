//! The ε-ball around a clean image, inside the box [0, 1]ᵈ: steps, projections, random starts.

use cure_tensor::Tensor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::region::Region;
use crate::streams::Streams;

/// All perturbations of norm at most ε of the images of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Ball<'a> {
    pub(crate) norm: Norm,
    pub(crate) epsilon: f64,
    /// The clean images, one after the other.
    pub(crate) centers: &'a [f32],
    /// Pixels of an image, all channels.
    pub(crate) length: usize,
    /// What may change; all of it if there is none.
    region: Option<&'a Region>,
}

impl<'a> Ball<'a> {
    /// Of radius ε around `count` images.
    pub(crate) fn new(norm: Norm, epsilon: Epsilon, centers: &'a [f32], count: usize) -> Self {
        let length = centers.len() / count.max(1);
        Self { norm, epsilon: epsilon.value(), centers, length, region: None }
    }

    /// The part of it that lies in `region`.
    pub(crate) fn within(self, region: Option<&'a Region>) -> Self {
        Self { region, ..self }
    }

    /// The ball of one sample: ε is its own radius.
    fn of_row(&self, row: usize) -> Self {
        let radii = self.region.and_then(|region| region.radii.as_deref());
        Self { epsilon: radii.map_or(self.epsilon, |radii| radii[row].value()), ..*self }
    }

    fn mask(&self) -> Option<&'a [bool]> {
        self.region.and_then(|region| region.mask.as_deref())
    }

    /// Whether `point` is within ε of the centre of `row`.
    pub(crate) fn contains(&self, row: usize, point: &[f32]) -> bool {
        let center = &self.centers[row * self.length..][..self.length];
        let changes = point.iter().zip(center).map(|(&a, &b)| f64::from(a) - f64::from(b));
        self.norm.of(changes) <= self.of_row(row).epsilon
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
            let ball = self.of_row(rows[slot]);
            match self.mask() {
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
            let factor = self.epsilon * inverse(Norm::Linf.of(perturbation.iter().copied()));
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

    /// Each point moved by what `change` says of its row, then back into ball and box.
    ///
    /// # Shapes
    /// `points`: `[rows, C, H, W]`; a change is C·H·W long.
    pub(crate) fn shift<'b>(
        &self,
        rows: &[usize],
        points: &Tensor,
        change: impl Fn(usize) -> &'b [f64] + Sync,
    ) -> Result<Tensor> {
        let from = points.host();
        let values = self.place(rows, |slot, center, perturbation| {
            let from = &from[slot * self.length..(slot + 1) * self.length];
            let places = perturbation.iter_mut().zip(from).zip(center).zip(change(rows[slot]));
            for (((value, &from), &center), change) in places {
                *value = f64::from(from) - f64::from(center) + change;
            }
        });
        Ok(Tensor::new(points.shape(), values)?)
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
            // A sample's own radius takes its step along.
            let step = step * (self.of_row(rows[slot]).epsilon / self.epsilon);
            self.ascend([from, center, gradient], step, perturbation);
        });
        Ok(Tensor::new(points.shape(), values)?)
    }

    /// APGD's step: with z the end of a step of length `steps[slot]` as in [`Ball::step`], to
    /// x + share·(z − x) + (1 − share)·(x − before), then back into ball and box. Where the gradient
    /// is zero only the second part moves.
    ///
    /// # Shapes
    /// `points`, `before`, `gradients`: `[rows, C, H, W]`, finite.
    pub(crate) fn momentum_step(
        &self,
        rows: &[usize],
        [points, before, gradients]: [&Tensor; 3],
        steps: &[f64],
        share: f64,
    ) -> Result<Tensor> {
        let (from, before, gradients) = (points.host(), before.host(), gradients.host());
        let values = self.place(rows, |slot, center, perturbation| {
            let range = slot * self.length..(slot + 1) * self.length;
            let (from, before) = (&from[range.clone()], &before[range.clone()]);
            self.ascend([from, center, &gradients[range]], steps[slot], perturbation);
            self.shorten(perturbation);
            for (i, value) in perturbation.iter_mut().enumerate() {
                let [center, x, before] = [center[i], from[i], before[i]].map(f64::from);
                let z = (center + *value).clamp(0.0, 1.0);
                *value = x - center + share * (z - x) + (1.0 - share) * (x - before);
            }
        });
        Ok(Tensor::new(points.shape(), values)?)
    }

    /// The perturbation a step further up, not cut yet. A zero gradient leaves it where it is.
    fn ascend(&self, [from, center, gradient]: [&[f32]; 3], step: f64, perturbation: &mut [f64]) {
        let unit = match self.norm {
            Norm::Linf => 1.0,
            norm => inverse(norm.of(gradient.iter().map(|&g| f64::from(g)))),
        };
        for (i, value) in perturbation.iter_mut().enumerate() {
            let direction = match self.norm {
                Norm::Linf => sign(gradient[i]),
                Norm::L2 | Norm::L1 => unit * f64::from(gradient[i]),
            };
            *value = f64::from(from[i]) - f64::from(center[i]) + step * direction;
        }
    }

    /// For each row the perturbation that `perturb(slot, center, perturbation)` asks for, cut to
    /// the ball, added to the centre and cut to the box.
    pub(crate) fn place(
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
                if let Some(mask) = self.mask() {
                    let fixed = perturbation.iter_mut().zip(mask).filter(|(_, free)| !**free);
                    fixed.for_each(|(value, _)| *value = 0.0);
                }
                let ball = self.of_row(rows[slot]);
                ball.shorten(perturbation);
                ball.add(center, perturbation, out);
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

/// As many images of a batch of shape `images` as there are rows.
pub(crate) fn some_of(images: &[usize], values: Vec<f32>, rows: usize) -> Result<Tensor> {
    let mut shape = images.to_vec();
    shape[..1].fill(rows);
    Ok(Tensor::new(&shape, values)?)
}

/// 1/length, and 0 of nothing.
pub(crate) fn inverse(length: f64) -> f64 {
    if length > 0.0 { 1.0 / length } else { 0.0 }
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
    let factor = inverse(norm.of(out.iter().copied()));
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

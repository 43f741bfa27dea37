//! What lies outside the ball is cut to its nearest point, in double and in single precision.

use cure_tensor::ops::rounded_within;

use super::Ball;
use crate::epsilon::Norm;

impl Ball<'_> {
    /// center + perturbation in `f32`, cut to the box. Rounding to the nearest may leave the ball
    /// (at ε = 1/255 the last bit of a bright pixel is 1.5e-5 of ε); where it does, it is done
    /// towards the centre.
    pub(super) fn add(&self, center: &[f32], perturbation: &[f64], out: &mut [f32]) {
        let fill = |out: &mut [f32], limit: &dyn Fn(f64) -> f64| {
            for ((out, &center), &change) in out.iter_mut().zip(center).zip(perturbation) {
                *out = rounded_within(center, change, limit(change)).clamp(0.0, 1.0);
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
    pub(super) fn shorten(&self, perturbation: &mut [f64]) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ball::direction;
    use crate::streams::Streams;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rounding_stays_within_the_limit(center in 0f32..=1.0, change in -1f64..=1.0) {
            let found = |limit| f64::from(rounded_within(center, change, limit)) - f64::from(center);
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
}

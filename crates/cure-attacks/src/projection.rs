//! The nearest point of a hyperplane inside the box [0, 1]ᵈ, exactly, by sorting.

use crate::epsilon::Norm;

/// The change of least norm that takes `point` onto a hyperplane and leaves it in the box: w·d =
/// −`gap`, where `gap` = w·x − b is what the point's side of the hyperplane is worth. If the box
/// does not reach the hyperplane it is the change that gets nearest to it. Pixels that do not
/// matter (w = 0) stay where they are.
///
/// Every pixel moves against sign(gap)·w, at most by the room it has. In ℓ∞ each moves by λ, in ℓ2
/// by λ·|w|, where there is room for that; λ comes from sorting the pixels by the λ that exhausts
/// their room. In ℓ1 the pixels of largest |w| move first. (Croce and Hein 2020, section 2.)
///
/// # Shapes
/// `point`, `normal`, `change`: the pixels of one image; `gap` and `normal` are finite.
pub(crate) fn onto_hyperplane(
    norm: Norm,
    point: &[f32],
    normal: &[f32],
    gap: f64,
    change: &mut [f64],
) {
    let side = if gap < 0.0 { -1.0 } else { 1.0 };
    // The direction that each pixel moves in, and how far it can.
    let direction =
        |i: usize| if normal[i] == 0.0 { 0.0 } else { -side * f64::from(normal[i]).signum() };
    let room = |i: usize| {
        let value = f64::from(point[i]);
        if direction(i) > 0.0 { 1.0 - value } else { value }
    };
    let weight = |i: usize| f64::from(normal[i]).abs();
    let speed = |i: usize| if norm == Norm::Linf { 1.0 } else { weight(i) };
    let moving: Vec<usize> = (0..point.len()).filter(|&i| normal[i] != 0.0).collect();
    change.fill(0.0);
    if norm == Norm::L1 {
        heaviest_first(moving, weight, gap.abs(), |i, left| {
            let length = room(i).min(left);
            change[i] = direction(i) * length;
            length
        });
        return;
    }
    let factor =
        common_factor(&moving, |i| room(i) / speed(i), |i| weight(i) * speed(i), gap.abs());
    for &i in &moving {
        change[i] = direction(i) * (factor * speed(i)).min(room(i));
    }
}

/// The λ at which Σ slope·min(λ, reach) = `needed`; infinite if there is none.
fn common_factor(
    moving: &[usize],
    reach: impl Fn(usize) -> f64,
    slope: impl Fn(usize) -> f64,
    needed: f64,
) -> f64 {
    let mut order: Vec<(f64, f64)> = moving.iter().map(|&i| (reach(i), slope(i))).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Sums from the far end, not differences from the whole: nothing cancels.
    let mut free = vec![0.0; order.len()];
    let mut sum = 0.0;
    for (free, (_, slope)) in free.iter_mut().zip(&order).rev() {
        sum += slope;
        *free = sum;
    }
    let mut exhausted = 0.0;
    for ((reach, slope), free) in order.into_iter().zip(free) {
        if exhausted + reach * free >= needed {
            return (needed - exhausted) / free;
        }
        exhausted += reach * slope;
    }
    f64::INFINITY
}

/// Spends `needed` on the pixels of largest weight first; `spend` moves one at most by the length
/// that is left and says how far it got.
fn heaviest_first(
    mut moving: Vec<usize>,
    weight: impl Fn(usize) -> f64,
    mut needed: f64,
    mut spend: impl FnMut(usize, f64) -> f64,
) {
    moving.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)));
    for i in moving {
        if needed <= 0.0 {
            break;
        }
        needed -= weight(i) * spend(i, needed / weight(i));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A pixel, its weight; many at the border of the box or without influence.
    fn pixel() -> impl Strategy<Value = (f32, f32)> {
        let value = prop_oneof![3 => 0f32..=1.0, 1 => Just(0.0), 1 => Just(1.0)];
        let weight = prop_oneof![4 => -2f32..2.0, 1 => -1e-4f32..1e-4, 1 => Just(0.0)];
        (value, weight)
    }

    fn projected(norm: Norm, pixels: &[(f32, f32)], gap: f64) -> Vec<f64> {
        let (point, normal): (Vec<f32>, Vec<f32>) = pixels.iter().copied().unzip();
        let mut change = vec![f64::NAN; pixels.len()];
        onto_hyperplane(norm, &point, &normal, gap, &mut change);
        change
    }

    /// The most that w·x can fall, or rise for a negative gap, inside the box.
    fn possible(pixels: &[(f32, f32)], gap: f64) -> f64 {
        let term = |&(value, weight): &(f32, f32)| {
            let (value, weight) = (f64::from(value), f64::from(weight));
            weight.abs() * if (weight > 0.0) == (gap >= 0.0) { value } else { 1.0 - value }
        };
        pixels.iter().map(term).sum()
    }

    fn reached(pixels: &[(f32, f32)], change: &[f64]) -> f64 {
        pixels.iter().zip(change).map(|(&(_, weight), d)| f64::from(weight) * d).sum()
    }

    proptest! {
        #[test]
        fn the_hyperplane_is_reached_inside_the_box(
            pixels in proptest::collection::vec(pixel(), 1..20), share in -1.5f64..1.5,
        ) {
            let gap = share.signum() * share.abs() * possible(&pixels, share);
            for norm in [Norm::Linf, Norm::L2, Norm::L1] {
                let change = projected(norm, &pixels, gap);
                for (&(value, _), d) in pixels.iter().zip(&change) {
                    let value = f64::from(value) + d;
                    prop_assert!((-1e-15..=1.0 + 1e-15).contains(&value), "{value}");
                }
                // Beyond the box's reach, as far as it goes.
                let expected = -gap.signum() * gap.abs().min(possible(&pixels, gap));
                let found = reached(&pixels, &change);
                prop_assert!((found - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "{norm} {found} {expected}");
            }
        }

        /// The conditions of Karush, Kuhn and Tucker in ℓ2, stated by exchanges: what one pixel gives
        /// up and another takes over, along the hyperplane and inside the box, never shortens the
        /// change. Such exchanges generate every feasible direction, and the problem is convex.
        #[test]
        fn no_exchange_shortens_the_change(
            pixels in proptest::collection::vec(pixel(), 2..10), share in -0.98f64..0.98,
        ) {
            let gap = share.signum() * share.abs() * possible(&pixels, share);
            let change = projected(Norm::L2, &pixels, gap);
            let taxed = projected(Norm::L1, &pixels, gap);
            let length = |change: &[f64]| Norm::L2.of(change.iter().copied());
            let sum = |change: &[f64]| Norm::L1.of(change.iter().copied());
            for i in 0..pixels.len() {
                for j in 0..pixels.len() {
                    for step in [1e-3, 1e-2, 0.1] {
                        let weights = (f64::from(pixels[i].1), f64::from(pixels[j].1));
                        let exchange = |change: &[f64]| {
                            let mut other = change.to_vec();
                            other[i] += step * weights.1;
                            other[j] -= step * weights.0;
                            let inside = |(d, &(value, _)): (&f64, &(f32, f32))| {
                                (0.0..=1.0).contains(&(f64::from(value) + d))
                            };
                            other.iter().zip(&pixels).all(inside).then_some(other)
                        };
                        if let Some(other) = exchange(&change) {
                            prop_assert!(length(&change) <= length(&other) + 1e-12);
                        }
                        if let Some(other) = exchange(&taxed) {
                            prop_assert!(sum(&taxed) <= sum(&other) + 1e-12);
                        }
                    }
                }
            }
        }

        /// In ℓ∞ a radius suffices exactly if all pixels moved by it, where there is room, reach
        /// the hyperplane.
        #[test]
        fn no_smaller_radius_reaches_the_hyperplane(
            pixels in proptest::collection::vec(pixel(), 1..20), share in -0.98f64..0.98,
        ) {
            let gap = share.signum() * share.abs() * possible(&pixels, share);
            let radius = Norm::Linf.of(projected(Norm::Linf, &pixels, gap).into_iter());
            let within = |radius: f64| -> f64 {
                let term = |&(value, weight): &(f32, f32)| {
                    let (value, weight) = (f64::from(value), f64::from(weight));
                    let room = if (weight > 0.0) == (gap >= 0.0) { value } else { 1.0 - value };
                    weight.abs() * room.min(radius)
                };
                pixels.iter().map(term).sum()
            };
            prop_assert!(within(radius) >= gap.abs() * (1.0 - 1e-12));
            prop_assert!(radius == 0.0 || within(radius * (1.0 - 1e-9)) < gap.abs());
        }
    }

    #[test]
    fn by_hand() {
        // x = (0.5, 0.5, 0.9), w = (1, 2, −1): w·x falls by 1.2; the third pixel can rise by 0.1.
        let pixels = [(0.5, 1.0), (0.5, 2.0), (0.9f32, -1.0)];
        let near = |found: Vec<f64>, expected: [f64; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        };
        // 3λ + 0.1 = 1.2
        near(projected(Norm::Linf, &pixels, 1.2), [-1.1 / 3.0, -1.1 / 3.0, 0.1]);
        // 5λ + 0.1 = 1.2
        near(projected(Norm::L2, &pixels, 1.2), [-0.22, -0.44, 0.1]);
        // The second pixel gives 1, the first (the first of equals) the rest.
        near(projected(Norm::L1, &pixels, 1.2), [-0.2, -0.5, 0.0]);
        near(projected(Norm::L2, &pixels, 0.0), [0.0; 3]);
        near(projected(Norm::L2, &pixels, -9.0), [0.5, 0.5, -0.9]);
    }
}

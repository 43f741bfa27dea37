//! The exact minimum of the quadratic model: a trust-region problem with the roles of length and
//! value exchanged.

use crate::error::Result;
use crate::hessian::Hessian;
use crate::krylov::{Krylov, grow};

/// The shortest r with gᵀr + rᵀHr/2 ≥ c, for H with `eigenvalues` λ_i and g with `components` g_i along
/// their vectors (those of eigenvalue 0 may be taken together as one). None if the model never
/// reaches c. In the units of c/g.
///
/// The shortest r is r_i = μg_i/(1 − μλ_i) for the μ in (0, 1/λ_max) at which the constraint holds
/// with equality: global by the S-lemma, since I − μH is positive. Where g has no part along the
/// largest eigenvalue, μ may end at 1/λ_max, and the rest is made up along its vector (the "hard
/// case" of Moré and Sorensen 1983).
pub fn nearest(eigenvalues: &[f64], components: &[f64], c: f64) -> Option<f64> {
    if c <= 0.0 {
        return Some(0.0);
    }
    let largest = eigenvalues.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let pairs = || eigenvalues.iter().zip(components).filter(|(_, g)| **g != 0.0);
    let reached = |mu: f64| -> f64 {
        let term = |(lambda, g): (&f64, &f64)| {
            let r = mu * g / (1.0 - mu * lambda);
            g * r + lambda * r * r / 2.0
        };
        pairs().map(term).sum()
    };
    let length = |mu: f64| -> f64 {
        pairs().map(|(lambda, g)| (mu * g / (1.0 - mu * lambda)).powi(2)).sum::<f64>()
    };
    // What the constraint would reach, over all of μ's range, without help along the largest vector.
    let end = if largest > 0.0 { 1.0 / largest } else { f64::INFINITY };
    let meets_the_largest = pairs().any(|(lambda, _)| *lambda == largest);
    if largest > 0.0 && !meets_the_largest && reached(end) < c {
        return Some((length(end) + 2.0 * (c - reached(end)) / largest).sqrt());
    }
    let mut low = 0.0;
    let mut high = match end.is_finite() {
        true => end,
        false => {
            // The model is concave: it rises ever more slowly and may stop below c.
            let squares: f64 = pairs().map(|(_, g)| g * g).sum();
            let mut high = c / squares;
            while reached(high) < c {
                low = high;
                high *= 2.0;
                if !high.is_finite() || high > 1e12 * c / squares {
                    return None;
                }
            }
            high
        }
    };
    // The constraint rises with μ.
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if reached(middle) < c {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Next to 1/λ_max the next μ may be too far: what is missing is made up along its vector there too.
    let missing = if largest > 0.0 { (c - reached(low)).max(0.0) / largest } else { 0.0 };
    Some((length(low) + 2.0 * missing).sqrt())
}

/// The quadratic model of a sample's loss in the space that g and H span, which holds its shortest r.
#[derive(Clone, Debug, PartialEq)]
pub struct QuadraticModel {
    eigenvalues: Vec<f64>,
    components: Vec<f64>,
}

impl QuadraticModel {
    /// The models of the samples `rows` with gradients g, from `steps` products with H at most; none
    /// where g is 0 or a product not finite. The space of a Hessian of low rank closes after a few.
    ///
    /// # Errors
    /// If the operator fails.
    pub fn of(
        hessian: &mut dyn Hessian,
        rows: &[usize],
        gradients: &[Vec<f64>],
        steps: usize,
    ) -> Result<Vec<Option<Self>>> {
        let mut spaces: Vec<Krylov> = gradients.iter().map(|g| Krylov::new(g.clone())).collect();
        for _ in 0..steps.min(hessian.dimension()) {
            grow(hessian, rows, &mut spaces, |_| true)?;
        }
        let model = |space: &Krylov| {
            if space.is_broken {
                return Ok(None);
            }
            let ritz = space.ritz()?;
            let component = |at: usize| space.start * ritz.vectors[(0, at)];
            let components = (0..ritz.values.len()).map(component).collect();
            Ok(Some(Self { eigenvalues: ritz.values, components }))
        };
        spaces.iter().map(model).collect()
    }

    /// The shortest r at which the model has risen by c, knowing also that H has the eigenvalue
    /// `curvature`, whether g has a part along it or not.
    pub fn nearest(&self, c: f64, curvature: f64) -> Option<f64> {
        let (mut values, mut parts) = (self.eigenvalues.clone(), self.components.clone());
        if values.iter().all(|value| *value < curvature) {
            values.push(curvature);
            parts.push(0.0);
        }
        nearest(&values, &parts, c)
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    /// Against a fine search over the circle, in two dimensions.
    #[test]
    fn shortest_by_search() {
        for (eigenvalues, g, c) in [
            ([3.0, -1.0], [0.4, 0.9], 0.5),
            ([0.5, 0.0], [1.0, -2.0], 2.0),
            ([2.0, 1.0], [1e-3, 0.5], 0.7),
            ([-0.1, -0.2], [1.0, 1.0], 0.3),
            // The hard case: no part along the largest.
            ([4.0, 0.5], [0.0, 0.2], 1.0),
        ] {
            let found = nearest(&eigenvalues, &g, c).unwrap_or(f64::NAN);
            let reach = |angle: f64| {
                let (along, bend) = (
                    g[0] * angle.cos() + g[1] * angle.sin(),
                    eigenvalues[0] * angle.cos().powi(2) + eigenvalues[1] * angle.sin().powi(2),
                );
                // The smallest positive root of along·s + bend·s²/2 = c.
                let under = along * along + 2.0 * bend * c;
                if under < 0.0 { f64::INFINITY } else { 2.0 * c / (along + under.sqrt()).max(0.0) }
            };
            let steps = 1_000_000;
            let shortest = (0..steps)
                .map(|i| reach(std::f64::consts::TAU * f64::from(i) / f64::from(steps)))
                .fold(f64::INFINITY, f64::min);
            assert!((found / shortest - 1.0).abs() < 1e-6, "{eigenvalues:?}: {found} {shortest}");
        }
    }

    /// However little of g is along the largest eigenvalue, the shortest r is that of none.
    #[test]
    fn nearly_the_hard_case() {
        let hard = nearest(&[4.0, 0.5], &[0.0, 0.2], 1.0).unwrap_or(f64::NAN);
        for tiny in [1e-9, 1e-12, 1e-15, 1e-16, 1e-18, 1e-30, 1e-200] {
            let found = nearest(&[4.0, 0.5], &[tiny, 0.2], 1.0).unwrap_or(f64::NAN);
            assert!((found / hard - 1.0).abs() < 1e-6, "{tiny}: {found} {hard}");
        }
    }

    #[test]
    fn a_concave_model_may_never_get_there() {
        // Its maximum is g²/2 = 0.5.
        assert_eq!(nearest(&[-1.0], &[1.0], 0.6), None);
        assert!(nearest(&[-1.0], &[1.0], 0.4).is_some());
        assert_eq!(nearest(&[-1.0], &[1.0], -0.1), Some(0.0));
        assert_eq!(nearest(&[-1.0], &[0.0], 0.1), None);
    }
}

//! Theorem 1: what gradient and curvature say of the distance to the decision boundary (Figs 4, 5).

mod crossing;
mod measure;
mod model;

pub use crossing::crossing;
pub use measure::{BoundsOptions, BoundsRow, Standing, Violation, bounds};
pub use model::{QuadraticModel, nearest};

use serde::{Deserialize, Serialize};

/// Theorem 1's bounds on ‖r*‖, the smallest ‖r‖ with ℓ(x + r) ≥ t for the quadratic model of the loss.
///
/// The theorem is about a two-class loss, for which t = log 2 is the boundary, and about the model
/// ℓ(x) + gᵀr + rᵀHr/2. With more classes a misclassified point has ℓ ≥ log 2 as well, but ℓ may be
/// over log 2 before the class changes: then the distance measured may be longer than the upper bound
/// allows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TheoremOne {
    /// ‖g‖/ν·(√(1 + 2νc/‖g‖²) − 1).
    pub lower: f64,
    /// |gᵀu|/ν·(√(1 + 2νc/(gᵀu)²) − 1).
    pub upper: f64,
    /// c/‖g‖ − 2νc²/‖g‖³, which is looser; it may be negative and then says nothing.
    pub simple_lower: f64,
    /// c/|gᵀu|, which is looser; infinite where g is orthogonal to u.
    pub simple_upper: f64,
}

impl TheoremOne {
    /// The bounds for c = t − ℓ(x) ≥ 0, ‖g‖ > 0, |gᵀu| and ν = λ_max(H) ≥ 0, u its unit eigenvector.
    /// Both are written as 2c/(a + √(a² + 2νc)), which is the paper's form and does not cancel as
    /// ν → 0, where they tend to c/‖g‖ and c/|gᵀu|.
    pub fn new(c: f64, gradient: f64, along: f64, curvature: f64) -> Self {
        let bound = |a: f64| match c == 0.0 {
            true => 0.0,
            false => 2.0 * c / (a + (a * a + 2.0 * curvature * c).sqrt()),
        };
        Self {
            lower: bound(gradient),
            upper: bound(along),
            simple_lower: c / gradient - 2.0 * curvature * (c / gradient).powi(2) / gradient,
            simple_upper: if c == 0.0 { 0.0 } else { c / along },
        }
    }
}

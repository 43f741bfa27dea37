//! How far the gradient points along the direction of largest curvature (Remark 3).

use serde::{Deserialize, Serialize};

use crate::lanczos::Extremes;
use crate::linear::{dot, norm};

/// A sample's gradient beside the direction of its largest curvature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// |gᵀu|/‖g‖, u the unit eigenvector of the algebraically largest eigenvalue. A random direction
    /// has 1/√d in the root of the mean square.
    pub alignment: f64,
    /// ν, the algebraically largest eigenvalue.
    pub largest: f64,
    /// ‖Hu − νu‖.
    pub residual: f64,
    /// ‖g‖.
    pub gradient: f64,
}

/// The alignment of the gradient `g` with the first of the eigenvectors found; none if g is 0 or none
/// was found.
pub fn alignment(g: &[f64], extremes: &Extremes) -> Option<Alignment> {
    let first = extremes.largest.first()?;
    let length = norm(g);
    (length > 0.0 && length.is_finite()).then(|| Alignment {
        alignment: (dot(g, &first.vector).abs() / length).min(1.0),
        largest: first.value,
        residual: first.residual,
        gradient: length,
    })
}

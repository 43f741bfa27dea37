use serde::{Deserialize, Serialize};

use super::{Plane, Section};
use crate::error::{GeometryError, Result};
use crate::losses::Losses;
use crate::ray;

/// How the boundary is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundaryOptions {
    /// How far to both sides along v, as a share of the distance to the boundary. Default 1.
    pub width: f64,
    /// Places along v. Default 41.
    pub places: usize,
    /// How far along r the boundary is looked for, as a share of the distance to it. Default 3.
    pub reach: f64,
}

impl Default for BoundaryOptions {
    fn default() -> Self {
        Self { width: 1.0, places: 41, reach: 3.0 }
    }
}

/// Most places along v.
const MOST: usize = 10_001;

impl BoundaryOptions {
    /// Whether they can be used; [`boundary`] asks the same.
    ///
    /// # Errors
    /// [`GeometryError::Setting`], with what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(3..=MOST).contains(&self.places) {
            let accepted = format!("3 to {MOST}");
            return Err(GeometryError::setting("the number of places", self.places, accepted));
        }
        for (name, value) in [("the width", self.width), ("the reach", self.reach)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(GeometryError::setting(name, value, "a share above 0"));
            }
        }
        Ok(())
    }
}

/// Where the label is lost, beside x: the curve a(b) with x + a(b)·r + b·v the first point along r
/// that has another class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boundary {
    /// b, places along v, and a(b); none where no point within reach has another class, or x + b·v has one already.
    pub curve: Vec<(f64, Option<f64>)>,
    /// κ = a″/(1 + a′²)^(3/2) beside x of the parabola that fits the curve best, in 1/length: over 0 where the
    /// boundary bends away from x, so that the region of the label is wider beside r; below 0 where
    /// it bends around x. None where fewer than 3 places have a boundary.
    pub curvature: Option<f64>,
    /// The root of the mean square by which the curve differs from the parabola.
    pub residual: Option<f64>,
    /// The root of the mean square by which it differs from its best straight line: 0 of a flat
    /// boundary.
    pub flatness: Option<f64>,
}

/// Points looked at along r, before halving.
const POINTS: usize = 24;
/// Halvings of the interval where the class first changes.
const HALVINGS: usize = 12;

/// Follows the boundary beside a sample. Cost: places · 37 passes at most.
///
/// # Errors
/// If an option is out of range or the classifier fails.
pub fn boundary(losses: &Losses<'_>, plane: &Plane, options: &BoundaryOptions) -> Result<Boundary> {
    options.check()?;
    let half = options.width * plane.distance;
    let offsets = Section::axis(half, options.places);
    let reach = options.reach * plane.distance;
    let label = losses.labels()[plane.row];
    let is_lost = |chosen: &[usize], shares: &[f64]| -> Result<Vec<bool>> {
        let changes: Vec<Vec<f64>> =
            chosen.iter().zip(shares).map(|(&i, &s)| plane.at(s * reach, offsets[i])).collect();
        let found = losses.at(&vec![plane.row; chosen.len()], &changes)?;
        Ok(found.predicted.into_iter().map(|class| class != label).collect())
    };
    // Where the label is lost beside x already there is no boundary to come to.
    let all: Vec<usize> = (0..offsets.len()).collect();
    let is_beyond = is_lost(&all, &vec![0.0; offsets.len()])?;
    let found = ray::first(offsets.len(), POINTS, HALVINGS, is_lost)?;
    let along = |i: usize| found[i].filter(|_| !is_beyond[i]).map(|share| share * reach);
    let curve: Vec<(f64, Option<f64>)> = all.iter().map(|&i| (offsets[i], along(i))).collect();
    let points: Vec<(f64, f64)> = curve.iter().filter_map(|&(b, a)| Some((b, a?))).collect();
    let parabola = fit(&points, 2, half);
    let line = fit(&points, 1, half);
    Ok(Boundary {
        curve,
        curvature: parabola.as_ref().map(|(coefficients, _)| {
            let (slope, bend) = (coefficients[1] / half, 2.0 * coefficients[2] / (half * half));
            bend / (1.0 + slope * slope).powf(1.5)
        }),
        residual: parabola.map(|(_, residual)| residual),
        flatness: line.map(|(_, residual)| residual),
    })
}

/// The polynomial in b/scale of this degree that fits best, and the root of the mean square it leaves.
fn fit(points: &[(f64, f64)], degree: usize, scale: f64) -> Option<(Vec<f64>, f64)> {
    use faer::linalg::solvers::SolveLstsq;
    if points.len() < 3 {
        return None;
    }
    let power = |i: usize, k: usize| (points[i].0 / scale).powi(k as i32);
    let design = faer::Mat::from_fn(points.len(), degree + 1, power);
    let values = faer::Mat::from_fn(points.len(), 1, |i, _| points[i].1);
    let solution = design.qr().solve_lstsq(&values);
    let coefficients: Vec<f64> = (0..=degree).map(|k| solution[(k, 0)]).collect();
    let off = |i: usize| {
        let fitted: f64 = coefficients.iter().enumerate().map(|(k, c)| c * power(i, k)).sum();
        (points[i].1 - fitted).powi(2)
    };
    let mean = (0..points.len()).map(off).sum::<f64>() / points.len() as f64;
    Some((coefficients, mean.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_parabola_is_found_again() {
        let points: Vec<(f64, f64)> = (-5..=5)
            .map(|i| f64::from(i) / 10.0)
            .map(|b| (b, 2.0 - 0.3 * b + 1.5 * b * b))
            .collect();
        let (coefficients, residual) = fit(&points, 2, 0.5).unwrap_or_default();
        for (found, expected) in coefficients.iter().zip([2.0, -0.15, 0.375]) {
            assert!((found - expected).abs() < 1e-12, "{coefficients:?}");
        }
        assert!(residual < 1e-12);
        assert!(fit(&points, 1, 0.5).is_some_and(|(_, residual)| residual > 0.05));
        assert!(fit(&points[..2], 1, 0.5).is_none());
    }
}

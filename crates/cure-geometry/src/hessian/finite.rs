use serde::{Deserialize, Serialize};

use super::{Hessian, check};
use crate::error::{GeometryError, Result};
use crate::linear::{norm, scaled};
use crate::losses::{LONGEST, Losses};

/// Which finite difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// (∇ℓ(x + hv) − ∇ℓ(x))/h, the paper's eq. 1: 2 passes a direction.
    #[default]
    Forward,
    /// (∇ℓ(x + hv) − ∇ℓ(x − hv))/2h: 4 passes a direction. Its error falls with h² where the loss is
    /// smooth.
    Central,
}

/// H v ≈ (∇ℓ(x + hv) − ∇ℓ(x))/h (eq. 1) for v of unit length, and in proportion for others. With a
/// finite h it is curvature at the scale of a neighbourhood, which is what the paper wants to know:
/// it is not linear in v and its matrix is not symmetric.
pub struct FiniteDifference<'a> {
    losses: &'a Losses<'a>,
    difference: Difference,
    h: f64,
    /// ∇ℓ(x) of each sample.
    here: Vec<Vec<f64>>,
}

impl<'a> FiniteDifference<'a> {
    /// The operator with steps of length `h` in the declared scale. Cost: 2 passes a sample where the
    /// difference is forward.
    ///
    /// # Errors
    /// If h is not above 0 or the classifier fails.
    pub fn new(losses: &'a Losses<'a>, difference: Difference, h: f64) -> Result<Self> {
        if !(h > 0.0 && h <= LONGEST) {
            let accepted = format!("a length above 0 and at most {LONGEST:e}");
            return Err(GeometryError::setting("h", h, accepted));
        }
        losses.check_step(h)?;
        let here = match difference {
            Difference::Forward => losses.gradients()?.gradients,
            Difference::Central => Vec::new(),
        };
        Ok(Self { losses, difference, h, here })
    }

    fn gradients_along(
        &self,
        rows: &[usize],
        directions: &[Vec<f64>],
        step: f64,
    ) -> Result<Vec<Vec<f64>>> {
        let change = |v: &Vec<f64>| {
            let length = norm(v);
            scaled(if length > 0.0 { step / length } else { 0.0 }, v)
        };
        let changes: Vec<Vec<f64>> = directions.iter().map(change).collect();
        Ok(self.losses.gradients_at(rows, &changes)?.gradients)
    }
}

impl Hessian for FiniteDifference<'_> {
    fn samples(&self) -> usize {
        self.losses.samples()
    }

    fn dimension(&self) -> usize {
        self.losses.dimension()
    }

    fn apply(&mut self, rows: &[usize], directions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        check(self, rows, directions)?;
        let mut found = Vec::with_capacity(rows.len());
        let batch = self.losses.batch();
        for (rows, directions) in rows.chunks(batch).zip(directions.chunks(batch)) {
            let there = self.gradients_along(rows, directions, self.h)?;
            let (from, length) = match self.difference {
                Difference::Forward => (Vec::new(), self.h),
                Difference::Central => {
                    (self.gradients_along(rows, directions, -self.h)?, 2.0 * self.h)
                }
            };
            for (slot, there) in there.iter().enumerate() {
                let from = from.get(slot).unwrap_or_else(|| &self.here[rows[slot]]);
                let factor = norm(&directions[slot]) / length;
                found.push(there.iter().zip(from).map(|(b, a)| factor * (b - a)).collect());
            }
        }
        Ok(found)
    }
}

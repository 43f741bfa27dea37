//! The Hessian over the input, as an operator.

mod columns;
mod exact;
mod factor;
mod finite;

pub use columns::Columns;
pub use exact::Exact;
pub use factor::Factor;
pub use finite::{Difference, FiniteDifference};

use crate::error::{Result, check_count};

/// H = ∇²ₓℓ of each of some samples: multiplies vectors, many directions and many samples at once.
/// Vectors are in the declared scale.
pub trait Hessian {
    /// N.
    fn samples(&self) -> usize;

    /// d.
    fn dimension(&self) -> usize;

    /// H v for each row: the Hessian of the sample `rows[i]` times `directions[i]`. What is not
    /// finite comes back as it is.
    ///
    /// # Shapes
    /// As many `directions` of d entries as `rows`, each a sample below N; as many of d back.
    ///
    /// # Errors
    /// If the arguments do not fit or the classifier fails.
    fn apply(&mut self, rows: &[usize], directions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>>;
}

/// Refuses what no operator can multiply.
fn check(hessian: &impl Hessian, rows: &[usize], directions: &[Vec<f64>]) -> Result<()> {
    check_count("directions", rows.len(), directions.len())?;
    for direction in directions {
        check_count("a direction", hessian.dimension(), direction.len())?;
    }
    match rows.iter().find(|&&row| row >= hessian.samples()) {
        Some(&row) => Err(crate::GeometryError::setting(
            "a sample's position",
            row,
            format!("below {}", hessian.samples()),
        )),
        None => Ok(()),
    }
}

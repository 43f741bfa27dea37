use faer::Mat;

use super::{FiniteDifference, Hessian, check};
use crate::error::Result;
use crate::linear::dot;
use crate::profile::{matrix, symmetrise};

/// The symmetric part of a finite difference's matrix, whose columns are its products with the directions
/// of single pixels: the matrix of the paper's curvature profile. It is linear and symmetric whatever h is, as
/// the difference itself is not, so that Lanczos' method finds its eigenvectors.
///
/// Cost: d products of the difference a sample (3072 for CIFAR-10), before the first product. Memory: d² numbers
/// a sample.
pub struct Columns<'a> {
    difference: FiniteDifference<'a>,
    /// Of the samples that were asked for.
    matrices: Vec<Option<Mat<f64>>>,
}

impl<'a> Columns<'a> {
    /// The matrices of this difference.
    pub fn new(difference: FiniteDifference<'a>) -> Self {
        let matrices = (0..difference.samples()).map(|_| None).collect();
        Self { difference, matrices }
    }

    fn matrix(&mut self, row: usize) -> Result<&Mat<f64>> {
        let made = match self.matrices[row].take() {
            Some(made) => made,
            None => {
                let mut made = matrix(&mut self.difference, row, |_| true)?;
                symmetrise(&mut made);
                made
            }
        };
        Ok(self.matrices[row].insert(made))
    }
}

impl Hessian for Columns<'_> {
    fn samples(&self) -> usize {
        self.difference.samples()
    }

    fn dimension(&self) -> usize {
        self.difference.dimension()
    }

    fn apply(&mut self, rows: &[usize], directions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        check(self, rows, directions)?;
        let mut found = Vec::with_capacity(rows.len());
        for (&row, direction) in rows.iter().zip(directions) {
            let matrix = self.matrix(row)?;
            // Columns are rows too.
            let entry = |i: usize| dot(matrix.col_as_slice(i), direction);
            found.push((0..matrix.ncols()).map(entry).collect());
        }
        Ok(found)
    }
}

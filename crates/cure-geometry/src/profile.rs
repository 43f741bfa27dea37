//! The curvature profile: all d eigenvalues of H (Figs 2, 9, 12).

use faer::{Mat, Side};
use rayon::prelude::*;

use crate::error::{GeometryError, Result};
use crate::hessian::{Factor, Hessian};

/// All eigenvalues of a sample's Hessian.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The d eigenvalues of (H + Hᵀ)/2, largest first, in the declared scale.
    pub eigenvalues: Vec<f64>,
    /// ‖H − Hᵀ‖_F/‖H‖_F before it was made symmetric; 0 where H is 0.
    pub asymmetry: f64,
    /// ‖H‖_F before it was made symmetric.
    pub frobenius: f64,
}

/// Directions multiplied between two looks at whether to go on.
const CHUNK: usize = 256;

/// The curvature profile of each of the samples `rows`, from all d columns of its Hessian; none for
/// one that is not finite. `proceed` is asked now and then with the number of columns done and to
/// do.
///
/// Cost: d products a sample (3072 of them for CIFAR-10), and the eigenvalues of a d × d matrix:
/// a thread for each of as many samples as there are threads, which is also how many matrices are held.
///
/// # Errors
/// If the operator fails, no eigenvalues are found, or `proceed` says no.
pub fn curvature_profile(
    hessian: &mut dyn Hessian,
    rows: &[usize],
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Option<Profile>>> {
    let dimension = hessian.dimension();
    let all = rows.len() * dimension;
    let mut found = Vec::with_capacity(rows.len());
    for rows in rows.chunks(rayon::current_num_threads().max(1)) {
        let mut matrices = Vec::with_capacity(rows.len());
        for &row in rows {
            let before = (found.len() + matrices.len()) * dimension;
            matrices.push(matrix(hessian, row, |columns| proceed(before + columns, all))?);
        }
        let profiles: Result<Vec<_>> = matrices.into_par_iter().map(profile).collect();
        found.extend(profiles?);
    }
    Ok(found)
}

/// H of a sample, column by column.
pub(crate) fn matrix(
    hessian: &mut dyn Hessian,
    row: usize,
    mut proceed: impl FnMut(usize) -> bool,
) -> Result<Mat<f64>> {
    let dimension = hessian.dimension();
    let mut matrix = Mat::zeros(dimension, dimension);
    for first in (0..dimension).step_by(CHUNK) {
        if !proceed(first) {
            return Err(GeometryError::Stopped);
        }
        let columns = first..(first + CHUNK).min(dimension);
        let unit = |column: usize| {
            let mut unit = vec![0.0; dimension];
            unit[column] = 1.0;
            unit
        };
        let units: Vec<Vec<f64>> = columns.clone().map(unit).collect();
        let products = hessian.apply(&vec![row; units.len()], &units)?;
        for (column, product) in columns.zip(products) {
            matrix.col_mut(column).iter_mut().zip(product).for_each(|(to, from)| *to = from);
        }
    }
    Ok(matrix)
}

fn profile(mut matrix: Mat<f64>) -> Result<Option<Profile>> {
    let size = matrix.nrows();
    if !matrix.is_all_finite() {
        return Ok(None);
    }
    let [off, all] = symmetrise(&mut matrix);
    let refuse = |_| GeometryError::Eigenvalues { size };
    let mut eigenvalues = matrix.self_adjoint_eigenvalues(Side::Lower).map_err(refuse)?;
    eigenvalues.reverse();
    let asymmetry = if all > 0.0 { (off / all).sqrt() } else { 0.0 };
    Ok(Some(Profile { eigenvalues, asymmetry, frobenius: all.sqrt() }))
}

/// Puts (H + Hᵀ)/2 in the place of H; gives ‖H − Hᵀ‖²_F and ‖H‖²_F.
pub(crate) fn symmetrise(matrix: &mut Mat<f64>) -> [f64; 2] {
    let (mut off, mut all) = (0.0, 0.0);
    for j in 0..matrix.ncols() {
        for i in 0..=j {
            let (upper, lower) = (matrix[(i, j)], matrix[(j, i)]);
            all += if i == j { upper * upper } else { upper * upper + lower * lower };
            off += 2.0 * (upper - lower).powi(2);
            let middle = (upper + lower) / 2.0;
            (matrix[(i, j)], matrix[(j, i)]) = (middle, middle);
        }
    }
    [off, all]
}

impl Factor {
    /// The exact curvature profile of a sample, of which all but K − 1 eigenvalues are 0.
    ///
    /// # Errors
    /// [`GeometryError::Eigenvalues`] if they are not found.
    pub fn profile(&self, sample: usize) -> Result<Profile> {
        let mut eigenvalues: Vec<f64> =
            self.eigenpairs(sample)?.into_iter().map(|(value, _)| value).collect();
        let squares: f64 = eigenvalues.iter().map(|value| value * value).sum();
        eigenvalues.resize(self.dimension(), 0.0);
        Ok(Profile { eigenvalues, asymmetry: 0.0, frobenius: squares.sqrt() })
    }
}

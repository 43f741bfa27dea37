use faer::{Mat, Side};
use rand_chacha::ChaCha8Rng;

use crate::error::{GeometryError, Result};
use crate::hessian::Hessian;
use crate::linear::{add_scaled, dot, norm, orthogonalise, scaled};
use crate::random::gaussian;

/// An orthonormal basis V of span{v, Hv, H²v, …} and what H makes of it. The basis is kept orthogonal
/// in full (twice Gram–Schmidt): without it eigenvalues come twice. H need not be quite symmetric, as
/// finite differences are not: eigenvalues are those of VᵀHV's symmetric part.
pub(crate) struct Krylov {
    basis: Vec<Vec<f64>>,
    products: Vec<Vec<f64>>,
    /// VᵀHV, column by column, each as long as the basis was when it was made.
    columns: Vec<Vec<f64>>,
    /// What the basis grows by, orthogonal to it.
    next: Vec<f64>,
    /// Length of the first vector before it was one.
    pub(crate) start: f64,
    /// Whether H maps the basis into itself: no further vector follows from it.
    pub(crate) is_closed: bool,
    /// Whether H gave numbers that are not finite.
    pub(crate) is_broken: bool,
}

/// Eigenvalues of the symmetric part of VᵀHV, in rising order, with its eigenvectors in columns.
pub(crate) struct Ritz {
    pub(crate) values: Vec<f64>,
    pub(crate) vectors: Mat<f64>,
    /// ‖T − Tᵀ‖/‖T‖ of T = VᵀHV.
    pub(crate) asymmetry: f64,
}

/// A part of a length this small beside what it was taken from is rounding in f32.
const ROUNDING: f64 = 1e-6;

impl Krylov {
    pub(crate) fn new(start: Vec<f64>) -> Self {
        let length = norm(&start);
        let is_broken = !(length.is_finite() && length > 0.0);
        Self {
            basis: Vec::new(),
            products: Vec::new(),
            columns: Vec::new(),
            next: if is_broken { start } else { scaled(1.0 / length, &start) },
            start: length,
            is_closed: false,
            is_broken,
        }
    }

    /// Vectors in the basis.
    pub(crate) fn len(&self) -> usize {
        self.basis.len()
    }

    /// Takes in H v of the vector that was to be multiplied.
    fn take(&mut self, product: Vec<f64>) {
        if !product.iter().all(|value| value.is_finite()) {
            self.is_broken = true;
            return;
        }
        self.basis.push(std::mem::take(&mut self.next));
        let mut next = product.clone();
        let column = orthogonalise(&mut next, &self.basis);
        let left = norm(&next);
        // What is left counts beside the largest product so far: late ones are rounding alone.
        let largest = self.products.iter().map(|p| norm(p)).fold(norm(&product), f64::max);
        self.is_closed = left <= ROUNDING * largest;
        if !self.is_closed {
            self.next = scaled(1.0 / left, &next);
        }
        self.products.push(product);
        self.columns.push(column);
    }

    /// Goes on from a random vector where H has closed the space, as it does for one of low rank.
    pub(crate) fn reopen(&mut self, stream: &mut ChaCha8Rng) {
        let Some(dimension) = self.basis.first().map(Vec::len) else { return };
        if self.basis.len() >= dimension {
            return;
        }
        let mut next = gaussian(stream, dimension);
        orthogonalise(&mut next, &self.basis);
        let length = norm(&next);
        self.next = scaled(1.0 / length, &next);
        self.is_closed = false;
    }

    /// ⟨v_i, H v_j⟩: known where v_i was in the basis when H v_j came.
    fn entry(&self, i: usize, j: usize) -> f64 {
        match self.columns[j].get(i) {
            Some(&known) => known,
            None => dot(&self.basis[i], &self.products[j]),
        }
    }

    pub(crate) fn ritz(&self) -> Result<Ritz> {
        let size = self.basis.len();
        let refuse = || GeometryError::Eigenvalues { size };
        let whole = Mat::from_fn(size, size, |i, j| self.entry(i, j));
        let (mut off, mut all) = (0.0, 0.0);
        for j in 0..size {
            for i in 0..size {
                off += (whole[(i, j)] - whole[(j, i)]).powi(2);
                all += whole[(i, j)].powi(2);
            }
        }
        let half = |i: usize, j: usize| (whole[(i, j)] + whole[(j, i)]) / 2.0;
        let symmetric = Mat::from_fn(size, size, half);
        let found = symmetric.self_adjoint_eigen(Side::Lower).map_err(|_| refuse())?;
        Ok(Ritz {
            values: (0..size).map(|i| found.S().column_vector()[i]).collect(),
            vectors: found.U().to_owned(),
            asymmetry: if all > 0.0 { (off / all).sqrt() } else { 0.0 },
        })
    }

    /// V s for the coefficients s, and H V s.
    pub(crate) fn combine(&self, s: impl Iterator<Item = f64>) -> (Vec<f64>, Vec<f64>) {
        let dimension = self.basis.first().map_or(0, Vec::len);
        let (mut vector, mut product) = (vec![0.0; dimension], vec![0.0; dimension]);
        for ((s, v), w) in s.zip(&self.basis).zip(&self.products) {
            add_scaled(&mut vector, s, v);
            add_scaled(&mut product, s, w);
        }
        (vector, product)
    }
}

/// Grows the space of each row that is `active` by one vector, all rows in one pass. Spaces that are
/// closed or broken stay.
pub(crate) fn grow(
    hessian: &mut dyn Hessian,
    rows: &[usize],
    spaces: &mut [Krylov],
    active: impl Fn(usize) -> bool,
) -> Result<()> {
    let is_open = |&i: &usize| active(i) && !spaces[i].is_closed && !spaces[i].is_broken;
    let open: Vec<usize> = (0..rows.len()).filter(is_open).collect();
    let samples: Vec<usize> = open.iter().map(|&i| rows[i]).collect();
    let directions: Vec<Vec<f64>> = open.iter().map(|&i| spaces[i].next.clone()).collect();
    for (&i, product) in open.iter().zip(hessian.apply(&samples, &directions)?) {
        spaces[i].take(product);
    }
    Ok(())
}

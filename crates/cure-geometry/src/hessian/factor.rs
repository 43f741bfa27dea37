use cure_tensor::{Tensor, ops};
use faer::{Mat, Side};

use super::{Hessian, check};
use crate::error::{GeometryError, Result};
use crate::linear::{add_scaled, dot, norm};
use crate::losses::Losses;

/// The exact Hessians of a piecewise linear network, whole: H = Jᵀ(diag p − ppᵀ)J = BᵀB, with row k
/// of B, √p_k·Jᵀ(e_k − p), a pull back of its own. So its rank is K − 1 at most, none of its
/// eigenvalues is negative, and all of them are those of the K × K matrix BBᵀ.
///
/// Cost: K + 1 passes a sample, for everything; 2 K of a few samples, which take less time.
pub struct Factor {
    dimension: usize,
    /// B of each sample: K rows of d.
    rows: Vec<Vec<Vec<f64>>>,
}

/// The eigenvalues that are not zero by construction, largest first, and their unit vectors.
type Pairs = Vec<(f64, Vec<f64>)>;

impl Factor {
    /// The factors of these samples. Memory: N·K·d numbers.
    ///
    /// # Errors
    /// [`GeometryError::Curved`] if the network is not piecewise linear.
    pub fn new(losses: &Losses<'_>) -> Result<Self> {
        /// Fewer samples are repeated, once for every class, and all their rows pulled back together: a
        /// pass reads all weights, be it of one image or of ten.
        const ENOUGH: usize = 4;
        let classifier = losses.classifier();
        let classes = classifier.classes();
        if !classifier.is_piecewise_linear() {
            return Err(GeometryError::Curved { classes });
        }
        let mut rows = Vec::with_capacity(losses.samples());
        let all: Vec<usize> = (0..losses.samples()).collect();
        for samples in all.chunks(losses.batch()) {
            let repeats = samples.len() < ENOUGH && samples.len() * classes <= losses.batch();
            let together = if repeats { classes } else { 1 };
            let repeat = |&sample: &usize| std::iter::repeat_n(sample, together);
            let network = losses.linearize(&samples.iter().flat_map(repeat).collect::<Vec<_>>())?;
            let p = ops::softmax(network.logits())?;
            let mut factors = vec![Vec::with_capacity(classes); samples.len()];
            for first in (0..classes).step_by(together) {
                let of_row = |(at, p)| row(p, first + at % together);
                let seed = p.host().chunks_exact(classes).enumerate().flat_map(of_row).collect();
                let seed = Tensor::new(network.logits().shape(), seed)?;
                let found = losses.rows(&network.pullback(&seed)?);
                for (at, row) in found.into_iter().enumerate() {
                    factors[at / together].push(row);
                }
            }
            rows.extend(factors);
        }
        Ok(Self { dimension: losses.dimension(), rows })
    }

    /// The K − 1 largest eigenvalues of a sample's Hessian, largest first, with their unit vectors
    /// (zero vectors where an eigenvalue is 0); all others are 0.
    ///
    /// # Errors
    /// [`GeometryError::Eigenvalues`] if they are not found, as where B is not finite.
    pub fn eigenpairs(&self, sample: usize) -> Result<Pairs> {
        let b = &self.rows[sample];
        let classes = b.len();
        let refuse = || GeometryError::Eigenvalues { size: classes };
        let gram = Mat::from_fn(classes, classes, |i, j| dot(&b[i], &b[j]));
        if !gram.is_all_finite() {
            return Err(refuse());
        }
        let found = gram.self_adjoint_eigen(Side::Lower).map_err(|_| refuse())?;
        let (values, vectors) = (found.S().column_vector(), found.U());
        let pair = |at: usize| {
            let value = values[at].max(0.0);
            let mut vector = vec![0.0; self.dimension];
            if value > 0.0 {
                for (k, row) in b.iter().enumerate() {
                    add_scaled(&mut vector, vectors[(k, at)] / value.sqrt(), row);
                }
                // Eigenvalues of the size of rounding would leave it of another length.
                let length = norm(&vector);
                vector.iter_mut().for_each(|entry| *entry /= length);
            }
            (value, vector)
        };
        // The smallest one belongs to the direction in which all logits rise alike: 0.
        Ok((1..classes).rev().map(pair).collect())
    }
}

/// √p_k·(e_k − p).
fn row(p: &[f32], class: usize) -> impl Iterator<Item = f32> {
    let root = p[class].sqrt();
    p.iter().enumerate().map(move |(k, &p)| root * (f32::from(u8::from(k == class)) - p))
}

impl Hessian for Factor {
    fn samples(&self) -> usize {
        self.rows.len()
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn apply(&mut self, rows: &[usize], directions: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        check(self, rows, directions)?;
        let product = |(&sample, direction): (&usize, &Vec<f64>)| {
            let mut product = vec![0.0; self.dimension];
            for b in &self.rows[sample] {
                add_scaled(&mut product, dot(b, direction), b);
            }
            product
        };
        Ok(rows.iter().zip(directions).map(product).collect())
    }
}

//! ‖H‖_F from products with random vectors, and curvature along the gradient's signs (Figs 10, 14).

use serde::{Deserialize, Serialize};

use crate::error::{GeometryError, Result, check_count};
use crate::hessian::Hessian;
use crate::linear::{add_scaled, dot, norm, orthogonalise, scaled};
use crate::mean::student;
use crate::random::{gaussian, stream};

/// How ‖H‖_F is estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrobeniusOptions {
    /// Products with H a sample. Default 100, as in the paper.
    pub draws: usize,
    /// Whether a third of the products finds the directions that H stretches most, another third
    /// measures those exactly, and the last is drawn from the others (Meyer et al. 2021, Hutch++):
    /// far more exact where few eigenvalues matter. Default no, as in the paper.
    pub deflated: bool,
    /// Seed of the draws. Default 0.
    pub seed: u64,
}

impl Default for FrobeniusOptions {
    fn default() -> Self {
        Self { draws: 100, deflated: false, seed: 0 }
    }
}

impl FrobeniusOptions {
    /// Whether they can be used; [`frobenius`] asks the same.
    ///
    /// # Errors
    /// [`GeometryError::Setting`], with what is accepted.
    pub fn check(&self) -> Result<()> {
        let least = if self.deflated { 3 * LEAST } else { LEAST };
        match (least..=MOST).contains(&self.draws) {
            true => Ok(()),
            false => {
                let accepted = match self.draws < least {
                    true => format!("{least} or more"),
                    false => format!("at most {MOST}"),
                };
                Err(GeometryError::setting("the number of draws", self.draws, accepted))
            }
        }
    }
}

/// A sample's curvature in two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frobenius {
    /// ‖H‖_F, the root of the mean of ‖Hz‖² over z ~ N(0, I), in the declared scale.
    pub frobenius: f64,
    /// Its 95 % interval, of the draws of this sample.
    pub ci95: [f64; 2],
    /// ‖Hz‖ for z = sign(g)/‖sign(g)‖₂; none where the gradient is 0.
    pub gradient_sign: Option<f64>,
}

/// What the vectors are drawn for.
const PURPOSE: u64 = 0x6672_6f62;
/// More draws than anybody waits for.
const MOST: usize = 100_000;
/// Draws held at once.
const CHUNK: usize = 256;
/// Draws that a standard deviation is taken from, at the least.
const LEAST: usize = 2;

/// ‖H‖_F and ‖Hz‖ of each of the samples `rows`; none where they are not finite. `gradients` are ∇ℓ of
/// these rows, `indices` their places in their split, which decide their random numbers. `proceed` is
/// asked before each row with the number of rows done and to do.
///
/// Cost: draws + 1 products a sample.
///
/// # Errors
/// If there are too few draws, the operator fails, or `proceed` says no.
pub fn frobenius(
    hessian: &mut dyn Hessian,
    rows: &[usize],
    indices: &[usize],
    gradients: &[Vec<f64>],
    options: &FrobeniusOptions,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Option<Frobenius>>> {
    check_count("indices", rows.len(), indices.len())?;
    check_count("gradients", rows.len(), gradients.len())?;
    options.check()?;
    let mut found = Vec::with_capacity(rows.len());
    for (position, (&row, &index)) in rows.iter().zip(indices).enumerate() {
        if !proceed(position, rows.len()) {
            return Err(GeometryError::Stopped);
        }
        let [square, error] = squared(hessian, row, index, options)?;
        let gradient_sign = along_signs(hessian, row, &gradients[position])?;
        let is_finite = square.is_finite() && gradient_sign.is_none_or(f64::is_finite);
        found.push(is_finite.then(|| Frobenius {
            frobenius: square.sqrt(),
            ci95: [-1.0, 1.0].map(|side| (square + side * error).max(0.0).sqrt()),
            gradient_sign,
        }));
    }
    Ok(found)
}

/// ‖H‖²_F and half the width of its 95 % interval.
fn squared(
    hessian: &mut dyn Hessian,
    row: usize,
    index: usize,
    options: &FrobeniusOptions,
) -> Result<[f64; 2]> {
    let dimension = hessian.dimension();
    let mut stream = stream(options.seed, index, PURPOSE);
    let products = |hessian: &mut dyn Hessian, vectors: &[Vec<f64>]| {
        hessian.apply(&vec![row; vectors.len()], vectors)
    };
    let third = (options.draws / 3).min(dimension);
    let (mut basis, mut exact) = (Vec::new(), 0.0);
    if options.deflated {
        let sketch: Vec<Vec<f64>> = (0..third).map(|_| gaussian(&mut stream, dimension)).collect();
        for image in products(hessian, &sketch)? {
            let length = norm(&image);
            let mut left = image;
            orthogonalise(&mut left, &basis);
            let fresh = norm(&left);
            if !length.is_finite() {
                return Ok([f64::NAN; 2]);
            }
            // What lies in the basis already is rounding.
            if fresh > 1e-6 * length {
                basis.push(scaled(1.0 / fresh, &left));
            }
        }
        exact = products(hessian, &basis)?.iter().map(|product| dot(product, product)).sum();
    }
    let rest = if options.deflated { options.draws - 2 * third } else { options.draws };
    let draw = |_| {
        let mut vector = gaussian(&mut stream, dimension);
        for b in &basis {
            let along = dot(&vector, b);
            add_scaled(&mut vector, -along, b);
        }
        vector
    };
    let mut draws = (0..rest).map(draw);
    let mut squares: Vec<f64> = Vec::with_capacity(rest);
    while squares.len() < rest {
        let some: Vec<Vec<f64>> = draws.by_ref().take(CHUNK).collect();
        squares.extend(products(hessian, &some)?.iter().map(|product| dot(product, product)));
    }
    let mean = squares.iter().sum::<f64>() / rest as f64;
    let deviations: f64 = squares.iter().map(|square| (square - mean).powi(2)).sum();
    let error = (deviations / (rest - 1) as f64 / rest as f64).sqrt();
    Ok([exact + mean, student(rest - 1) * error])
}

fn along_signs(hessian: &mut dyn Hessian, row: usize, gradient: &[f64]) -> Result<Option<f64>> {
    let sign = |&value: &f64| if value == 0.0 { 0.0 } else { value.signum() };
    let signs: Vec<f64> = gradient.iter().map(sign).collect();
    let length = norm(&signs);
    if length == 0.0 {
        return Ok(None);
    }
    let product = hessian.apply(&[row], &[scaled(1.0 / length, &signs)])?;
    Ok(product.first().map(|product| norm(product)))
}

//! How a spectrum is distributed, by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017).

use serde::{Deserialize, Serialize};

use crate::error::{GeometryError, Result, check_count};
use crate::hessian::Hessian;
use crate::krylov::{Krylov, grow};
use crate::random::{gaussian, stream};

/// How finely a density is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DensityOptions {
    /// Random vectors a sample. Default 4.
    pub probes: usize,
    /// Products with H a vector. Default 32.
    pub steps: usize,
    /// Seed of the random vectors. Default 0.
    pub seed: u64,
}

impl Default for DensityOptions {
    fn default() -> Self {
        Self { probes: 4, steps: 32, seed: 0 }
    }
}

impl DensityOptions {
    /// Whether they can be used; [`density`] asks the same.
    ///
    /// # Errors
    /// [`GeometryError::Setting`], with what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value) in
            [("the number of probes", self.probes), ("the number of steps", self.steps)]
        {
            if value == 0 {
                return Err(GeometryError::setting(name, value, "1 or more"));
            }
            if value > MOST {
                return Err(GeometryError::setting(name, value, format!("at most {MOST}")));
            }
        }
        Ok(())
    }
}

/// A spectrum's distribution: the share of eigenvalues near each node. Integrals of polynomials up to
/// twice the number of steps are exact in expectation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Density {
    /// Places, in the declared scale, rising.
    pub nodes: Vec<f64>,
    /// The share of the eigenvalues at each; their sum is 1.
    pub weights: Vec<f64>,
}

impl Density {
    /// The distribution of several spectra together, each counting alike.
    pub fn together(parts: &[Self]) -> Self {
        let share = 1.0 / parts.len().max(1) as f64;
        let of = |part: &Self| -> Vec<(f64, f64)> {
            part.nodes.iter().zip(&part.weights).map(|(&n, &w)| (n, share * w)).collect()
        };
        let mut pairs: Vec<(f64, f64)> = parts.iter().flat_map(of).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (nodes, weights) = pairs.into_iter().unzip();
        Self { nodes, weights }
    }

    /// The density at `x` with each node spread as a Gaussian of standard deviation `width`.
    pub fn at(&self, x: f64, width: f64) -> f64 {
        let scale = width * std::f64::consts::TAU.sqrt();
        let spread = |(node, weight): (&f64, &f64)| {
            weight * (-0.5 * ((x - node) / width).powi(2)).exp() / scale
        };
        self.nodes.iter().zip(&self.weights).map(spread).sum()
    }

    /// The mean over the spectrum of `f`: of λ it is tr H/d, of λ² ‖H‖²_F/d.
    pub fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.nodes.iter().zip(&self.weights).map(|(&node, weight)| weight * f(node)).sum()
    }
}

/// More of either than anybody waits for.
const MOST: usize = 100_000;

/// What the vectors are drawn for.
const PURPOSE: u64 = 0x736c_7100;

/// The distribution of the spectrum of each of the samples `rows`; none where products are not finite.
/// `indices` are the samples' places in their split, which decide their random numbers. `proceed` is
/// asked before each step with the number of steps done and to do.
///
/// Cost: probes · steps products a sample.
///
/// # Errors
/// If an option is 0, the operator fails, or `proceed` says no.
pub fn density(
    hessian: &mut dyn Hessian,
    rows: &[usize],
    indices: &[usize],
    options: &DensityOptions,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Option<Density>>> {
    check_count("indices", rows.len(), indices.len())?;
    options.check()?;
    let (probes, steps) = (options.probes, options.steps.min(hessian.dimension()));
    let mut parts: Vec<Vec<Option<Density>>> = vec![Vec::new(); rows.len()];
    for probe in 0..probes {
        let start = |&index: &usize| {
            let mut stream = stream(options.seed, index, PURPOSE + probe as u64);
            Krylov::new(gaussian(&mut stream, hessian.dimension()))
        };
        let mut spaces: Vec<Krylov> = indices.iter().map(start).collect();
        for step in 0..steps {
            if !proceed(probe * steps + step, probes * steps) {
                return Err(GeometryError::Stopped);
            }
            grow(hessian, rows, &mut spaces, |_| true)?;
        }
        for (parts, space) in parts.iter_mut().zip(&spaces) {
            parts.push(if space.is_broken { None } else { Some(quadrature(space)?) });
        }
    }
    let together = |parts: Vec<Option<Density>>| {
        let parts: Option<Vec<Density>> = parts.into_iter().collect();
        parts.map(|parts| Density::together(&parts))
    };
    Ok(parts.into_iter().map(together).collect())
}

/// The Gauss rule of a space: eigenvalues, and the squares of their vectors' first entries.
fn quadrature(space: &Krylov) -> Result<Density> {
    let ritz = space.ritz()?;
    let weights = (0..ritz.values.len()).map(|at| ritz.vectors[(0, at)].powi(2)).collect();
    Ok(Density { nodes: ritz.values, weights })
}

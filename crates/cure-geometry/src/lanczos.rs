//! The ends of the spectrum by Lanczos' method with full reorthogonalisation.

use crate::error::{GeometryError, Result, check_count};
use crate::hessian::Hessian;
use crate::krylov::{Krylov, Ritz, grow};
use crate::linear::{add_scaled, norm};
use crate::random::{gaussian, stream};

/// How the ends of the spectrum are looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanczosOptions {
    /// How many of the algebraically largest eigenvalues. Default 1.
    pub largest: usize,
    /// How many of the algebraically smallest. Default 0.
    pub smallest: usize,
    /// Products with H at most, the check of the residuals not counted. Default 100.
    pub steps: usize,
    /// The residual ‖Hv − λv‖ that ends the search, as a share of the largest |λ|. Default 1e-4:
    /// products come in f32. An operator that is not symmetric may have no such vectors: then the search
    /// ends, without having converged, when no wanted eigenvalue moves by more than this over 4 steps.
    pub tolerance: f64,
    /// Seed of the first vectors. Default 0.
    pub seed: u64,
}

impl Default for LanczosOptions {
    fn default() -> Self {
        Self { largest: 1, smallest: 0, steps: 100, tolerance: 1e-4, seed: 0 }
    }
}

/// λ and its unit vector v.
#[derive(Clone, Debug, PartialEq)]
pub struct Eigenpair {
    /// λ, in the declared scale.
    pub value: f64,
    /// v, of unit length.
    pub vector: Vec<f64>,
    /// ‖Hv − λv‖, from a product of its own: what the operator really does, whatever the method
    /// believes. A finite difference with a large h is not linear, and it shows here.
    pub residual: f64,
}

/// The ends of a sample's spectrum.
#[derive(Clone, Debug, PartialEq)]
pub struct Extremes {
    /// The algebraically largest eigenvalues, largest first.
    pub largest: Vec<Eigenpair>,
    /// The algebraically smallest, smallest first.
    pub smallest: Vec<Eigenpair>,
    /// Products with H.
    pub steps: usize,
    /// Whether the search came to its end, and every residual is within twice the tolerance.
    pub has_converged: bool,
    /// ‖T − Tᵀ‖/‖T‖ of H in the space that was looked at: 0 of a symmetric operator.
    pub asymmetry: f64,
}

/// Steps between looks at the residuals.
const LOOK: usize = 4;

/// The ends of the spectrum of each of the samples `rows`, all of them in the same passes; none for
/// a sample whose products are not finite. `indices` are the samples' places in their split, which
/// decide their random numbers. `proceed` is asked before each product, with the number of them done
/// and the most there can be.
///
/// An eigenvalue that H has several times is found as often where H closes its spaces, as one of low rank
/// does; elsewhere it may be found once.
///
/// Cost: a product a step, and one for each eigenvalue.
///
/// # Errors
/// If more eigenvalues are asked for than there are or steps allow, none is, the tolerance is
/// negative, the operator fails, or `proceed` says no ([`GeometryError::Stopped`]).
pub fn extremes(
    hessian: &mut dyn Hessian,
    rows: &[usize],
    indices: &[usize],
    options: &LanczosOptions,
    mut proceed: impl FnMut(usize, usize) -> bool,
) -> Result<Vec<Option<Extremes>>> {
    options.check(hessian.dimension())?;
    check_count("indices", rows.len(), indices.len())?;
    let dimension = hessian.dimension();
    let steps = options.steps.min(dimension);
    let mut streams: Vec<_> =
        indices.iter().map(|&index| stream(options.seed, index, PURPOSE)).collect();
    let mut spaces: Vec<Krylov> =
        streams.iter_mut().map(|stream| Krylov::new(gaussian(stream, dimension))).collect();
    let mut is_done = vec![false; rows.len()];
    // The wanted values at the last look, and when the space was last closed.
    let mut before: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
    let mut closed: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
    for step in 0..steps {
        let active: Vec<usize> =
            (0..rows.len()).filter(|&i| !is_done[i] && !spaces[i].is_broken).collect();
        if active.is_empty() {
            break;
        }
        if !proceed(step, steps) {
            return Err(GeometryError::Stopped);
        }
        grow(hessian, rows, &mut spaces, |i| !is_done[i])?;
        for i in active {
            let space = &mut spaces[i];
            let wanted = options.largest + options.smallest;
            let is_enough = space.len() >= wanted.min(dimension);
            let looks = (step + 1) % LOOK == 0 || space.is_closed || step + 1 == steps;
            if space.is_broken || !looks {
                continue;
            }
            let ritz = space.ritz()?;
            let wanted = wanted_values(&ritz, options);
            let is_settled = has_converged(space, &ritz, options)
                || ritz.asymmetry > options.tolerance
                    && stands_still(&before[i], &wanted, &ritz, options);
            before[i] = wanted.clone();
            is_done[i] = is_enough && is_settled;
            // One vector sees each eigenvalue once, and those that it has a part of. Where H closes its
            // space, others show what it missed, until one changes nothing.
            if space.is_closed && space.len() < dimension {
                is_done[i] &= stands_still(&closed[i], &wanted, &ritz, options);
                closed[i] = wanted;
                if !is_done[i] {
                    space.reopen(&mut streams[i]);
                }
            }
        }
    }
    let finish = |((&row, space), &is_done): ((&usize, &Krylov), &bool)| match space.is_broken {
        true => Ok(None),
        false => finish(hessian, row, space, is_done, options),
    };
    rows.iter().zip(&spaces).zip(&is_done).map(finish).collect()
}

/// What the first vectors are drawn for.
const PURPOSE: u64 = 0x6c61_6e63;

impl LanczosOptions {
    /// Whether they can be used on a Hessian of `dimension` rows; [`extremes`] asks the same.
    ///
    /// # Errors
    /// [`GeometryError::Setting`], with what is accepted.
    pub fn check(&self, dimension: usize) -> Result<()> {
        let wanted = self.largest + self.smallest;
        if wanted == 0 {
            return Err(GeometryError::setting("the number of eigenvalues", 0, "1 or more"));
        }
        if self.largest.max(self.smallest) > dimension {
            let most = self.largest.max(self.smallest);
            let accepted = format!("at most {dimension}, the number of pixel values");
            return Err(GeometryError::setting("the number of eigenvalues", most, accepted));
        }
        if self.steps < wanted.min(dimension) {
            let accepted = format!("at least the number of eigenvalues, {wanted}");
            return Err(GeometryError::setting("the number of steps", self.steps, accepted));
        }
        match (0.0..=1.0).contains(&self.tolerance) {
            true => Ok(()),
            false => Err(GeometryError::setting("the tolerance", self.tolerance, "0 to 1")),
        }
    }
}

/// Positions of the wanted ones among `size` in rising order: the largest first, then the smallest.
fn positions(size: usize, options: &LanczosOptions) -> (Vec<usize>, Vec<usize>) {
    let largest = (0..size).rev().take(options.largest).collect();
    (largest, (0..size).take(options.smallest).collect())
}

fn wanted_values(ritz: &Ritz, options: &LanczosOptions) -> Vec<f64> {
    let (largest, smallest) = positions(ritz.values.len(), options);
    largest.into_iter().chain(smallest).map(|at| ritz.values[at]).collect()
}

fn stands_still(before: &[f64], now: &[f64], ritz: &Ritz, options: &LanczosOptions) -> bool {
    let most = ritz.values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let moved = before.iter().zip(now).map(|(before, now)| (before - now).abs());
    before.len() == now.len() && moved.fold(0.0, f64::max) <= options.tolerance * most
}

fn has_converged(space: &Krylov, ritz: &Ritz, options: &LanczosOptions) -> bool {
    let (largest, smallest) = positions(space.len(), options);
    let most = ritz.values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    largest.into_iter().chain(smallest).all(|at| {
        let (vector, mut product) = space.combine((0..space.len()).map(|i| ritz.vectors[(i, at)]));
        add_scaled(&mut product, -ritz.values[at], &vector);
        norm(&product) <= options.tolerance * most
    })
}

fn finish(
    hessian: &mut dyn Hessian,
    row: usize,
    space: &Krylov,
    is_done: bool,
    options: &LanczosOptions,
) -> Result<Option<Extremes>> {
    let ritz = space.ritz()?;
    let (largest, smallest) = positions(space.len(), options);
    let vector = |&at: &usize| space.combine((0..space.len()).map(|i| ritz.vectors[(i, at)])).0;
    let wanted: Vec<usize> = largest.iter().chain(&smallest).copied().collect();
    let vectors: Vec<Vec<f64>> = wanted.iter().map(vector).collect();
    let products = hessian.apply(&vec![row; vectors.len()], &vectors)?;
    let pair = |((at, vector), mut product): ((usize, Vec<f64>), Vec<f64>)| {
        let value = ritz.values[at];
        add_scaled(&mut product, -value, &vector);
        Eigenpair { value, residual: norm(&product), vector }
    };
    let mut pairs: Vec<Eigenpair> =
        wanted.into_iter().zip(vectors).zip(products).map(pair).collect();
    let most = ritz.values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let is_right = |pair: &Eigenpair| pair.residual <= 2.0 * options.tolerance * most;
    let has_converged = is_done && pairs.iter().all(is_right);
    let smallest = pairs.split_off(largest.len());
    Ok(Some(Extremes {
        largest: pairs,
        smallest,
        steps: space.len(),
        has_converged,
        asymmetry: ritz.asymmetry,
    }))
}

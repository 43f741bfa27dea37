use cure_attacks::AttackSpec;

use crate::error::{Result, check_count};
use crate::linear::{add_scaled, norm, orthogonalise, scaled};
use crate::losses::Losses;
use crate::perturbation::perturbations;
use crate::random::{gaussian, stream};

/// A plane through a sample: r towards the nearest point of the boundary that an attack found, which is
/// normal to it there, and v random, orthogonal to r.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// The sample's row.
    pub row: usize,
    /// r, of unit length in the declared scale.
    pub r: Vec<f64>,
    /// v, likewise.
    pub v: Vec<f64>,
    /// How far along r the attack went.
    pub distance: f64,
}

impl Plane {
    /// a·r + b·v.
    pub fn at(&self, a: f64, b: f64) -> Vec<f64> {
        let mut change = scaled(a, &self.r);
        add_scaled(&mut change, b, &self.v);
        change
    }
}

/// What v is drawn for.
const PURPOSE: u64 = 0x706c_616e;

/// The plane of each sample of `losses`; none where the attack fails or the sample is misclassified as
/// it is. `indices` are the samples' places in their split, which with the seed decide v: the same
/// for every network.
///
/// # Errors
/// If arguments do not fit or the attack fails.
pub fn planes(
    losses: &Losses<'_>,
    indices: &[usize],
    attack: &AttackSpec,
    seed: u64,
) -> Result<Vec<Option<Plane>>> {
    check_count("indices", losses.samples(), indices.len())?;
    let found = perturbations(losses, indices, attack, seed)?;
    let plane = |(row, (change, &index)): (usize, (Option<Vec<f64>>, &usize))| {
        let change = change?;
        let distance = norm(&change);
        if !(distance > 0.0 && distance.is_finite()) {
            return None;
        }
        let r = scaled(1.0 / distance, &change);
        let mut v = gaussian(&mut stream(seed, index, PURPOSE), r.len());
        orthogonalise(&mut v, std::slice::from_ref(&r));
        let v = scaled(1.0 / norm(&v), &v);
        Some(Plane { row, r, v, distance })
    };
    Ok(found.into_iter().zip(indices).enumerate().map(plane).collect())
}

use crate::error::Result;
use crate::linear::scaled;
use crate::losses::Losses;
use crate::ray;

/// Points looked at along each direction, before halving.
const POINTS: usize = 32;
/// Halvings of the interval where it first happens.
const HALVINGS: usize = 10;

/// How far along the perturbation of each row, as a share of it, the loss first reaches t; none where
/// none of 32 points between x and x + r has. Cost: 42 passes a row.
///
/// # Shapes
/// `perturbations`: r of each row, d entries, in the declared scale.
///
/// # Errors
/// If the arguments do not fit or the classifier fails.
pub fn crossing(
    losses: &Losses<'_>,
    rows: &[usize],
    perturbations: &[Vec<f64>],
    t: f64,
) -> Result<Vec<Option<f64>>> {
    first(losses, rows, perturbations, |_, loss, _| loss >= t)
}

/// As [`crossing`], where the class first is another one than the label: attacks step beyond that.
pub(super) fn change(
    losses: &Losses<'_>,
    rows: &[usize],
    perturbations: &[Vec<f64>],
) -> Result<Vec<Option<f64>>> {
    first(losses, rows, perturbations, |row, _, predicted| predicted != losses.labels()[row])
}

/// Where along each perturbation `happens`, asked with the row, ℓ and the prediction, is first true.
fn first(
    losses: &Losses<'_>,
    rows: &[usize],
    perturbations: &[Vec<f64>],
    happens: impl Fn(usize, f64, usize) -> bool,
) -> Result<Vec<Option<f64>>> {
    ray::first(rows.len(), POINTS, HALVINGS, |chosen, shares| {
        let samples: Vec<usize> = chosen.iter().map(|&i| rows[i]).collect();
        let changes: Vec<Vec<f64>> =
            chosen.iter().zip(shares).map(|(&i, &s)| scaled(s, &perturbations[i])).collect();
        let found = losses.at(&samples, &changes)?;
        let values = found.losses.into_iter().zip(found.predicted);
        let row = |(&row, (loss, class)): (&usize, (f64, usize))| happens(row, loss, class);
        Ok(samples.iter().zip(values).map(row).collect())
    })
}

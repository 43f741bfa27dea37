use cure_attacks::{AttackSpec, Norm, Streams};

use crate::error::{GeometryError, Result};
use crate::losses::Losses;

/// Refuses attacks that do not look for the nearest point across the boundary.
///
/// # Errors
/// [`GeometryError::Setting`] of an attack that does not minimise ℓ2.
pub fn check_nearest(attack: &AttackSpec) -> Result<()> {
    if attack.norm() != Norm::L2 || attack.epsilon().is_some() {
        let accepted = "one that finds the smallest ℓ2 perturbation, as deepfool:norm=l2";
        return Err(GeometryError::setting("the attack", attack, accepted));
    }
    Ok(())
}

/// What the attack adds to each sample, in the declared scale; none where it does not succeed, nothing
/// where the sample is misclassified as it is.
pub(crate) fn perturbations(
    losses: &Losses<'_>,
    indices: &[usize],
    attack: &AttackSpec,
    seed: u64,
) -> Result<Vec<Option<Vec<f64>>>> {
    let (images, labels, d) = (losses.images(), losses.labels(), losses.dimension());
    let mut found = Vec::with_capacity(labels.len());
    let all: Vec<usize> = (0..labels.len()).collect();
    for rows in all.chunks(losses.batch()) {
        let batch = cure_tensor::ops::select(images, rows)?;
        let places: Vec<usize> = rows.iter().map(|&row| indices[row]).collect();
        let streams = Streams::new(seed, &places);
        let attacked =
            attack.run(losses.classifier(), &batch, &losses.labels_of(rows), &streams)?;
        let (before, after) = (batch.host(), attacked.images.host());
        for slot in 0..rows.len() {
            let change = before[slot * d..][..d].iter().zip(&after[slot * d..][..d]);
            let change = change.map(|(&a, &b)| f64::from(b) - f64::from(a));
            found.push(attacked.solved[slot].then(|| losses.in_units(change)));
        }
    }
    Ok(found)
}

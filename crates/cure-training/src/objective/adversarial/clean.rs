//! Mixed batches: a share of the samples is trained on as it is, the rest where an attack took it.
//!
//! Which samples those are is drawn anew in each epoch, a pure function of seed, epoch and sample,
//! so that neither batches nor parts, threads or ranks change it.

use cure_attacks::Parameter;
use cure_tensor::{Tensor, ops};
use rand::RngExt;

use super::super::part::Batch;
use crate::Result;

pub(in super::super) const CLEAN: Parameter = Parameter::new(
    "clean",
    "0",
    "share of the samples that are not attacked, drawn anew each epoch",
);

/// What the draw is called among the streams of a sample.
const DRAW: u64 = 3;

/// The points of a batch: those of `attack` but for a share of the samples.
///
/// An attack that samples pass `alone` is spared the clean ones. Where BatchNorm lets them see each
/// other it goes over all: the statistics are then those of the whole batch, and ranks, whose
/// shares have not equally many clean samples, take the same passes.
pub(super) fn mixed(
    batch: &Batch<'_>,
    clean: f64,
    alone: bool,
    attack: impl FnOnce(&Batch<'_>) -> Result<Tensor>,
) -> Result<Tensor> {
    if clean == 0.0 {
        return attack(batch);
    }
    let attacked = attacked(batch, clean);
    if alone && attacked.is_empty() {
        return Ok(batch.images.clone());
    }
    let points = match alone {
        true => batch.within(&attacked, attack)?,
        false => ops::select(&attack(batch)?, &attacked)?,
    };
    let count = batch.labels.len();
    // Each sample's row in the images with the points behind them.
    let mut rows: Vec<usize> = (0..count).collect();
    attacked.iter().enumerate().for_each(|(point, &row)| rows[row] = count + point);
    Ok(ops::select(&ops::concatenate(&[batch.images, &points])?, &rows)?)
}

/// The positions of the samples that are attacked.
fn attacked(batch: &Batch<'_>, clean: f64) -> Vec<usize> {
    let streams = batch.streams;
    let draws = streams.indices.iter().map(|&index| streams.stream(index, DRAW).random::<f64>());
    draws.enumerate().filter(|&(_, draw)| draw >= clean).map(|(position, _)| position).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::super::SampleStreams;
    use super::*;

    fn batch<R>(epoch: u64, indices: &[usize], work: impl FnOnce(&Batch<'_>) -> R) -> R {
        let values = indices.iter().map(|&index| index as f32).collect();
        let images = Tensor::new(&[indices.len(), 1, 1, 1], values).unwrap();
        let labels = vec![0; indices.len()];
        let streams = SampleStreams { seed: 5, epoch, indices };
        work(&Batch::new(&images, &labels, streams, None).unwrap())
    }

    #[test]
    fn the_draw_has_its_share_and_belongs_to_epoch_and_sample() {
        let all: Vec<usize> = (0..2000).collect();
        let first = batch(0, &all, |batch| attacked(batch, 0.25));
        assert!((1440..1560).contains(&first.len()), "{}", first.len());
        assert_ne!(batch(1, &all, |batch| attacked(batch, 0.25)), first);
        // A larger share of the same draw.
        let fewer = batch(0, &all, |batch| attacked(batch, 0.5));
        assert!(fewer.len() < first.len() && fewer.iter().all(|row| first.contains(row)));
        for indices in [vec![7, 3], vec![3, 1999, 7, 12]] {
            let found = batch(0, &indices, |batch| attacked(batch, 0.25));
            let expected: Vec<usize> =
                (0..indices.len()).filter(|&row| first.contains(&indices[row])).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_rest_is_where_the_attack_took_it() {
        let up = |batch: &Batch<'_>| Ok(ops::scale(-1.0, batch.images.clone()));
        let indices: Vec<usize> = (1..40).collect();
        for alone in [true, false] {
            batch(2, &indices, |batch| {
                let attacked = attacked(batch, 0.5);
                assert!(!attacked.is_empty() && attacked.len() < indices.len());
                let found = mixed(batch, 0.5, alone, up).unwrap();
                for (row, value) in found.host().iter().enumerate() {
                    let sign = if attacked.contains(&row) { -1.0 } else { 1.0 };
                    assert_eq!(*value, sign * indices[row] as f32);
                }
            });
        }
    }
}

//! Gradient accumulation: a batch in parts, for less memory.

use cure_data::Batch;
use cure_network::Network;
use cure_tensor::ops;

use crate::error::Result;
use crate::objective::{EpochValues, Objective, SampleStreams, StepOutcome};

/// The objective's step on a batch, taken in `parts` of nearly equal size, one after the other.
/// The gradient is the mean of theirs, each weighted with its share of the samples: that of the
/// whole batch where samples do not see each other. BatchNorm over the batch sees the part, and
/// its running statistics move once a part.
///
/// # Errors
/// As [`Objective::step`].
pub(crate) fn step(
    objective: &Objective,
    network: &mut Network,
    batch: &Batch,
    parts: usize,
    at: &EpochValues,
    streams: &SampleStreams<'_>,
) -> Result<StepOutcome> {
    let samples = batch.labels.len();
    // A batch smaller than the number of parts has one sample in each.
    let parts = parts.clamp(1, samples.max(1));
    if parts == 1 {
        return objective.step(network, &batch.images, &batch.labels, at, streams);
    }
    let mut sum: Option<StepOutcome> = None;
    for part in 0..parts {
        let range = part * samples / parts..(part + 1) * samples / parts;
        let rows: Vec<usize> = range.clone().collect();
        let images = ops::select(&batch.images, &rows)?;
        let streams = SampleStreams { indices: &streams.indices[range.clone()], ..*streams };
        let mut outcome = objective.step(network, &images, &batch.labels[range], at, &streams)?;
        outcome.gradients = outcome.gradients.scaled(rows.len() as f32 / samples as f32);
        sum = Some(match sum {
            None => outcome,
            Some(sum) => StepOutcome {
                gradients: sum.gradients.add_scaled(1.0, &outcome.gradients)?,
                loss: sum.loss + outcome.loss,
                regularizer: sum.regularizer + outcome.regularizer,
                correct: sum.correct + outcome.correct,
                samples: sum.samples + outcome.samples,
            },
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => objective.step(network, &batch.images, &batch.labels, at, streams),
    }
}

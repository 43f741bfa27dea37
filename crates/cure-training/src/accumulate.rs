//! Gradient accumulation: a batch in parts, for less memory.

use cure_data::Batch;
use cure_network::Network;
use cure_tensor::{Tensor, ops};

use crate::error::Result;
use crate::objective::{EpochValues, Objective, SampleStreams, StepOutcome};

/// The objective's step on a batch, taken in `parts` of nearly equal size, one after the other.
/// The gradient is the mean of theirs, each weighted with its share of the samples: that of the
/// whole batch where samples do not see each other. BatchNorm over the batch sees the part, and
/// its running statistics move once a part. `points` are those of [`Objective::step_at`].
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
    points: Option<&Tensor>,
) -> Result<StepOutcome> {
    let samples = batch.labels.len();
    // A batch smaller than the number of parts has one sample in each.
    let parts = parts.clamp(1, samples.max(1));
    if parts == 1 {
        return objective.step_at(network, &batch.images, &batch.labels, at, streams, points);
    }
    let mut step = |part: usize| -> Result<StepOutcome> {
        let range = part * samples / parts..(part + 1) * samples / parts;
        let rows: Vec<usize> = range.clone().collect();
        let images = ops::select(&batch.images, &rows)?;
        let points = points.map(|points| ops::select(points, &rows)).transpose()?;
        let streams = SampleStreams { indices: &streams.indices[range.clone()], ..*streams };
        let labels = &batch.labels[range];
        let mut outcome =
            objective.step_at(network, &images, labels, at, &streams, points.as_ref())?;
        outcome.gradients = outcome.gradients.scaled(rows.len() as f32 / samples as f32);
        Ok(outcome)
    };
    let first = step(0)?;
    (1..parts).try_fold(first, |sum, part| add(sum, &step(part)?))
}

/// Both parts' contributions. Points of the next replay are those of one part after the other.
fn add(sum: StepOutcome, part: &StepOutcome) -> Result<StepOutcome> {
    let next = match (&sum.next, &part.next) {
        (Some(sum), Some(part)) => Some(ops::concatenate(&[sum, part])?),
        _ => None,
    };
    Ok(StepOutcome {
        gradients: sum.gradients.add_scaled(1.0, &part.gradients)?,
        objective: sum.objective + part.objective,
        loss: sum.loss + part.loss,
        regularizer: sum.regularizer + part.regularizer,
        correct: sum.correct + part.correct,
        samples: sum.samples + part.samples,
        next,
    })
}

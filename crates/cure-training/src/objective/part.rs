//! Batches, parts of them, and what they contribute.

use std::ops::Range;

use cure_attacks::Streams;
use cure_network::{BatchStatistics, Gradients};
use cure_tensor::{Tensor, TensorError, ops};
use rayon::prelude::*;

use super::SampleStreams;
use super::batch_norm::Passes;
use crate::Result;

/// The images of a step, or some of them.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub(super) images: &'a Tensor,
    pub(super) labels: &'a [usize],
    pub(super) streams: SampleStreams<'a>,
    /// Perturbed points that the caller chose or an attack found.
    pub(super) points: Option<&'a Tensor>,
    /// A sample's share of a mean over the whole batch.
    pub(super) share: f32,
}

impl<'a> Batch<'a> {
    /// # Errors
    /// If the numbers of images, labels, indices or points differ.
    pub(super) fn new(
        images: &'a Tensor,
        labels: &'a [usize],
        streams: SampleStreams<'a>,
        points: Option<&'a Tensor>,
    ) -> Result<Self> {
        let first = |tensor: &Tensor| tensor.shape().first().copied().unwrap_or(0);
        let mut found = vec![first(images), streams.indices.len()];
        found.extend(points.map(first));
        if found.iter().any(|&count| count != labels.len()) {
            let expected = format!("as many images and indices as the {} labels", labels.len());
            let operation = "an objective's step";
            return Err(TensorError::ShapeMismatch { operation, expected, found }.into());
        }
        let share = 1.0 / labels.len().max(1) as f32;
        Ok(Self { images, labels, streams, points, share })
    }

    /// Where the loss is taken: at the points, else at the images.
    pub(super) fn at(&self) -> &'a Tensor {
        self.points.unwrap_or(self.images)
    }

    /// The streams of an attack in training.
    pub(super) fn attack_streams(&self) -> Streams<'a> {
        Streams::new(self.streams.seed, self.streams.indices)
    }

    /// The number of a random start from them: another one in each epoch, and for each of the
    /// points that an objective draws.
    pub(super) fn draw(&self, which: usize) -> usize {
        (self.streams.epoch as usize) | (which << 40)
    }

    /// `work` on some of the images.
    pub(super) fn within<R>(
        &self,
        rows: &[usize],
        work: impl FnOnce(&Batch<'_>) -> Result<R>,
    ) -> Result<R> {
        let of = |all: &[usize]| rows.iter().map(|&row| all[row]).collect::<Vec<_>>();
        let points = self.points.map(|points| ops::select(points, rows)).transpose()?;
        work(&Batch {
            images: &ops::select(self.images, rows)?,
            labels: &of(self.labels),
            streams: SampleStreams { indices: &of(self.streams.indices), ..self.streams },
            points: points.as_ref(),
            share: self.share,
        })
    }
}

/// What some images of a batch contribute: each number is their sum, and the gradient is their part
/// of the gradient of the mean.
pub(super) struct Part {
    pub(super) gradients: Gradients,
    pub(super) objective: f64,
    pub(super) loss: f64,
    pub(super) regularizer: f64,
    pub(super) correct: usize,
    pub(super) statistics: Vec<BatchStatistics>,
    /// Where the next replay of the batch starts.
    pub(super) next: Option<Tensor>,
}

impl Part {
    /// With `weight` times the objective.
    pub(super) fn scaled(self, weight: f64) -> Self {
        let gradients = self.gradients.scaled(weight as f32);
        let (objective, loss) = (weight * self.objective, weight * self.loss);
        Self { gradients, objective, loss, ..self }
    }

    fn add(self, other: &Self) -> Result<Self> {
        Ok(Self {
            gradients: self.gradients.add_scaled(1.0, &other.gradients)?,
            objective: self.objective + other.objective,
            loss: self.loss + other.loss,
            regularizer: self.regularizer + other.regularizer,
            correct: self.correct + other.correct,
            ..self
        })
    }
}

/// `work` on the whole batch, or the sum over parts whose images see nothing of each other, each on
/// one thread.
pub(super) fn in_parts(
    passes: &Passes,
    batch: &Batch<'_>,
    work: impl Fn(&Batch<'_>) -> Result<Part> + Sync,
) -> Result<Part> {
    let ranges = match passes {
        Passes::Eval(network) => network.parts(batch.labels.len()),
        // Samples see each other.
        Passes::Train(_) => Vec::new(),
    };
    if ranges.len() < 2 {
        return work(batch);
    }
    let part = |range: Range<usize>| {
        let rows: Vec<usize> = range.collect();
        ops::alone(|| batch.within(&rows, &work))
    };
    let parts: Result<Vec<Part>> = ranges.into_par_iter().map(part).collect();
    let mut sum: Option<Part> = None;
    for part in parts? {
        sum = Some(match sum {
            None => part,
            Some(sum) => sum.add(&part)?,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => work(batch),
    }
}

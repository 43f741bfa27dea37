//! A step of the objective: the regulariser of each part of the batch, then the loss.

use std::ops::Range;

use cure_network::{BatchStatistics, Frozen, Gradients, Linearization, Network, Training};
use cure_tensor::ops;
use cure_tensor::{Tensor, TensorError};
use rayon::prelude::*;

use super::super::{EpochValues, SampleStreams, StepOutcome, count_correct};
use super::points::{Point, step_along, terms};
use super::{BatchNormMode, CureOptions};
use crate::Result;

/// A network with BatchNorm in one of its modes.
enum Passes {
    Eval(Frozen),
    Train(Training),
}

impl Passes {
    fn new(network: &Network, mode: BatchNormMode) -> Result<Self> {
        Ok(match mode {
            BatchNormMode::Eval => Self::Eval(network.frozen()?),
            BatchNormMode::Train => Self::Train(network.training()?),
        })
    }

    fn linearize(&self, images: &Tensor) -> Result<Linearization<'_>> {
        Ok(match self {
            Self::Eval(network) => network.linearize(images)?,
            Self::Train(network) => network.linearize(images)?,
        })
    }
}

/// What a step is made with.
struct Work<'a> {
    options: &'a CureOptions,
    passes: &'a Passes,
    /// The scale's unit for each channel, in pixels.
    unit: &'a [f32],
    at: &'a EpochValues,
    /// A sample's share of a mean over the batch.
    share: f32,
    /// Whether the regulariser's pass at x serves the loss as well.
    is_shared: bool,
}

/// What some images of a batch contribute.
struct Part {
    gradients: Gradients,
    loss: f64,
    correct: usize,
    regularizer: f64,
    statistics: Vec<BatchStatistics>,
}

impl Work<'_> {
    /// The regulariser's gradient, and the loss's where it shares the pass; z as given or found here.
    fn part(
        &self,
        images: &Tensor,
        labels: &[usize],
        z: Option<Tensor>,
        streams: &SampleStreams<'_>,
    ) -> Result<Part> {
        let Self { options, passes, unit, at, share, is_shared } = *self;
        let here = Point::new(passes.linearize(images)?, labels)?;
        let gradient = here.adjoint.input().clone();
        let z = match z {
            Some(z) => z,
            None => options.direction(&gradient, unit, streams)?,
        };
        let loss = here.loss.losses.iter().sum();
        let correct = count_correct(here.pass.logits(), labels);
        let of_here = here.pass.batch_statistics();
        let kept = (!options.recompute).then_some(here);
        let perturbed = step_along(images, &z, unit, at.h)?;
        let there = Point::new(passes.linearize(&perturbed)?, labels)?;
        let terms = terms(options, &gradient, &there, unit, z, perturbed)?;

        // The perturbed pass first, so that the clean one weighs more in the running statistics.
        let statistics = vec![there.pass.batch_statistics(), of_here];
        let v = ops::scale(at.gamma as f32 * share, terms.cotangent);
        let gradients = there.gradient_along(&v, 0.0)?;
        let here = match kept {
            Some(here) => here,
            None => Point::new(passes.linearize(images)?, labels)?,
        };
        let factor = if is_shared { share } else { 0.0 };
        let other = here.gradient_along(&ops::scale(-1.0, v), factor)?;
        let gradients = gradients.add_scaled(1.0, &other)?;
        Ok(Part { gradients, loss, correct, regularizer: terms.values.iter().sum(), statistics })
    }

    /// [`Work::part`] of the whole batch, or the sum over ranges of images that see nothing of each other,
    /// each on one thread.
    fn parts(
        &self,
        ranges: &[Range<usize>],
        images: &Tensor,
        labels: &[usize],
        z: Option<&Tensor>,
        streams: &SampleStreams<'_>,
    ) -> Result<Part> {
        if ranges.len() < 2 {
            return self.part(images, labels, z.cloned(), streams);
        }
        let parts: Result<Vec<Part>> = ranges
            .par_iter()
            .map(|range| {
                let rows: Vec<usize> = range.clone().collect();
                let streams =
                    SampleStreams { indices: &streams.indices[range.clone()], ..*streams };
                ops::alone(|| {
                    let z = z.map(|z| ops::select(z, &rows)).transpose()?;
                    self.part(&ops::select(images, &rows)?, &labels[range.clone()], z, &streams)
                })
            })
            .collect();
        let mut sum: Option<Part> = None;
        for part in parts? {
            sum = Some(match sum {
                None => part,
                Some(sum) => Part {
                    gradients: sum.gradients.add_scaled(1.0, &part.gradients)?,
                    loss: sum.loss + part.loss,
                    correct: sum.correct + part.correct,
                    regularizer: sum.regularizer + part.regularizer,
                    statistics: sum.statistics,
                },
            });
        }
        match sum {
            Some(sum) => Ok(sum),
            None => self.part(images, labels, z.cloned(), streams),
        }
    }
}

pub(in super::super) fn step(
    options: &CureOptions,
    network: &mut Network,
    images: &Tensor,
    labels: &[usize],
    at: &EpochValues,
    streams: &SampleStreams<'_>,
) -> Result<StepOutcome> {
    let counts = [images.shape().first().copied().unwrap_or(0), streams.indices.len()];
    if counts.iter().any(|&count| count != labels.len()) {
        let expected = format!("as many images and indices as the {} labels", labels.len());
        let found = counts.to_vec();
        let error = TensorError::ShapeMismatch { operation: "CURE's step", expected, found };
        return Err(error.into());
    }
    let share = 1.0 / labels.len().max(1) as f32;
    let mode = options.regularizer_mode;
    let unit = &options.unit(network);
    let z = if options.direction_mode == mode {
        None
    } else {
        let passes = Passes::new(network, options.direction_mode)?;
        let pass = passes.linearize(images)?;
        let loss = ops::cross_entropy(pass.logits(), labels)?;
        Some(options.direction(&pass.pullback(&loss.residual)?, unit, streams)?)
    };
    let is_shared = options.loss_mode == mode;
    let whole = {
        // Its packed weights go before those of the other program come.
        let passes = &Passes::new(network, mode)?;
        let ranges = match passes {
            Passes::Eval(network) => network.parts(labels.len()),
            // Samples see each other.
            Passes::Train(_) => Vec::new(),
        };
        let work = Work { options, passes, unit, at, share, is_shared };
        work.parts(&ranges, images, labels, z.as_ref(), streams)?
    };
    let Part { mut gradients, mut loss, mut correct, regularizer, mut statistics } = whole;
    if !is_shared {
        let passes = Passes::new(network, options.loss_mode)?;
        let pass = passes.linearize(images)?;
        let clean = ops::cross_entropy(pass.logits(), labels)?;
        loss = clean.losses.iter().sum();
        correct = count_correct(pass.logits(), labels);
        statistics.insert(0, pass.batch_statistics());
        let seed = ops::scale(share, clean.residual);
        gradients = gradients.add_scaled(1.0, &pass.parameter_gradient(&seed)?)?;
    }
    for batch in &statistics {
        network.update_running_statistics(batch)?;
    }
    Ok(StepOutcome { gradients, loss, regularizer, correct, samples: labels.len() })
}

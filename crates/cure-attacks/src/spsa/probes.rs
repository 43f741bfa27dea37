//! Where SPSA looks at the loss, and the gradient that it estimates from there.

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::SpsaOptions;
use crate::adam::Adam;
use crate::adversarial::Search;
use crate::ball::Ball;
use crate::check;
use crate::error::Result;

/// Images sent forward at once where the batch that is attacked is smaller.
const FEW: usize = 64;

/// What one sample carries from step to step.
pub(super) struct Climber {
    random: ChaCha8Rng,
    adam: Adam,
    /// The estimated gradient, then the change that follows from it.
    gradient: Vec<f64>,
}

impl Climber {
    /// At the clean image, of `length` pixels.
    pub(super) fn new(random: ChaCha8Rng, length: usize) -> Self {
        Self { random, adam: Adam::new(length), gradient: vec![0.0; length] }
    }

    /// Makes the change of the estimated gradient.
    pub(super) fn climb(&mut self, rate: f64) {
        self.adam.climb(&mut self.gradient, rate);
    }

    /// The change of each pixel.
    pub(super) fn change(&self) -> &[f64] {
        &self.gradient
    }
}

/// Where the loss is looked at around the iterates.
pub(super) struct Probes<'a> {
    classifier: &'a dyn Classifier,
    labels: &'a [usize],
    options: &'a SpsaOptions,
    ball: &'a Ball<'a>,
    /// Images sent forward.
    pub(super) forward: u64,
}

impl<'a> Probes<'a> {
    pub(super) fn new(
        classifier: &'a dyn Classifier,
        labels: &'a [usize],
        options: &'a SpsaOptions,
        ball: &'a Ball<'a>,
    ) -> Self {
        Self { classifier, labels, options, ball, forward: 0 }
    }

    /// Estimates the gradient at the point of each of `rows` into its climber.
    pub(super) fn estimate(
        &mut self,
        rows: &[usize],
        points: &Tensor,
        climbers: &mut [Climber],
        search: &mut Search<'_>,
    ) -> Result<()> {
        let (length, samples) = (self.ball.length, self.options.samples);
        let from = points.host();
        let point = |slot: usize| &from[slot * length..(slot + 1) * length];
        let mut usable = vec![0u32; rows.len()];
        rows.iter().for_each(|&row| climbers[row].gradient.fill(0.0));
        let (pairs, at_once) = (rows.len().saturating_mul(samples), self.labels.len().max(FEW) / 2);
        for first in (0..pairs).step_by(at_once) {
            let last = pairs.min(first + at_once);
            let slots: Vec<usize> = (first..last).map(|pair| pair / samples).collect();
            let directions: Vec<Vec<u64>> = slots
                .iter()
                .map(|&slot| {
                    let random = &mut climbers[rows[slot]].random;
                    (0..length.div_ceil(64)).map(|_| random.random()).collect()
                })
                .collect();
            let mut values = vec![0.0; 2 * slots.len() * length];
            values.par_chunks_exact_mut(2 * length).enumerate().for_each(|(pair, out)| {
                let (one, other) = out.split_at_mut(length);
                let free = self.ball.mask(rows[slots[pair]]);
                for (i, &pixel) in point(slots[pair]).iter().enumerate() {
                    let (below, above) = self.sides(pixel, free.is_none_or(|free| free[i]));
                    (one[i], other[i]) =
                        if is_up(&directions[pair], i) { (above, below) } else { (below, above) };
                }
            });
            let mut shape = points.shape().to_vec();
            shape[..1].fill(2 * slots.len());
            let around = Tensor::new(&shape, values)?;
            let logits = check::logits_of(self.classifier, &around)?;
            self.forward += 2 * slots.len() as u64;
            let owners: Vec<usize> =
                slots.iter().flat_map(|&slot| [rows[slot], rows[slot]]).collect();
            let losses = self.losses(&owners, &around, &logits, search)?;
            for (pair, &slot) in slots.iter().enumerate() {
                let difference = losses[2 * pair] - losses[2 * pair + 1];
                if !difference.is_finite() {
                    search.note_non_finite(rows[slot]);
                    continue;
                }
                usable[slot] += 1;
                for (i, value) in climbers[rows[slot]].gradient.iter_mut().enumerate() {
                    *value += if is_up(&directions[pair], i) { difference } else { -difference };
                }
            }
        }
        for (slot, &row) in rows.iter().enumerate() {
            let gradient = &mut climbers[row].gradient;
            let free = self.ball.mask(row);
            for (i, (value, &pixel)) in gradient.iter_mut().zip(point(slot)).enumerate() {
                let (below, above) = self.sides(pixel, free.is_none_or(|free| free[i]));
                let apart = f64::from(above) - f64::from(below);
                // Neither a fixed pixel nor a δ too short for single precision says anything.
                *value = if apart > 0.0 {
                    *value / (apart * f64::from(usable[slot].max(1)))
                } else {
                    0.0
                };
            }
            if gradient.iter().any(|&value| value != 0.0) {
                search.note_tried(&[row]);
            }
        }
        Ok(())
    }

    /// x ± δ in the box; x where it may not change.
    fn sides(&self, pixel: f32, is_free: bool) -> (f32, f32) {
        let delta = if is_free { self.options.delta.value() as f32 } else { 0.0 };
        ((pixel - delta).max(0.0), (pixel + delta).min(1.0))
    }

    /// The loss of each point, NaN where a logit is not finite; misclassified points of the ball
    /// are kept.
    fn losses(
        &self,
        owners: &[usize],
        points: &Tensor,
        logits: &Tensor,
        search: &mut Search<'_>,
    ) -> Result<Vec<f64>> {
        let labels: Vec<usize> = owners.iter().map(|&row| self.labels[row]).collect();
        let (mut losses, _) = self.options.loss.evaluate(logits, &labels)?;
        for (place, prediction) in check::predictions(logits).into_iter().enumerate() {
            if prediction.is_none() {
                losses[place] = f64::NAN;
            }
            if prediction != Some(labels[place]) {
                let found = ops::select(points, &[place])?;
                if self.ball.contains(owners[place], &found.host()) {
                    let logits = ops::select(logits, &[place])?;
                    search.keep(&[owners[place]], &found, &logits, &[losses[place]])?;
                }
            }
        }
        Ok(losses)
    }
}

/// Whether the direction, a bit a pixel, is 1 in pixel `i`, not −1.
fn is_up(direction: &[u64], i: usize) -> bool {
    direction[i / 64] >> (i % 64) & 1 == 1
}

//! Objectives of the logits at two points, x and x′: a pass at each.

use cure_attacks::{Climb, Epsilon, Norm};
use cure_network::Network;
use cure_tensor::{Tensor, ops};

use super::batch_norm::{BatchNormMode, Passes};
use super::entry::{check_number, nearby};
use super::part::{Batch, Part};
use crate::Result;

/// An objective of two batches of logits, f(x) and f(x′); each number is a sum over the batch.
pub(super) struct Terms {
    pub(super) objective: f64,
    pub(super) loss: f64,
    pub(super) regularizer: f64,
    pub(super) correct: usize,
    /// The gradients of `objective` with respect to f(x) and f(x′): `[N, K]`.
    pub(super) seeds: [Tensor; 2],
}

/// The mean of an objective of f(x) and f(x′), x′ the batch's points, with its gradient: 6 passes.
pub(super) fn pair(
    mode: BatchNormMode,
    network: &Network,
    batch: &Batch<'_>,
    terms: impl Fn(&Tensor, &Tensor) -> Result<Terms>,
) -> Result<Part> {
    let passes = Passes::new(network, mode)?;
    let (here, there) = (passes.linearize(batch.images)?, passes.linearize(batch.at())?);
    let Terms { objective, loss, regularizer, correct, seeds: [of_here, of_there] } =
        terms(here.logits(), there.logits())?;
    let statistics = vec![here.batch_statistics(), there.batch_statistics()];
    let gradients = here.parameter_gradient(&ops::scale(batch.share, of_here))?;
    let other = there.parameter_gradient(&ops::scale(batch.share, of_there))?;
    let gradients = gradients.add_scaled(1.0, &other)?;
    Ok(Part { gradients, objective, loss, regularizer, correct, statistics, next: None })
}

/// The rows of two batches of logits, side by side.
pub(super) fn rows<'a>(
    clean: &'a [f32],
    perturbed: &'a [f32],
    classes: usize,
) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    clean.chunks_exact(classes.max(1)).zip(perturbed.chunks_exact(classes.max(1)))
}

/// The attack of such objectives: steps in the ball from a point very near the image, for at the
/// image itself the divergence has no gradient.
pub(super) fn near(
    eps: Epsilon,
    norm: Norm,
    steps: usize,
    step: Option<Epsilon>,
    start: Epsilon,
) -> Climb {
    Climb {
        norm,
        epsilon: Some(eps),
        step: step.unwrap_or(eps.quarter()),
        steps,
        // The default may lie outside a tiny ball.
        start: Some(if start > eps { eps } else { start }),
    }
}

/// # Errors
/// If a start that is not the default lies outside the ball.
pub(super) fn check_near(eps: Epsilon, start: Epsilon) -> Result<()> {
    let accepted = || format!("at most eps, {}: the start lies in the ball", eps.notation());
    check_number("objective.start", start.value(), start <= eps || start == nearby(), accepted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// Whether seeds are the gradients of an objective of two samples' logits, by central
    /// differences.
    pub(in super::super) fn check_seeds(terms: impl Fn(&Tensor, &Tensor) -> Result<Terms>) {
        const CHANGE: f32 = 1e-2;
        let logits = [
            vec![1.3, -0.2, 0.4, 0.9, 2.1, -1.0, 0.3, 0.1],
            vec![-0.6, 0.8, 0.5, -1.1, 0.2, 1.4, -0.3, 0.9],
        ]
        .map(|values| Tensor::new(&[2, 4], values).unwrap());
        let found = terms(&logits[0], &logits[1]).unwrap();
        for which in 0..2 {
            for entry in 0..8 {
                let at = |change: f32| {
                    let mut moved = logits.clone();
                    let mut values = moved[which].host().into_owned();
                    values[entry] += change;
                    moved[which] = Tensor::new(&[2, 4], values).unwrap();
                    terms(&moved[0], &moved[1]).unwrap().objective
                };
                let expected = (at(CHANGE) - at(-CHANGE)) / f64::from(2.0 * CHANGE);
                let seed = f64::from(found.seeds[which].host()[entry]);
                assert!((seed - expected).abs() < 2e-3, "{which} {entry}: {seed} {expected}");
            }
        }
    }
}

//! A step of the objective: the regulariser of each part of the batch, then the loss.

use cure_network::Network;
use cure_tensor::{Tensor, ops};

use super::super::batch_norm::{BatchNormMode, Passes};
use super::super::entry::{check_share, check_weight};
use super::super::loss::{LossOptions, count_correct, cross_entropy};
use super::super::part::{Batch, Part, in_parts};
use super::super::point::Point;
use super::super::standard::{add_loss, mean_loss};
use super::super::{EpochValues, Minimise};
use super::CureOptions;
use crate::Result;
use crate::error::TrainingError;

/// What a step is made with.
struct Work<'a> {
    options: &'a CureOptions,
    passes: &'a Passes,
    /// The scale's unit for each channel, in pixels.
    unit: &'a [f32],
    at: &'a EpochValues,
    /// Whether the regulariser's pass at x serves the loss as well.
    is_shared: bool,
}

impl Work<'_> {
    /// β's loss and the regulariser with their gradient, and the loss's where it shares the pass;
    /// x + hz as given or found here.
    fn part(&self, batch: &Batch<'_>) -> Result<Part> {
        let Self { options, passes, unit, at, is_shared } = *self;
        let (labels, share) = (batch.labels, batch.share);
        let point =
            |images: &Tensor| Point::new(passes.linearize(images)?, labels, options.smoothing);
        let base = &options.base(batch, unit, at.h)?;
        let here = point(base)?;
        let gradient = here.adjoint.input().clone();
        let alpha = if is_shared { options.alpha } else { 0.0 };
        let mut loss = weighed(alpha, &here);
        let mut correct = count_correct(here.pass.logits(), labels);
        let of_here = here.pass.batch_statistics();
        let needs_here = !options.held || alpha > 0.0;
        let kept = (needs_here && !options.recompute).then_some(here);
        let perturbed = match batch.points {
            Some(points) => points.clone(),
            None => {
                let z = options.direction(&gradient, unit, &batch.streams)?;
                options.step_along(base, &z, unit, at.h)?
            }
        };
        let there = point(&perturbed)?;
        let difference = ops::subtract(there.adjoint.input(), &gradient)?;
        let (values, cotangent) = options.values(&difference, unit)?;
        let regularizer: f64 = values.iter().sum();
        loss += weighed(options.beta, &there);
        if options.alpha == 0.0 {
            correct = count_correct(there.pass.logits(), labels);
        }

        // The perturbed pass first, so that the clean one weighs more in the running statistics.
        let mut statistics = vec![there.pass.batch_statistics()];
        statistics.extend(needs_here.then_some(of_here));
        let seed = |weight: f64, point: &Point<'_>| {
            let factor = share * weight as f32;
            (factor != 0.0).then(|| ops::scale(factor, point.loss.residual.clone()))
        };
        let v = ops::scale(at.gamma as f32 * share, cotangent);
        let of_there = seed(options.beta, &there);
        let mut gradients = there.gradient_along(&v, of_there.as_ref())?;
        if needs_here {
            let here = match kept {
                Some(here) => here,
                None => point(base)?,
            };
            let other = match (seed(alpha, &here), options.held) {
                (Some(seed), true) => here.pass.parameter_gradient(&seed)?,
                (seed, _) => here.gradient_along(&ops::scale(-1.0, v), seed.as_ref())?,
            };
            gradients = gradients.add_scaled(1.0, &other)?;
        }
        let objective = loss + at.gamma * regularizer;
        Ok(Part { gradients, objective, loss, regularizer, correct, statistics, next: None })
    }
}

/// A weight times the losses; nothing where it is 0, whatever they are.
fn weighed(weight: f64, point: &Point<'_>) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * point.loss.losses.sum() }
}

impl CureOptions {
    /// x + hz, with z from passes of its own.
    fn perturbed(&self, network: &Network, batch: &Batch<'_>, h: f64) -> Result<Tensor> {
        let unit = &self.unit(network);
        let passes = Passes::new(network, self.direction_mode)?;
        let base = self.base(batch, unit, h)?;
        let pass = passes.linearize(&base)?;
        let loss = cross_entropy(pass.logits(), batch.labels, self.smoothing)?;
        let z = self.direction(&pass.pullback(&loss.residual)?, unit, &batch.streams)?;
        self.step_along(&base, &z, unit, h)
    }

    /// The losses alone, where γ is 0: 3 passes for each that has a weight, and 2 for z went
    /// before.
    fn losses(&self, network: &Network, batch: &Batch<'_>) -> Result<Part> {
        let mean = |mode: BatchNormMode, points: &Tensor| {
            let options = LossOptions { loss_mode: mode, smoothing: self.smoothing };
            mean_loss(&options, network, batch, points)
        };
        let of_clean = || mean(self.loss_mode, batch.images);
        if self.beta == 0.0 {
            return Ok(of_clean()?.scaled(self.alpha));
        }
        let of_perturbed = mean(self.regularizer_mode, batch.at())?.scaled(self.beta);
        match self.alpha == 0.0 {
            true => Ok(of_perturbed),
            false => add_loss(of_perturbed, self.alpha, of_clean()?),
        }
    }
}

impl Minimise for CureOptions {
    fn check(&self, _: Option<usize>) -> Result<()> {
        check_share("objective.smoothing", self.smoothing)?;
        check_weight("objective.alpha", self.alpha)?;
        check_weight("objective.beta", self.beta)?;
        check_weight("objective.noise", self.noise)?;
        match self.alpha + self.beta > 0.0 {
            true => Ok(()),
            false => Err(TrainingError::setting("objective.alpha", 0, "above 0 where beta is 0")),
        }
    }

    /// x + hz where the regulariser's passes do not find it.
    fn points(
        &self,
        network: &Network,
        batch: &Batch<'_>,
        at: &EpochValues,
    ) -> Result<Option<Tensor>> {
        let is_needed = match at.gamma == 0.0 {
            true => self.beta > 0.0,
            false => self.direction_mode != self.regularizer_mode,
        };
        is_needed.then(|| self.perturbed(network, batch, at.h)).transpose()
    }

    fn part(&self, network: &Network, batch: &Batch<'_>, at: &EpochValues) -> Result<Part> {
        if at.gamma == 0.0 {
            return self.losses(network, batch);
        }
        let (mode, unit) = (self.regularizer_mode, &self.unit(network));
        // With noise the regulariser's first point is not x.
        let is_shared = self.loss_mode == mode && self.noise == 0.0;
        let whole = {
            // Its packed weights go before those of the other program come.
            let passes = &Passes::new(network, mode)?;
            let work = Work { options: self, passes, unit, at, is_shared };
            in_parts(passes, batch, |batch| work.part(batch))?
        };
        if is_shared || self.alpha == 0.0 {
            return Ok(whole);
        }
        let options = LossOptions { loss_mode: self.loss_mode, smoothing: self.smoothing };
        add_loss(whole, self.alpha, mean_loss(&options, network, batch, batch.images)?)
    }
}

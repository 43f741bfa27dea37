//! What is measured after an epoch, and what follows from it.

use crate::checkpoint::{Best, Ending};
use crate::curvature::{self, Curvature};
use crate::error::Result;
use crate::metrics::EpochRow;
use crate::observer::{Control, Event};
use crate::overfitting::{Attacked, Consequence, OnOverfitting, Overfitting};
use crate::selection::Selection;
use crate::validation;

use super::epoch::Trainer;

/// What is measured after an epoch.
#[derive(Default)]
pub(super) struct Measured {
    validation: Option<validation::Measured>,
    curvature: Option<Curvature>,
}

impl Trainer<'_> {
    /// `None` where the observer asked to stop.
    pub(super) fn measure(&mut self) -> Result<Option<Measured>> {
        let (epoch, epochs) = (self.now.position.epoch + 1, self.config.epochs);
        let (network, seed) = (self.now.moment.averaged(), self.config.seed);
        let mut measured = Measured::default();
        if let Some(samples) = self.validation {
            let attack = self.config.attack().filter(|attack| attack.is_due(epoch, epochs));
            let proceed = |done, total| {
                let event = Event::Validation { epoch, done, total };
                self.observer.observe(&event) == Control::Continue
            };
            measured.validation =
                validation::measure(network, samples, attack, seed, &self.ranks, proceed)?;
            if measured.validation.is_none() {
                return Ok(None);
            }
        }
        if let Some(options) = &self.config.curvature
            && options.is_due(epoch, epochs)
        {
            let proceed = |done, total| {
                let event = Event::Curvature { epoch, done, total };
                self.observer.observe(&event) == Control::Continue
            };
            let (samples, ranks) = (self.train, &self.ranks);
            measured.curvature =
                curvature::measure(network, samples, options, seed, ranks, proceed)?;
            if measured.curvature.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(measured))
    }

    /// The row of an epoch of `total` batches.
    pub(super) fn row(&self, total: usize, measured: &Measured) -> EpochRow {
        let (sums, epoch) = (self.now.sums, self.now.position.epoch);
        let clip_norm = self.config.clip_norm;
        let (samples, norms) = (sums.samples.max(1) as f64, sums.norms.max(1) as f64);
        let validation = measured.validation.as_ref();
        let robust = validation.and_then(|validation| validation.robust);
        let attack = self.config.attack().filter(|_| robust.is_some());
        let at = self.config.values_at(epoch);
        EpochRow {
            epoch: epoch + 1,
            loss: sums.loss / samples,
            regularizer: sums.regularizer / samples,
            train_accuracy: sums.correct as f64 / samples,
            validation_accuracy: validation.map(|validation| validation.clean),
            validation_robust_accuracy: robust,
            validation_fgsm_accuracy: validation.and_then(|validation| validation.fgsm),
            validation_attack: attack.map(|attack| attack.spec.to_string()),
            h: at.h,
            gamma: at.gamma,
            scheduled: self.config.scheduled_at(epoch),
            gradient_norm: clip_norm.map(|_| sums.gradient_norm / norms),
            clipped: clip_norm.map(|_| sums.clipped as f64 / norms),
            curvature: measured.curvature,
            overfitting: None,
            // Of the last batch.
            learning_rate: self.config.rates(epoch, total.saturating_sub(1), total).all,
            images_seen: self.now.images_seen,
            seconds: sums.seconds,
        }
    }

    /// Keeps the network if it is at least as good as the best so far.
    pub(super) fn choose(&mut self, row: &EpochRow) -> Result<bool> {
        let metric = match self.config.criterion() {
            Selection::BestRobust => row.validation_robust_accuracy,
            Selection::BestClean => row.validation_accuracy,
            Selection::Last | Selection::Auto => None,
        };
        let Some(metric) = metric else { return Ok(false) };
        let since = match &self.now.best {
            Some((best, _)) if best.metric > metric => return Ok(false),
            Some((best, _)) if best.metric == metric => best.since,
            _ => row.epoch,
        };
        let best = Best { epoch: row.epoch, metric, since };
        let network = self.now.moment.averaged().clone();
        self.export(&self.run.best(), &network, best.epoch, Some(best))?;
        self.now.best = Some((best, network));
        Ok(true)
    }

    /// Ends the run where no epoch was better for too long.
    pub(super) fn check_patience(&mut self, epoch: usize) {
        if let (Some(patience), Some((best, _))) = (self.config.patience, &self.now.best)
            && epoch >= best.since + patience
        {
            self.now.ended = Some(Ending::Patience);
        }
    }

    /// Looks for catastrophic overfitting, and acts on it.
    pub(super) fn watch(&mut self, row: &EpochRow) -> Option<Overfitting> {
        let (robust, fgsm) = (row.validation_robust_accuracy?, row.validation_fgsm_accuracy?);
        let at = Attacked { epoch: row.epoch, robust, fgsm };
        let watch = &mut self.now.watch;
        let best = match watch.best {
            Some(best) if at.robust < best.robust => best,
            _ => {
                watch.best = Some(at);
                let keeps = self.config.on_overfitting == OnOverfitting::RollBack;
                watch.kept = keeps.then(|| self.now.moment.clone());
                return None;
            }
        };
        if !at.is_overfitted(&best) {
            return None;
        }
        let consequence = match (self.config.on_overfitting, &watch.kept) {
            (OnOverfitting::Warn, _) => Consequence::Warned,
            (OnOverfitting::RollBack, Some(kept)) if watch.roll_backs < self.config.roll_backs => {
                self.now.moment = kept.clone();
                watch.roll_backs += 1;
                Consequence::RolledBack
            }
            (OnOverfitting::Stop | OnOverfitting::RollBack, _) => {
                self.now.ended = Some(Ending::Overfitting);
                Consequence::Stopped
            }
        };
        Some(Overfitting { at, best, consequence, roll_backs: watch.roll_backs })
    }
}

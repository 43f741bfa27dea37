//! What is measured after an epoch, and what follows from it.

use crate::checkpoint::{Best, Ending};
use crate::curvature;
use crate::error::Result;
use crate::metrics::EpochRow;
use crate::observer::{Control, Event};
use crate::overfitting::{Attacked, Consequence, OnOverfitting, Overfitting};
use crate::selection::Selection;
use crate::validation::{self, is_due};

use super::epoch::Trainer;

/// What follows from an epoch's row. Nothing has changed yet: a run that is stopped while it
/// measures goes on from the end of the epoch's steps.
pub(super) struct Verdict {
    /// The epoch is the best so far.
    best: Option<Best>,
    watched: Option<Watched>,
    /// The run ends here, before its last epoch.
    ended: Option<Ending>,
}

/// What the watch for catastrophic overfitting says of an epoch.
enum Watched {
    /// It is the reference from now on.
    Reference(Attacked),
    Overfitted(Overfitting),
}

impl Trainer<'_> {
    /// The row of an epoch of `total` batches, and what follows from it; `None` where the observer
    /// asked to stop. A run that ends here has everything measured that its last epoch would have.
    pub(super) fn measure(&mut self, total: usize) -> Result<Option<(EpochRow, Verdict)>> {
        let (epoch, epochs) = (self.now.position.epoch + 1, self.config.epochs);
        let every = self.config.attack().map(|attack| attack.every);
        let is_attacked = every.is_some_and(|every| is_due(every, epoch, epochs));
        let Some(measured) = self.validate(is_attacked)? else { return Ok(None) };
        let mut row = self.row(total, &measured);
        let best = self.better(&row);
        let mut ended = self.is_out_of_patience(&row, best).then_some(Ending::Patience);
        if ended.is_some() && every.is_some() && !is_attacked {
            let Some(measured) = self.validate(true)? else { return Ok(None) };
            row = self.row(total, &measured);
        }
        let watched = self.look(&row, ended.is_some() || epoch == epochs);
        if let Some(Watched::Overfitted(found)) = watched {
            row.overfitting = Some(found);
            if found.consequence == Consequence::Stopped && epoch < epochs {
                ended = ended.or(Some(Ending::Overfitting));
            }
        }
        if let Some(options) = self.config.curvature
            && (ended.is_some() || is_due(options.every, epoch, epochs))
        {
            let (network, seed) = (self.now.moment.averaged(), self.config.seed);
            let proceed = |done, total| {
                let event = Event::Curvature { epoch, done, total };
                self.observer.observe(&event) == Control::Continue
            };
            let (samples, ranks) = (self.train, &self.ranks);
            row.curvature = curvature::measure(network, samples, &options, seed, ranks, proceed)?;
            if row.curvature.is_none() {
                return Ok(None);
            }
        }
        Ok(Some((row, Verdict { best, watched, ended })))
    }

    /// Accuracies on the validation samples, if there are any; `None` where the observer asked to
    /// stop.
    fn validate(&mut self, is_attacked: bool) -> Result<Option<validation::Measured>> {
        let Some(samples) = self.validation else { return Ok(Some(Default::default())) };
        let (network, seed) = (self.now.moment.averaged(), self.config.seed);
        let attack = self.config.attack().filter(|_| is_attacked);
        let epoch = self.now.position.epoch + 1;
        let proceed = |done, total| {
            let event = Event::Validation { epoch, done, total };
            self.observer.observe(&event) == Control::Continue
        };
        validation::measure(network, samples, attack, seed, &self.ranks, proceed)
    }

    /// The row of an epoch of `total` batches.
    fn row(&self, total: usize, measured: &validation::Measured) -> EpochRow {
        let (sums, epoch) = (self.now.sums, self.now.position.epoch);
        let clip_norm = self.config.clip_norm;
        let (samples, norms) = (sums.samples.max(1) as f64, sums.norms.max(1) as f64);
        let attack = self.config.attack().filter(|_| measured.robust.is_some());
        let at = self.config.values_at(epoch);
        EpochRow {
            epoch: epoch + 1,
            loss: sums.loss / samples,
            regularizer: sums.regularizer / sums.regularized.max(1) as f64,
            train_accuracy: sums.correct as f64 / samples,
            validation_accuracy: measured.clean,
            validation_robust_accuracy: measured.robust,
            validation_fgsm_accuracy: measured.fgsm,
            validation_attack: attack.map(|attack| attack.spec.to_string()),
            h: at.h,
            gamma: at.gamma,
            scheduled: self.config.scheduled_at(epoch),
            gradient_norm: clip_norm.map(|_| sums.gradient_norm / norms),
            clipped: clip_norm.map(|_| sums.clipped as f64 / norms),
            curvature: None,
            overfitting: None,
            // Of the last batch.
            learning_rate: self.config.rates(epoch, total.saturating_sub(1), total).all,
            images_seen: self.now.images_seen,
            seconds: sums.seconds,
        }
    }

    /// The epoch, where it is at least as good as the best so far.
    fn better(&self, row: &EpochRow) -> Option<Best> {
        let metric = match self.config.criterion() {
            Selection::BestRobust => row.validation_robust_accuracy?,
            Selection::BestClean => row.validation_accuracy?,
            Selection::Last | Selection::Auto => return None,
        };
        let since = match &self.now.best {
            Some((best, _)) if best.metric > metric => return None,
            Some((best, _)) if best.metric == metric => best.since,
            _ => row.epoch,
        };
        Some(Best { epoch: row.epoch, metric, since })
    }

    /// Whether too many measurements were no better than one before them. Only an epoch with a
    /// measurement can say so.
    fn is_out_of_patience(&self, row: &EpochRow, best: Option<Best>) -> bool {
        let best = best.or(self.now.best.as_ref().map(|(best, _)| *best));
        let (Some(patience), Some(best)) = (self.config.patience, best) else { return false };
        let is_measured = |epoch: &usize| self.config.is_measured(*epoch);
        is_measured(&row.epoch)
            && (best.since + 1..=row.epoch).filter(is_measured).count() >= patience
    }

    /// Looks for catastrophic overfitting, in an epoch that the run ends with or not.
    fn look(&self, row: &EpochRow, is_last: bool) -> Option<Watched> {
        let (robust, fgsm) = (row.validation_robust_accuracy?, row.validation_fgsm_accuracy?);
        let at = Attacked { epoch: row.epoch, robust, fgsm };
        let watch = &self.now.watch;
        let chance = self.config.attack()?.chance(self.validation?);
        let best = watch.best.filter(|best| at.robust < best.robust);
        let is_overfitted = match &best {
            Some(best) => at.is_overfitted(best),
            None if at.can_be_reference(chance) => return Some(Watched::Reference(at)),
            None => {
                let settled = self.config.is_settled(row.epoch - 1);
                let is_asked = self.config.objective.is_one_step() && settled;
                is_asked && watch.best.is_none() && at.is_overfitted_from_the_start(chance)
            }
        };
        if !is_overfitted {
            return None;
        }
        let can_return = watch.kept.is_some() && watch.roll_backs < self.config.roll_backs;
        let consequence = match self.config.on_overfitting {
            OnOverfitting::Warn => Consequence::Warned,
            // The weights that a run ends with are those of its last epoch.
            OnOverfitting::RollBack if can_return && !is_last => Consequence::RolledBack,
            OnOverfitting::Stop | OnOverfitting::RollBack => Consequence::Stopped,
        };
        let returned = usize::from(consequence == Consequence::RolledBack);
        let roll_backs = watch.roll_backs + returned;
        Some(Watched::Overfitted(Overfitting { at, best, consequence, roll_backs }))
    }

    /// Keeps the network if it is the best so far, and exports it where epochs are kept; then acts
    /// on overfitting. Says whether the epoch is chosen.
    pub(super) fn act(&mut self, row: &EpochRow, verdict: Verdict) -> Result<bool> {
        if let Some(best) = verdict.best {
            let network = self.now.moment.averaged().clone();
            self.export(&self.run.best(), &network, best.epoch, Some(best))?;
            self.now.best = Some((best, network));
        }
        if self.config.keep_every.is_some_and(|every| row.epoch.is_multiple_of(every)) {
            let place = self.run.epoch(row.epoch);
            self.export(&place, self.now.moment.averaged(), row.epoch, None)?;
        }
        let watch = &mut self.now.watch;
        match verdict.watched {
            Some(Watched::Reference(at)) => {
                watch.best = Some(at);
                let keeps = self.config.on_overfitting == OnOverfitting::RollBack;
                watch.kept = keeps.then(|| self.now.moment.clone());
            }
            Some(Watched::Overfitted(found)) => {
                watch.roll_backs = found.roll_backs;
                if let (Consequence::RolledBack, Some(kept)) = (found.consequence, &watch.kept) {
                    self.now.moment = kept.clone();
                }
            }
            None => {}
        }
        self.now.ended = verdict.ended;
        Ok(verdict.best.is_some())
    }
}

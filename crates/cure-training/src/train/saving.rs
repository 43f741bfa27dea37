//! Checkpoints and exported weights of a run in progress.

use std::path::Path;

use cure_network::Network;

use super::Finished;
use super::epoch::Trainer;
use crate::checkpoint::{Best, Checkpoint};
use crate::error::{Result, TrainingError};
use crate::export::{self, Provenance};
use crate::objective::{EpochValues, Objective};
use crate::observer::Event;
use crate::selection::Selection;

impl Trainer<'_> {
    pub(super) fn diverged(
        &self,
        what: String,
        at: &EpochValues,
        learning_rate: f64,
    ) -> TrainingError {
        let (settings, remedy) = match &self.config.objective {
            Objective::Cure(_) => (
                format!("h {}, γ {}", at.h, at.gamma),
                "lower the learning rate or γ, or let h start smaller",
            ),
            Objective::Standard(_) => ("standard".into(), "lower the learning rate"),
            other => (other.to_string(), "lower the learning rate or the objective's weights"),
        };
        let kept = Checkpoint::read_position(&self.run.last());
        TrainingError::Diverged {
            what,
            epoch: self.now.position.epoch + 1,
            batch: self.now.position.batch + 1,
            learning_rate,
            settings,
            remedy,
            kept: kept.map_or("if any".into(), |position| position.to_string()),
        }
    }

    /// Writes the weights of an epoch, counted from 1, if this rank is the one that writes.
    pub(super) fn export(
        &self,
        place: &Path,
        network: &Network,
        epoch: usize,
        chosen: Option<Best>,
    ) -> Result<()> {
        match self.ranks.is_first() {
            true => export::write(place, network, &self.provenance(epoch, chosen)),
            false => Ok(()),
        }
    }

    fn provenance(&self, epoch: usize, chosen: Option<Best>) -> Provenance<'_> {
        let criterion = match self.config.criterion() {
            Selection::BestRobust => "validation_robust_accuracy",
            _ => "validation_accuracy",
        };
        Provenance {
            identity: &self.now.identity,
            objective: self.config.objective.name(),
            epoch,
            chosen_by: chosen.map(|best| (criterion, best.metric)),
        }
    }

    /// Saves a checkpoint of this moment.
    pub(super) fn save(&mut self) -> Result<()> {
        // A weight that overflowed must not push the last good checkpoint out.
        if let Err(error) = self.now.moment.network.check_finite() {
            let epoch = self.now.position.epoch.min(self.config.epochs.saturating_sub(1));
            let at = self.config.values_at(epoch);
            let rate = self.config.learning_rate.at(epoch as f64, self.config.epochs as f64);
            return Err(self.diverged(error.to_string(), &at, rate));
        }
        self.run.save(&self.now)?;
        let path = self.run.last();
        // A wish to stop is asked for again with the next step.
        self.observer.observe(&Event::CheckpointSaved { position: self.now.position, path: &path });
        Ok(())
    }

    /// Exports the weights of a run that is complete.
    pub(super) fn finish(self) -> Result<Finished> {
        let last = self.now.moment.averaged().clone();
        let (best, chosen) = match self.now.best.clone() {
            Some((best, network)) => (Some(best), network),
            None => (None, last.clone()),
        };
        let last_epoch = self.now.position.epoch;
        let chosen_epoch = best.map_or(last_epoch, |best| best.epoch);
        self.export(&self.run.last_weights(), &last, last_epoch, None)?;
        self.export(&self.run.weights(), &chosen, chosen_epoch, best)?;
        let rows = if self.ranks.is_first() { self.run.metrics()? } else { Vec::new() };
        let ended = self.now.ended;
        Ok(Finished { last, chosen, chosen_epoch, rows, ended })
    }
}

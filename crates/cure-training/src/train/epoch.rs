//! A run in progress, epoch by epoch.

use std::time::Instant;

use cure_data::{Batch, Dataset, epoch_order};
use cure_tensor::Tensor;

use super::Finished;
use crate::checkpoint::{Best, Checkpoint, EpochSums, Position};
use crate::config::{Selection, TrainingConfig};
use crate::error::{Result, TrainingError};
use crate::export::{self, Provenance};
use crate::metrics::EpochRow;
use crate::objective::{EpochValues, SampleStreams, StepOutcome};
use crate::observer::{Control, Event, Observer};
use crate::prefetch::{self, EpochBatches};
use crate::run_directory::RunDirectory;
use crate::validation::{self, Measured};

/// A run in progress.
pub(super) struct Trainer<'a> {
    pub(super) train: &'a Dataset,
    pub(super) validation: Option<&'a Dataset>,
    pub(super) config: &'a TrainingConfig,
    pub(super) run: &'a mut RunDirectory,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) now: Checkpoint,
}

impl Trainer<'_> {
    /// The positions of an epoch's samples, batch by batch.
    fn batches(&self) -> Vec<Vec<usize>> {
        let order = epoch_order(self.train.len(), self.config.seed, self.now.position.epoch as u64);
        let used = &order[..self.config.images_of(self.train)];
        let mut batches: Vec<Vec<usize>> =
            used.chunks(self.config.batch).map(<[usize]>::to_vec).collect();
        if self.config.drop_last {
            batches.retain(|batch| batch.len() == self.config.batch);
        }
        batches
    }

    /// One epoch, or what is left of it, with its validation, row and checkpoint.
    pub(super) fn epoch(&mut self) -> Result<Control> {
        let begun = Instant::now();
        let (batches, seconds_before) = (self.batches(), self.now.sums.seconds);
        let total = batches.len();
        let epoch = self.now.position.epoch;
        let at = EpochValues { h: self.config.h.at(epoch), gamma: self.config.gamma.at(epoch) };
        let (done, epochs) = (self.now.position.batch, self.config.epochs);
        let started = Event::EpochStarted { epoch: epoch + 1, epochs, done, batches: total };
        if self.observer.observe(&started) == Control::Stop
            || self.steps(batches, &at, begun, seconds_before)? == Control::Stop
        {
            return Ok(Control::Stop);
        }
        let Some(measured) = self.measure()? else { return Ok(Control::Stop) };
        self.now.sums.seconds = seconds_before + begun.elapsed().as_secs_f64();
        let row = self.row(&at, total, measured.as_ref());
        let chosen = self.choose(&row)?;
        if self.config.keep_every.is_some_and(|every| row.epoch.is_multiple_of(every)) {
            let place = self.run.epoch(row.epoch);
            export::write(&place, &self.now.network, &self.provenance(row.epoch, None))?;
        }
        self.run.append(&row)?;
        self.now.position = Position { epoch: epoch + 1, batch: 0 };
        self.now.sums = EpochSums::default();
        self.save()?;
        Ok(self.observer.observe(&Event::EpochEnded { row: &row, chosen }))
    }

    fn steps(
        &mut self,
        batches: Vec<Vec<usize>>,
        at: &EpochValues,
        begun: Instant,
        seconds_before: f64,
    ) -> Result<Control> {
        let total = batches.len();
        let first = self.now.position.batch;
        let source = EpochBatches {
            dataset: self.train,
            augmentation: self.config.augmentation,
            seed: self.config.seed,
            epoch: self.now.position.epoch as u64,
            positions: batches,
        };
        let mut saved = Instant::now();
        std::thread::scope(|scope| {
            for batch in prefetch::start(scope, source, first)? {
                let control = self.step(&batch?, at, total)?;
                self.now.sums.seconds = seconds_before + begun.elapsed().as_secs_f64();
                if control == Control::Stop {
                    return Ok(Control::Stop);
                }
                if saved.elapsed().as_secs_f64() >= self.config.checkpoint_seconds {
                    self.save()?;
                    saved = Instant::now();
                }
            }
            Ok(Control::Continue)
        })
    }

    fn step(&mut self, batch: &Batch, at: &EpochValues, total: usize) -> Result<Control> {
        let learning_rate = self.learning_rate(total);
        let epoch = self.now.position.epoch;
        let streams =
            SampleStreams { seed: self.config.seed, epoch: epoch as u64, indices: &batch.indices };
        let mut outcome = self.objective_step(batch, at, &streams, learning_rate, None)?;
        for _ in 1..self.config.objective.replays() {
            let points = outcome.next.as_ref();
            outcome = self.objective_step(batch, at, &streams, learning_rate, points)?;
        }
        self.now.position.batch += 1;
        let mean = |sum: f64| sum / outcome.samples.max(1) as f64;
        Ok(self.observer.observe(&Event::Step {
            epoch: epoch + 1,
            batch: self.now.position.batch,
            batches: total,
            loss: mean(outcome.loss),
            regularizer: mean(outcome.regularizer),
            accuracy: mean(outcome.correct as f64),
            learning_rate,
        }))
    }

    /// One step of objective and optimiser, at the points that a step before it on this batch left.
    fn objective_step(
        &mut self,
        batch: &Batch,
        at: &EpochValues,
        streams: &SampleStreams<'_>,
        learning_rate: f64,
        points: Option<&Tensor>,
    ) -> Result<StepOutcome> {
        let (network, objective) = (&mut self.now.network, &self.config.objective);
        let outcome =
            objective.step_at(network, &batch.images, &batch.labels, at, streams, points)?;
        if let Some(what) = not_finite(&outcome) {
            return Err(self.diverged(what, at, learning_rate));
        }
        self.now.optimizer.step(&mut self.now.network, &outcome.gradients, learning_rate)?;
        let sums = &mut self.now.sums;
        sums.loss += outcome.loss;
        sums.regularizer += outcome.regularizer;
        sums.correct += outcome.correct;
        sums.samples += outcome.samples;
        self.now.images_seen += outcome.samples as u64;
        Ok(outcome)
    }

    /// The rate of the step that comes next, of `total` in the epoch.
    fn learning_rate(&self, total: usize) -> f64 {
        let Position { epoch, batch } = self.now.position;
        let time = epoch as f64 + batch as f64 / total.max(1) as f64;
        self.config.learning_rate.at(time, self.config.epochs as f64)
    }

    fn diverged(&self, what: String, at: &EpochValues, learning_rate: f64) -> TrainingError {
        let kept = Checkpoint::read_position(&self.run.last());
        TrainingError::Diverged {
            what,
            epoch: self.now.position.epoch + 1,
            batch: self.now.position.batch + 1,
            learning_rate,
            h: at.h,
            gamma: at.gamma,
            kept: kept.map_or("if any".into(), |position| position.to_string()),
        }
    }

    /// `None` where the observer asked to stop; `Some(None)` without validation samples.
    fn measure(&mut self) -> Result<Option<Option<Measured>>> {
        let Some(samples) = self.validation else { return Ok(Some(None)) };
        let epoch = self.now.position.epoch + 1;
        let attack = self.config.attack().filter(|attack| attack.is_due(epoch, self.config.epochs));
        let proceed = |done, total| {
            let event = Event::Validation { epoch, done, total };
            self.observer.observe(&event) == Control::Continue
        };
        let measured =
            validation::measure(&self.now.network, samples, attack, self.config.seed, proceed)?;
        Ok(measured.map(Some))
    }

    fn row(&self, at: &EpochValues, total: usize, measured: Option<&Measured>) -> EpochRow {
        let sums = self.now.sums;
        let samples = sums.samples.max(1) as f64;
        let robust = measured.and_then(|measured| measured.robust);
        let attack = self.config.attack().filter(|_| robust.is_some());
        // The position is behind the last batch here; its own step was one before.
        let last = self.now.position.epoch as f64 + total.saturating_sub(1) as f64 / total as f64;
        EpochRow {
            epoch: self.now.position.epoch + 1,
            loss: sums.loss / samples,
            regularizer: sums.regularizer / samples,
            train_accuracy: sums.correct as f64 / samples,
            validation_accuracy: measured.map(|measured| measured.clean),
            validation_robust_accuracy: robust,
            validation_attack: attack.map(|attack| attack.spec.to_string()),
            h: at.h,
            gamma: at.gamma,
            learning_rate: self.config.learning_rate.at(last, self.config.epochs as f64),
            images_seen: self.now.images_seen,
            seconds: sums.seconds,
        }
    }

    /// Keeps the network if it is at least as good as the best so far.
    fn choose(&mut self, row: &EpochRow) -> Result<bool> {
        let metric = match self.config.criterion() {
            Selection::BestRobust => row.validation_robust_accuracy,
            Selection::BestClean => row.validation_accuracy,
            Selection::Last | Selection::Auto => None,
        };
        let Some(metric) = metric else { return Ok(false) };
        if self.now.best.as_ref().is_some_and(|(best, _)| best.metric > metric) {
            return Ok(false);
        }
        let best = Best { epoch: row.epoch, metric };
        self.now.best = Some((best, self.now.network.clone()));
        export::write(
            &self.run.best(),
            &self.now.network,
            &self.provenance(best.epoch, Some(best)),
        )?;
        Ok(true)
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
        if let Err(error) = self.now.network.check_finite() {
            let epoch = self.now.position.epoch.min(self.config.epochs.saturating_sub(1));
            let at = EpochValues { h: self.config.h.at(epoch), gamma: self.config.gamma.at(epoch) };
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
        let last = self.now.network.clone();
        let (best, chosen) = match self.now.best.clone() {
            Some((best, network)) => (Some(best), network),
            None => (None, last.clone()),
        };
        let epochs = self.config.epochs;
        let chosen_epoch = best.map_or(epochs, |best| best.epoch);
        export::write(&self.run.last_weights(), &last, &self.provenance(epochs, None))?;
        export::write(&self.run.weights(), &chosen, &self.provenance(chosen_epoch, best))?;
        Ok(Finished { last, chosen, chosen_epoch, rows: self.run.metrics()? })
    }
}

fn not_finite(outcome: &StepOutcome) -> Option<String> {
    if !outcome.loss.is_finite() {
        return Some(format!("the loss ({})", outcome.loss));
    }
    if !outcome.regularizer.is_finite() {
        return Some(format!("the regulariser ({})", outcome.regularizer));
    }
    (!outcome.gradients.is_finite()).then(|| "a gradient".into())
}

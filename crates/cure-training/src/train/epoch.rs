//! A run in progress, epoch by epoch.

use std::time::Instant;

use cure_data::{Batch, Dataset, epoch_order};
use cure_network::{Gradients, Ranks};
use cure_tensor::{OutOfMemory, Tensor};

use crate::accumulate;
use crate::checkpoint::{Checkpoint, EpochSums, Position};
use crate::clipping;
use crate::config::TrainingConfig;
use crate::error::{Result, TrainingError};
use crate::objective::{Objective, SampleStreams, StepOutcome};
use crate::observer::{Control, Event, Observer};
use crate::optimizer::Rates;
use crate::prefetch::{self, EpochBatches};
use crate::ranks;
use crate::run_directory::RunDirectory;

/// A run in progress.
pub(super) struct Trainer<'a> {
    pub(super) train: &'a Dataset,
    pub(super) validation: Option<&'a Dataset>,
    pub(super) config: &'a TrainingConfig,
    pub(super) run: &'a mut RunDirectory,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) now: Checkpoint,
    /// The processes that share each batch. All of them go through the same steps; the first one
    /// writes, and is the one that says how long an epoch took.
    pub(super) ranks: Ranks,
}

/// What an epoch's steps are taken with.
struct Epoch {
    objective: Objective,
    /// Samples of each of the epoch's batches, over all ranks.
    samples: Vec<usize>,
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

    /// Tells the observer, and whether one on any rank asks to stop.
    pub(super) fn tell(&mut self, event: &Event<'_>) -> Control {
        let stop = self.observer.observe(event) == Control::Stop;
        if self.ranks.any(stop) { Control::Stop } else { Control::Continue }
    }

    /// One epoch, or what is left of it, with its validation, row and checkpoint.
    pub(super) fn epoch(&mut self) -> Result<Control> {
        let begun = Instant::now();
        let (batches, seconds_before) = (self.batches(), self.now.sums.seconds);
        let total = batches.len();
        let epoch = self.now.position.epoch;
        let (done, epochs) = (self.now.position.batch, self.config.epochs);
        let started = Event::EpochStarted { epoch: epoch + 1, epochs, done, batches: total };
        if self.tell(&started) == Control::Stop
            || self.steps(batches, begun, seconds_before)? == Control::Stop
        {
            return Ok(Control::Stop);
        }
        let Some((mut row, verdict)) = self.measure(total)? else { return Ok(Control::Stop) };
        ranks::check_agreement(&self.now.moment.network, "", "after an epoch", &self.ranks)?;
        row.seconds = seconds_before + begun.elapsed().as_secs_f64();
        let chosen = self.act(&row, verdict)?;
        self.run.append(&row)?;
        self.now.position = Position { epoch: epoch + 1, batch: 0 };
        self.now.sums = EpochSums::default();
        self.save()?;
        let control = self.tell(&Event::EpochEnded { row: &row, chosen });
        if let Some(overfitting) = &row.overfitting {
            self.observer.observe(&Event::Overfitting(overfitting));
        }
        if let Some(ending) = self.now.ended {
            self.observer.observe(&Event::EndsEarly { epoch: row.epoch, ending });
        }
        Ok(control)
    }

    fn steps(
        &mut self,
        batches: Vec<Vec<usize>>,
        begun: Instant,
        seconds_before: f64,
    ) -> Result<Control> {
        let Position { epoch, batch: first } = self.now.position;
        let with = Epoch {
            objective: self.config.objective_at(epoch)?,
            samples: batches.iter().map(Vec::len).collect(),
        };
        let mut positions = batches;
        for batch in positions.iter_mut().filter(|batch| ranks::is_shared(batch.len(), &self.ranks))
        {
            *batch = batch[ranks::share(batch.len(), &self.ranks)].to_vec();
        }
        let source = EpochBatches {
            dataset: self.train,
            augmentation: self.config.augmentation,
            seed: self.config.seed,
            epoch: epoch as u64,
            positions,
        };
        let mut saved = Instant::now();
        std::thread::scope(|scope| {
            for batch in prefetch::start(scope, source, first)? {
                let control = self.step(&batch?, &with)?;
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

    fn step(&mut self, batch: &Batch, with: &Epoch) -> Result<Control> {
        let Position { epoch, batch: done } = self.now.position;
        let total = with.samples.len();
        let rates = self.config.rates(epoch, done, total);
        let streams =
            SampleStreams { seed: self.config.seed, epoch: epoch as u64, indices: &batch.indices };
        let is_shared = ranks::is_shared(with.samples[done], &self.ranks);
        let ranks = if is_shared { self.ranks.clone() } else { Ranks::alone() };
        self.now.moment.network.set_ranks(ranks);
        let mut outcome = self.replay(batch, with, &streams, rates, None)?;
        for _ in 1..with.objective.replays() {
            let points = outcome.next.take();
            outcome = self.replay(batch, with, &streams, rates, points.as_ref())?;
        }
        self.now.position.batch += 1;
        let mean = |sum: f64| sum / outcome.samples.max(1) as f64;
        Ok(self.tell(&Event::Step {
            epoch: epoch + 1,
            batch: self.now.position.batch,
            batches: total,
            loss: mean(outcome.loss),
            regularizer: mean(outcome.regularizer),
            accuracy: mean(outcome.correct as f64),
            learning_rate: rates.all,
        }))
    }

    /// One step of objective and optimiser, at the points that a step before it on this batch left.
    fn replay(
        &mut self,
        batch: &Batch,
        with: &Epoch,
        streams: &SampleStreams<'_>,
        rates: Rates,
        points: Option<&Tensor>,
    ) -> Result<StepOutcome> {
        let (objective, steps) = (&with.objective, with.samples.len());
        let Position { epoch, batch: step } = self.now.position;
        let at = &self.config.values_of(epoch, step, steps);
        let is_lazy = self.config.is_lazy(epoch, step, steps);
        let (network, parts) = (&mut self.now.moment.network, self.config.accumulate);
        let outcome = accumulate::step(objective, network, batch, parts, at, streams, points);
        // Before numbers are judged: a device that failed made them NaN.
        let outcome = outcome.and_then(|outcome| {
            cure_tensor::failure()?;
            Ok(outcome)
        });
        let outcome = outcome.map_err(|error| match error.is_out_of_memory() {
            true => TrainingError::Memory {
                device: cure_tensor::device(),
                images: batch.labels.len(),
                parts,
            },
            false => error,
        })?;
        let outcome = ranks::whole(outcome, network.ranks())?;
        if let Some(what) = not_finite(&outcome) {
            return Err(self.diverged(what, at, rates.all));
        }
        let sums = &mut self.now.sums;
        sums.loss += outcome.loss;
        if !is_lazy {
            sums.regularizer += outcome.regularizer;
            sums.regularized += outcome.samples;
        }
        sums.correct += outcome.correct;
        sums.samples += outcome.samples;
        self.now.images_seen += outcome.samples as u64;
        self.take(&outcome.gradients, rates)?;
        Ok(outcome)
    }

    /// Moves the weights along a gradient, and the average after them.
    fn take(&mut self, gradients: &Gradients, rates: Rates) -> Result<()> {
        let gradients = self.clip(gradients.clone());
        let moment = &mut self.now.moment;
        moment.optimizer.step(&mut moment.network, &gradients, rates)?;
        if let (Some(average), Some(decay)) = (&mut moment.average, self.config.average) {
            average.update(&moment.network, decay)?;
        }
        Ok(())
    }

    /// The gradient within its bound, if there is one, and counted.
    fn clip(&mut self, gradients: Gradients) -> Gradients {
        let Some(bound) = self.config.clip_norm else { return gradients };
        let clipped = clipping::clip(gradients, bound);
        let sums = &mut self.now.sums;
        sums.gradient_norm += clipped.norm;
        sums.norms += 1;
        sums.clipped += usize::from(clipped.is_clipped);
        clipped.gradients
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

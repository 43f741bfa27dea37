use std::path::Path;

use crate::checkpoint::{Ending, Position};
use crate::metrics::EpochRow;
use crate::overfitting::Overfitting;

/// What the training loop reports. Epochs and batches are counted from 1.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An epoch begins, or goes on behind `done` batches after an interruption.
    EpochStarted {
        /// The epoch.
        epoch: usize,
        /// Epochs of the run.
        epochs: usize,
        /// Batches done already.
        done: usize,
        /// Batches of the epoch.
        batches: usize,
    },
    /// A step was taken.
    Step {
        /// The epoch.
        epoch: usize,
        /// The batch.
        batch: usize,
        /// Batches of the epoch.
        batches: usize,
        /// Mean loss of the batch.
        loss: f64,
        /// Mean regulariser of the batch, before γ.
        regularizer: f64,
        /// Share of the batch classified correctly.
        accuracy: f64,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// The validation samples are being measured.
    Validation {
        /// The epoch.
        epoch: usize,
        /// Samples done, attacked ones counted again.
        done: usize,
        /// Samples in all.
        total: usize,
    },
    /// Curvature is being measured.
    Curvature {
        /// The epoch.
        epoch: usize,
        /// Measurements done.
        done: usize,
        /// Measurements in all.
        total: usize,
    },
    /// Catastrophic overfitting was found after an epoch. Shown, it is a sentence.
    Overfitting(&'a Overfitting),
    /// Something is not as it should be and does not end the run: a sentence.
    Warning(&'a str),
    /// An epoch is complete.
    EpochEnded {
        /// Its row of `metrics.jsonl`.
        row: &'a EpochRow,
        /// Whether its weights are the ones chosen so far.
        chosen: bool,
    },
    /// Training ends before its last epoch.
    EndsEarly {
        /// The last epoch trained.
        epoch: usize,
        /// Why.
        ending: Ending,
    },
    /// A checkpoint is on the disk.
    CheckpointSaved {
        /// Where the run stands.
        position: Position,
        /// The file.
        path: &'a Path,
    },
}

/// What an observer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Save a checkpoint and return.
    Stop,
}

/// Watches a run: draws the progress bar, hears Ctrl-C. Functions of an [`Event`] are observers.
pub trait Observer {
    /// Called for every event, on the thread that trains.
    fn observe(&mut self, event: &Event<'_>) -> Control;
}

impl<F: FnMut(&Event<'_>) -> Control> Observer for F {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        self(event)
    }
}

//! The batches of an epoch, assembled on another thread while the network computes.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use cure_data::{Augmentation, Batch, Dataset};

use crate::error::{Result, TrainingError};

/// Batches ready and waiting: one is enough, as assembly is far quicker than a step.
const AHEAD: usize = 1;

/// What decides an epoch's batches.
pub(crate) struct EpochBatches<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) augmentation: Augmentation,
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    /// Positions of the dataset, batch by batch.
    pub(crate) positions: Vec<Vec<usize>>,
}

/// Starts to assemble the batches from the `first` on. Dropping the receiver ends the thread.
pub(crate) fn start<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    batches: EpochBatches<'env>,
    first: usize,
) -> Result<Receiver<Result<Batch>>> {
    let (sender, receiver) = sync_channel(AHEAD);
    // A pool of its own: the step's threads stay on the step, and a caller that is itself a task
    // of the shared pool cannot wait for work queued behind it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|error| TrainingError::Thread(error.to_string()))?;
    let assemble = move || {
        for positions in &batches.positions[first.min(batches.positions.len())..] {
            let EpochBatches { dataset, augmentation, seed, epoch, .. } = &batches;
            let batch =
                pool.install(|| dataset.augmented_batch(positions, augmentation, *seed, *epoch));
            if sender.send(batch.map_err(TrainingError::from)).is_err() {
                break;
            }
        }
    };
    let thread = std::thread::Builder::new().name("batches".into());
    let started = thread.spawn_scoped(scope, assemble);
    started.map_err(|error| TrainingError::Thread(error.to_string()))?;
    Ok(receiver)
}

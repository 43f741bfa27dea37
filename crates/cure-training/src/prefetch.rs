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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use cure_data::{Pixels, Split};

    use super::*;

    fn colours(n: usize) -> Dataset {
        let pixels = (0..n * 3 * 64).map(|at| (at * 7 + at / 192) as u8).collect();
        let labels = (0..n).map(|sample| sample % 2).collect();
        let names = vec!["even".to_owned(), "odd".to_owned()];
        Dataset::new("colours", Split::Train, [3, 8, 8], Pixels::Bytes(pixels), labels, names)
            .unwrap()
    }

    fn epoch(dataset: &Dataset, positions: Vec<Vec<usize>>) -> EpochBatches<'_> {
        let augmentation = Augmentation { crop_padding: 2, flip: true };
        EpochBatches { dataset, augmentation, seed: 3, epoch: 4, positions }
    }

    fn positions(n: usize, batch: usize) -> Vec<Vec<usize>> {
        let order = cure_data::epoch_order(n, 3, 4);
        order.chunks(batch).map(<[usize]>::to_vec).collect()
    }

    /// What `run` gives; it must come to an end.
    fn ends<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(run()));
        receiver.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn batches_are_those_assembled_one_by_one() {
        let dataset = colours(103);
        for (first, threads) in [(0, 1), (0, 2), (3, 2), (11, 1), (20, 1)] {
            let positions = positions(103, 10);
            let expected: Vec<Batch> = positions
                .iter()
                .skip(first)
                .map(|batch| {
                    let augmentation = Augmentation { crop_padding: 2, flip: true };
                    dataset.augmented_batch(batch, &augmentation, 3, 4).unwrap()
                })
                .collect();
            let source = epoch(&dataset, positions);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found: Vec<Batch> = pool.install(|| {
                std::thread::scope(|scope| {
                    start(scope, source, first).unwrap().iter().map(Result::unwrap).collect()
                })
            });
            assert_eq!(found, expected, "from batch {first}, {threads} threads");
        }
    }

    #[test]
    fn who_stops_early_leaves_no_thread() {
        // The scope ends only when its threads have.
        let seen = ends(|| {
            let dataset = colours(1000);
            std::thread::scope(|scope| {
                let batches = start(scope, epoch(&dataset, positions(1000, 10)), 0).unwrap();
                batches.iter().take(3).map(|batch| batch.unwrap().labels.len()).sum::<usize>()
            })
        });
        assert_eq!(seen, 30);
        ends(|| {
            let dataset = colours(1000);
            std::thread::scope(|scope| {
                drop(start(scope, epoch(&dataset, positions(1000, 10)), 0).unwrap());
            });
        });
    }

    #[test]
    fn an_error_comes_in_its_place_and_leaves_no_thread() {
        let found = ends(|| {
            let dataset = colours(40);
            let positions = vec![vec![0, 1], vec![2, 40], vec![3]];
            std::thread::scope(|scope| {
                let batches = start(scope, epoch(&dataset, positions), 0).unwrap();
                let mut found = Vec::new();
                for batch in batches {
                    found.push(batch.map(|batch| batch.indices).map_err(|error| error.to_string()));
                    if found.len() == 2 {
                        break;
                    }
                }
                found
            })
        });
        assert_eq!(found[0], Ok(vec![0, 1]));
        assert!(found[1].as_ref().unwrap_err().contains("sample position"), "{found:?}");
    }
}

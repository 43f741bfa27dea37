//! The training loop.

mod epoch;
mod measured;
mod saving;

use cure_data::Dataset;
use cure_network::Network;
use cure_tensor::ops;
use sha2::{Digest, Sha256};

use crate::average::Average;
use crate::checkpoint::{Checkpoint, Ending, EpochSums, Identity, Position, Watch};
use crate::config::TrainingConfig;
use crate::error::{Result, TrainingError};
use crate::metrics::EpochRow;
use crate::moment::Moment;
use crate::observer::{Control, Event, Observer};
use crate::optimizer::Optimizer;
use crate::ranks;
use crate::run_directory::RunDirectory;
use crate::sealed::hexadecimal;
use epoch::Trainer;

/// How a run ended.
#[expect(clippy::large_enum_variant, reason = "there is one a run")]
pub enum Outcome {
    /// All epochs are done, or the run has ended before, and the weights are exported.
    Finished(Finished),
    /// The observer asked to stop; a checkpoint holds this position.
    Interrupted(Position),
}

/// A run that is complete.
pub struct Finished {
    /// The network after the last epoch; its average where there is one.
    pub last: Network,
    /// The network chosen on the validation samples; the last one where nothing was to choose by.
    pub chosen: Network,
    /// The epoch of the chosen network, counted from 1.
    pub chosen_epoch: usize,
    /// One row an epoch.
    pub rows: Vec<EpochRow>,
    /// Why it ended before its last epoch, if it did.
    pub ended: Option<Ending>,
}

/// Trains `network` on `train` as `config` says, from the run's newest checkpoint if it has one.
///
/// Every epoch ends with a row in `metrics.jsonl` and a checkpoint; further checkpoints are saved
/// within it. Order, augmentation and directions are pure functions of seed, epoch and sample, so
/// a run that is interrupted anywhere and resumed ends in the same weights, bit for bit.
///
/// Where the network has [`Ranks`](cure_network::Ranks), each of them calls this with the same
/// arguments, all but the first one with [`RunDirectory::follow`], and every step is taken on the
/// whole batch: the result is that of one process, to rounding.
///
/// # Errors
/// Settings outside their range, data that does not fit the network, a checkpoint of another run,
/// and [`TrainingError::Diverged`] where something is not finite: nothing is saved then, and the
/// last good checkpoint stays.
pub fn train(
    network: Network,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainingConfig,
    run: &mut RunDirectory,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    config.check()?;
    config.check_data(&network, train, validation)?;
    let ranks = network.ranks().clone();
    ranks::check(config.batch, &ranks)?;
    let identity = identity(&network, train, validation, config)?;
    let found = run.checkpoint(&network)?;
    // All have read before the first one writes.
    let state = format!("{identity:?}{:?}", found.as_ref().map(|checkpoint| checkpoint.position));
    let weights = found.as_ref().map_or(&network, |checkpoint| &checkpoint.moment.network);
    ranks::check_agreement(weights, &state, "at the start", &ranks)?;
    let mut trainer = match found {
        Some(checkpoint) => {
            check_same(&checkpoint.identity, &identity, run)?;
            Trainer { train, validation, config, run, observer, now: checkpoint, ranks }
        }
        None => {
            let optimizer = Optimizer::new(config.optimizer, &network)?;
            let average = config.average.map(|_| Average::new(network.clone()));
            let now = Checkpoint {
                identity,
                position: Position { epoch: 0, batch: 0 },
                images_seen: 0,
                sums: EpochSums::default(),
                moment: Moment { network, optimizer, average },
                best: None,
                watch: Watch::default(),
                ended: None,
            };
            let mut trainer = Trainer { train, validation, config, run, observer, now, ranks };
            trainer.save()?;
            trainer
        }
    };
    if let Some(sentence) = trainer.run.cut_metrics(trainer.now.position.epoch)? {
        trainer.observer.observe(&Event::Warning(&sentence));
    }
    while trainer.now.position.epoch < config.epochs && trainer.now.ended.is_none() {
        if trainer.epoch()? == Control::Stop {
            trainer.save()?;
            return Ok(Outcome::Interrupted(trainer.now.position));
        }
    }
    trainer.finish().map(Outcome::Finished)
}

fn identity(
    network: &Network,
    train: &Dataset,
    validation: Option<&Dataset>,
    config: &TrainingConfig,
) -> Result<Identity> {
    let mut data = Sha256::new();
    for dataset in [Some(train), validation].into_iter().flatten() {
        data.update(dataset.sha256());
        data.update((dataset.len() as u64).to_le_bytes());
        dataset.indices().iter().for_each(|&index| data.update((index as u64).to_le_bytes()));
    }
    let architecture = network.architecture();
    Ok(Identity {
        architecture: architecture.name(),
        classes: architecture.classes,
        input: architecture.input,
        normalization: network.normalization().clone(),
        configuration: config.fingerprint()?,
        plain_sums: ops::takes_plain_sums(),
        data: hexadecimal(&data.finalize()),
    })
}

fn check_same(saved: &Identity, current: &Identity, run: &RunDirectory) -> Result<()> {
    let what = if (&saved.configuration, saved.plain_sums)
        != (&current.configuration, current.plain_sums)
    {
        "configuration"
    } else if saved.data != current.data {
        "training or validation data"
    } else if saved != current {
        "network"
    } else {
        return Ok(());
    };
    Err(TrainingError::Checkpoint {
        path: run.last(),
        reason: format!(
            "it was made with another {what}; resume with the one it was made with, or start a \
             new run with another --out"
        ),
    })
}

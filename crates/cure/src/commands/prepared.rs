//! A run's data and network, and their training.

use cure_data::{Dataset, Split};
use cure_network::{Architecture, LoadOptions, Network, Normalization, load};
use cure_training::{Event, Identity, Outcome as Ended, RunDirectory, train};

use super::run::RunConfig;
use super::session;
use super::watcher::{Watcher, summary};
use crate::arguments::{General, load_data};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::output::print;
use crate::progress;

/// What a run is trained with.
pub(super) struct Prepared {
    pub(super) train: Dataset,
    pub(super) validation: Option<Dataset>,
    pub(super) network: Network,
    /// Of the file that the network is from.
    pub(super) weights_sha256: Option<String>,
}

impl Prepared {
    /// For a run that starts.
    pub(super) fn new(config: &RunConfig) -> Outcome<Self> {
        Self::with(config, |all| starting(config, all))
    }

    /// For a run that goes on: its checkpoint holds the weights, so those that it started from need
    /// not be there any more.
    pub(super) fn resumed(config: &RunConfig, run: &RunDirectory) -> Outcome<Self> {
        let identity = run.identity().map_err(|error| session::blame(run.path(), error))?;
        Self::with(config, |all| match (&config.weights, identity) {
            (Some(_), Some(identity)) => Ok((like(config, identity)?, None)),
            _ => starting(config, all),
        })
    }

    fn with(
        config: &RunConfig,
        network: impl FnOnce(&Dataset) -> Outcome<(Network, Option<String>)>,
    ) -> Outcome<Self> {
        let Some(data) = &config.data else {
            return Err(Failure::Input(
                "which data? give --data, as --data digits or --data cifar10:DIR".into(),
            ));
        };
        let mut all = load_data(data, Split::Train)?;
        if let Some(limit) = config.limit {
            all = all.limit(limit).input()?;
        }
        let (train, validation) = config.training.split(&all).input()?;
        let (network, weights_sha256) = network(&all)?;
        Ok(Self { train, validation, network, weights_sha256 })
    }

    pub(super) fn train(
        mut self,
        general: &General,
        config: &RunConfig,
        run: &mut RunDirectory,
    ) -> Outcome {
        interrupt::listen()?;
        self.network.set_ranks(general.ranks.clone());
        let folder = run.path().to_owned();
        if !general.quiet {
            eprintln!(
                "{}: {} on {} images, {}, {} epochs",
                folder.display(),
                self.network.architecture().name(),
                self.train.len(),
                config.training.objective.name(),
                config.training.epochs,
            );
        }
        let is_first = general.ranks.is_first();
        if is_first {
            session::begin(run, &self, &config.training)?;
        }
        let mut watcher = Watcher {
            bar: progress::bar(0, general.quiet),
            quiet: general.quiet,
            speaks: general.ranks.is_first(),
        };
        let ended = train(
            self.network,
            &self.train,
            self.validation.as_ref(),
            &config.training,
            run,
            &mut |event: &Event<'_>| watcher.observe(event),
        );
        watcher.bar.finish_and_clear();
        if is_first {
            session::end(run, &ended)?;
        }
        match ended {
            Ok(Ended::Finished(_)) if !is_first => Ok(()),
            Ok(Ended::Finished(finished)) => {
                print(&summary(&finished, &folder, config.training.average.is_some()))
            }
            Ok(Ended::Interrupted(position)) => Err(Failure::Interrupted(format!(
                "interrupted in epoch {} after {} batches; go on with --resume {}",
                position.epoch + 1,
                position.batch,
                folder.display(),
            ))),
            Err(error) => Err(session::blame(&folder, error)),
        }
    }
}

/// The network that a run starts from, with the SHA-256 of its file if it is from one.
fn starting(config: &RunConfig, all: &Dataset) -> Outcome<(Network, Option<String>)> {
    if let Some(weights) = &config.weights {
        let options = LoadOptions {
            model: config.model.clone(),
            normalization: config.normalize.clone(),
            classes: all.classes(),
            input: all.shape(),
        };
        let loaded = load(weights, &options).input()?;
        loaded.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
        return Ok((loaded.network, Some(loaded.sha256.hexadecimal().to_owned())));
    }
    let name = config.model.as_deref().unwrap_or_default();
    let architecture = Architecture::named(name, all.classes(), all.shape()).input()?;
    let how = config.normalize.as_deref().unwrap_or("none");
    let normalization = Normalization::parse(how, all.shape()[0]).input()?;
    let seed = config.training.seed;
    Ok((Network::random(architecture, normalization, seed).input()?, None))
}

/// A network of the architecture and normalisation that the configuration names or, where it leaves
/// them to the weights file, the checkpoint. Its weights stand for nothing.
fn like(config: &RunConfig, identity: Identity) -> Outcome<Network> {
    let named = config.model.as_deref().filter(|name| *name != "auto");
    let name = named.unwrap_or(&identity.architecture);
    let architecture = Architecture::named(name, identity.classes, identity.input).input()?;
    let normalization = match &config.normalize {
        Some(how) => Normalization::parse(how, identity.input[0]).input()?,
        None => identity.normalization,
    };
    Network::random(architecture, normalization, 0).input()
}

//! What a measurement of geometry is: a study.

use cure_attacks::Shard;
use cure_data::{Batch, Dataset};
use cure_geometry::Losses;
use cure_network::{Classifier, Scale};
use cure_tensor::Room;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::arguments::Named;
use super::manifest::{Manifest, NetworkFacts};
use super::operator::Operator;
use super::report::Report;
use crate::failure::{Blame, Outcome};

/// Asked now and then whether to go on, with what is done and to do of a group.
pub(super) type Proceed<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// What is measured of each sample, and what becomes of it. Its fields are the options on which results
/// depend.
pub(super) trait Study: Serialize + DeserializeOwned {
    /// What is found of a sample.
    type Row: Serialize + DeserializeOwned;
    /// What is added up over a network's samples because their rows would be too long to be kept together.
    type Sums: Default;

    /// What it is called, and its files are.
    const NAME: &'static str;
    /// Its command.
    const COMMAND: &'static str = Self::NAME;
    /// Samples where nothing is said of them.
    const DEFAULT_SAMPLES: usize;

    /// Samples measured together and noted together: an interruption loses one group at most.
    fn group(&self) -> usize;

    /// The names of all figures there may be.
    fn figures(&self, indices: &[usize]) -> Vec<String>;

    /// Whether it can be done with these networks and so many images of `dimension` pixel values.
    fn check(
        &self,
        networks: &[NetworkFacts],
        dimension: usize,
        samples: usize,
    ) -> cure_geometry::Result<()>;

    /// The operator that its samples are measured with, where there is one; of several, that of the
    /// smallest h.
    fn operator(&self) -> Option<Operator> {
        None
    }

    /// Settles what depends on all networks and samples together; before anything is noted.
    fn prepare(&mut self, _setting: &Setting<'_>) -> Outcome {
        Ok(())
    }

    /// Measures the samples of a group, in their order.
    fn measure(
        &self,
        group: &Group<'_>,
        proceed: &mut Proceed<'_>,
    ) -> cure_geometry::Result<Vec<Measured<Self::Row>>>;

    /// Adds a row, of the next sample in order, to the sums, and takes from it what is not kept.
    fn absorb(&self, _sums: &mut Self::Sums, _row: &mut Self::Row) {}

    /// What the rows of all samples and networks amount to. Nothing but them and the manifest is
    /// asked, so that merged shards end in the same files.
    fn report(&self, found: &Found<'_, Self::Row, Self::Sums>) -> Outcome<Report>;
}

/// Some samples of a network.
pub(super) struct Group<'a> {
    pub(super) losses: Losses<'a>,
    /// Places in the split as stored.
    pub(super) indices: Vec<usize>,
    pub(super) seed: u64,
    /// Of each, what keeps it from having a boundary to be looked for, if anything does.
    pub(super) unfit: Vec<Option<&'static str>>,
}

/// All networks and samples of a study.
pub(super) struct Setting<'a> {
    pub(super) networks: &'a [Named],
    pub(super) data: &'a Dataset,
    pub(super) scale: Scale,
    /// For how many images at a time there is memory.
    pub(super) room: Room,
    pub(super) seed: u64,
}

/// What there is of a sample.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Measured<R> {
    /// What was found.
    Row(R),
    /// Why nothing was.
    LeftOut(String),
}

impl<R> Measured<R> {
    pub(super) fn left_out(reason: &str) -> Self {
        Self::LeftOut(reason.to_owned())
    }
}

/// A sample with what there is of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry<R> {
    pub(super) index: usize,
    pub(super) label: usize,
    pub(super) predicted: usize,
    /// ℓ(x), where it is finite.
    pub(super) loss: Option<f64>,
    pub(super) found: Measured<R>,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(bound = "R: Serialize + DeserializeOwned")]
pub(super) struct Record<R> {
    pub(super) samples: Vec<Entry<R>>,
    pub(super) seconds: f64,
}

/// All that was found.
pub(super) struct Found<'a, R, Sums = ()> {
    pub(super) manifest: &'a Manifest,
    pub(super) networks: Vec<OfNetwork<'a, R, Sums>>,
}

/// What was found of a network.
pub(super) struct OfNetwork<'a, R, Sums = ()> {
    pub(super) facts: &'a NetworkFacts,
    pub(super) samples: Vec<Entry<R>>,
    pub(super) sums: Sums,
    pub(super) seconds: f64,
}

/// The places in the journal of a shard's groups: positions of the samples of each.
pub(super) fn groups(samples: usize, shard: Shard, size: usize) -> Vec<Vec<usize>> {
    let own: Vec<usize> = (0..samples).filter(|&sample| shard.has(sample)).collect();
    own.chunks(size).map(<[usize]>::to_vec).collect()
}

impl Setting<'_> {
    /// Some samples.
    pub(super) fn samples(&self, rows: &[usize]) -> Outcome<Batch> {
        self.data.batch(rows).failed()
    }

    /// Their losses, `batch` images at a time.
    pub(super) fn losses<'a>(
        &self,
        network: &Named,
        classifier: &'a dyn Classifier,
        samples: &Batch,
        batch: usize,
    ) -> cure_geometry::Result<Losses<'a>> {
        let units = self.scale.units(network.model.normalization());
        let (images, labels) = (samples.images.clone(), samples.labels.clone());
        Losses::new(classifier, images, labels, &units, batch)
    }
}

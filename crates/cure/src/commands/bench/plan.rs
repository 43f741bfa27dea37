//! Which measurements a benchmark is made of: races of ours against every form of the rival's.

use std::path::{Path, PathBuf};

use cure_data::Dataset;

use super::job::{Job, Program, Versions};
use super::prepare::{self, Scratch, Subject};
use super::rows::{Kind, Row};
use crate::failure::{Failure, Outcome};

/// Networks of more multiply-adds an image take half the repeats, and no part in attacks and in the
/// tables of ours alone.
const HEAVY: u64 = 2_000_000_000;
/// Of loading a checkpoint: until its SHA-256 is there as well.
pub(super) const WITH_DIGEST: &str = "with digest";
/// Batch sizes of the table of batch sizes.
const BATCHES: [usize; 5] = [16, 32, 64, 128, 256];

/// The tables that a race appears in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Main,
    Batch,
}

/// One way of computing a row.
pub(super) struct Contender {
    /// What tables call it.
    pub(super) name: String,
    pub(super) job: Job,
    /// Measured in every round.
    pub(super) always: bool,
}

/// One row on one network and batch, computed by everyone. Ours comes first.
pub(super) struct Race {
    pub(super) row: &'static Row,
    pub(super) place: Place,
    /// Of the networks; none where no network is involved.
    pub(super) subject: Option<usize>,
    pub(super) batch: usize,
    pub(super) contenders: Vec<Contender>,
}

/// A network and its batch, as `resnet18:64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) model: String,
    pub(super) batch: usize,
}

impl Pair {
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let refuse = |reason: &str| {
            Failure::Input(format!(
                "--models `{text}`: {reason}; write MODEL:BATCH, as resnet18:64"
            ))
        };
        let (model, batch) = text.split_once(':').ok_or_else(|| refuse("it has no batch size"))?;
        match batch.parse() {
            Ok(batch @ 1..=65_536) if !model.is_empty() => Ok(Self { model: model.into(), batch }),
            _ => Err(refuse("the batch is no number from 1 to 65536")),
        }
    }
}

/// All that races are made from.
pub(super) struct Ground<'a> {
    pub(super) rows: &'a [&'static Row],
    pub(super) pairs: &'a [Pair],
    /// One a pair.
    pub(super) subjects: &'a [Subject],
    pub(super) data: Option<&'a Dataset>,
    pub(super) folder: Option<&'a Path>,
    pub(super) scratch: &'a Scratch,
    pub(super) rival: Option<&'a Versions>,
    pub(super) threads: usize,
    pub(super) repeats: usize,
}

impl Ground<'_> {
    pub(super) fn has(&self, row: &str) -> bool {
        self.rows.iter().any(|chosen| chosen.name == row)
    }

    pub(super) fn races(&self) -> Outcome<Vec<Race>> {
        let mut races = Vec::new();
        for &row in self.rows {
            match row.kind {
                Kind::Step | Kind::Attack | Kind::Profile => {
                    for at in 0..self.pairs.len() {
                        if row.kind == Kind::Step || !self.is_heavy(at) {
                            races.push(self.main(row, at)?);
                        }
                    }
                }
                Kind::Checkpoint | Kind::Classify => {
                    let given = |at: &usize| self.subjects[*at].checkpoint.is_some();
                    for at in (0..self.pairs.len()).filter(given) {
                        races.push(self.main(row, at)?);
                    }
                }
                Kind::Data if self.folder.is_some() => races.push(self.race(row, None, None)),
                Kind::Help => races.push(self.race(row, None, None)),
                Kind::Data | Kind::Table => {}
            }
        }
        if self.has("batch") {
            for &row in self.rows.iter().filter(|row| row.batches) {
                for at in (0..self.pairs.len()).filter(|&at| !self.is_heavy(at)) {
                    for batch in BATCHES {
                        races.push(self.at_batch(row, at, batch)?);
                    }
                }
            }
        }
        Ok(races)
    }

    /// Whether a network takes part in the main races of steps alone.
    pub(super) fn is_heavy(&self, at: usize) -> bool {
        self.subjects[at].network.multiply_adds() > HEAVY
    }

    fn main(&self, row: &'static Row, at: usize) -> Outcome<Race> {
        let (subject, batch) = (&self.subjects[at], self.pairs[at].batch);
        let images = match row.kind {
            Kind::Attack => prepare::correct_images(self.scratch, self.data, subject, batch)?,
            Kind::Step => prepare::images(self.scratch, self.data, batch)?,
            _ => prepare::images(self.scratch, self.data, 1)?,
        };
        Ok(self.race(row, Some(at), Some(images)))
    }

    fn at_batch(&self, row: &'static Row, at: usize, batch: usize) -> Outcome<Race> {
        let images = prepare::images(self.scratch, self.data, batch)?;
        let mut race = self.race(row, Some(at), Some(images));
        race.contenders.truncate(1);
        race.contenders[0].job.batch = batch;
        Ok(Race { batch, place: Place::Batch, ..race })
    }

    fn race(&self, row: &'static Row, at: Option<usize>, images: Option<PathBuf>) -> Race {
        let ours = self.job(row, at, images);
        let contender = |name: String, job: Job, always| Contender { name, job, always };
        let mut contenders = vec![contender("cure".into(), ours.clone(), true)];
        let light = at.is_none_or(|at| !self.is_heavy(at));
        if row.threads && self.has("threads") && light && self.threads > 1 {
            let job = Job { threads: 1, ..ours.clone() };
            contenders.push(contender("cure, 1 thread".into(), job, true));
        }
        if row.kind == Kind::Checkpoint {
            let job = Job { form: WITH_DIGEST.into(), ..ours.clone() };
            contenders.push(contender("cure, waiting for the SHA-256".into(), job, true));
        }
        for rival in row.rivals.iter().filter(|_| self.rival.is_some()) {
            let compiles = rival.compile && self.rival.is_some_and(|v| v.compiler.is_some());
            for compile in [false, true].into_iter().filter(|&compile| !compile || compiles) {
                let layouts: &[&str] =
                    if rival.layouts { &["nchw", "channels-last"] } else { &[""] };
                for layout in layouts {
                    let job = Job {
                        program: Program::PyTorch,
                        form: rival.form.into(),
                        layout: (*layout).into(),
                        compile,
                        ..ours.clone()
                    };
                    let parts = [rival.form, layout, if compile { "compiled" } else { "" }];
                    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
                    contenders.push(contender(parts.join(", "), job, rival.always));
                }
            }
        }
        let batch = ours.batch;
        Race { row, place: Place::Main, subject: at, batch, contenders }
    }

    /// Ours.
    pub(super) fn job(&self, row: &Row, at: Option<usize>, images: Option<PathBuf>) -> Job {
        let subject = at.map(|at| &self.subjects[at]);
        let halved = row.kind == Kind::Attack || at.is_some_and(|at| self.is_heavy(at));
        let normalization = subject.map(|subject| subject.network.normalization());
        Job {
            program: Program::Cure,
            row: row.name.into(),
            form: row.name.into(),
            layout: String::new(),
            compile: false,
            model: subject.map(|subject| subject.model.clone()).unwrap_or_default(),
            batch: at.map_or(0, |at| self.pairs[at].batch),
            repeats: match (row.name, halved) {
                // Thousands of passes: one is enough.
                ("profile", _) => 1,
                (_, true) => self.repeats.div_ceil(2),
                (_, false) => self.repeats,
            },
            threads: self.threads,
            network: subject.map(|subject| subject.file.clone()),
            mean: normalization.map(|n| n.mean.clone()).unwrap_or_default(),
            std: normalization.map(|n| n.std.clone()).unwrap_or_default(),
            images,
            source: match (row.kind, subject) {
                (Kind::Data, _) => self.folder.map(Path::to_owned),
                (_, Some(subject)) => subject.checkpoint.clone(),
                _ => None,
            },
            gradients: None,
            double: false,
            device: cure_tensor::device().to_string(),
            precision: cure_tensor::precision().to_string(),
            plain_sums: cure_tensor::ops::takes_plain_sums(),
        }
    }
}

//! An evaluation among several processes: those of an MPI job, or of a job array.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{
    AttackError, AttackSpec, EvaluationOptions, EvaluationSet, Journal, Shard, evaluate_shard,
};

use super::{Options, failure};
use crate::arguments::{General, Model};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::print;
use crate::progress::Watcher;

#[derive(Args, Debug)]
pub(super) struct ShardArguments {
    /// Do only part I of N, as 2/8, and note it in the journal: no results before all parts are merged.
    #[arg(long, value_name = "I/N", requires = "journal", conflicts_with_all = ["json", "csv", "save"])]
    shard: Option<String>,
    /// Take what this journal of the same evaluation knows, such as a shard's; may be given several
    /// times. What is missing is done.
    #[arg(long, value_name = "FILE", conflicts_with = "save")]
    merge: Vec<PathBuf>,
}

impl ShardArguments {
    /// Files that are read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.merge.iter().map(PathBuf::as_path)
    }

    /// The part that this process does; none where it does everything.
    pub(super) fn shard(&self, general: &General) -> Outcome<Option<Shard>> {
        let ranks = &general.ranks;
        match &self.shard {
            Some(_) if ranks.size() > 1 => Err(Failure::Input(
                "--shard is for processes that do not know each other; under mpirun leave it out"
                    .into(),
            )),
            Some(text) => text.parse().map(Some).input(),
            None if ranks.size() > 1 => Ok(Shard::new(ranks.rank(), ranks.size())),
            None => Ok(None),
        }
    }

    /// This process's journal, if there is to be one, with what others know.
    pub(super) fn open(
        &self,
        path: Option<&Path>,
        identity: &str,
        general: &General,
    ) -> Outcome<Option<Journal>> {
        let mut journal = match path {
            Some(path) => Journal::open(&of_rank(path, general.ranks.rank()), identity).input()?,
            None if self.merge.is_empty() && general.ranks.size() == 1 => return Ok(None),
            None => Journal::default(),
        };
        for other in &self.merge {
            journal.adopt(other, identity).input()?;
        }
        if let Some(path) = path
            && general.ranks.is_first()
        {
            for (rank, other) in of_other_ranks(path) {
                journal.adopt(&other, identity).input()?;
                // Of a job with more ranks than this one has: nobody will write to it again.
                if rank >= general.ranks.size() {
                    remove(&other)?;
                }
            }
        }
        Ok(Some(journal))
    }
}

/// The first rank's journal is the one that was named; each other one has its own beside it.
fn of_rank(path: &Path, rank: usize) -> PathBuf {
    if rank == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".rank-{rank}"));
    name.into()
}

/// The journals of other ranks that lie beside the first one's.
fn of_other_ranks(path: &Path) -> Vec<(usize, PathBuf)> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned() + ".rank-");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten();
    let of_rank = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.ok()?.path();
        let rank = path.file_name()?.to_str()?.strip_prefix(name.as_deref()?)?.parse().ok()?;
        Some((rank, path))
    };
    let mut found: Vec<(usize, PathBuf)> = entries.filter_map(of_rank).collect();
    found.sort();
    found
}

fn remove(path: &Path) -> Outcome {
    let removed = std::fs::remove_file(path);
    removed.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

/// An evaluation of which this process does a part.
pub(super) struct Shared<'a> {
    pub(super) model: &'a Model,
    pub(super) set: &'a EvaluationSet,
    pub(super) attacks: &'a [AttackSpec],
    pub(super) settings: &'a EvaluationOptions,
}

impl Shared<'_> {
    /// Does the part. Whether this process has the whole to report then: the first of a job's.
    pub(super) fn run(
        &self,
        shard: Shard,
        journal: &mut Option<Journal>,
        options: &Options,
        general: &General,
    ) -> Outcome<bool> {
        let ranks = &general.ranks;
        if options.save.is_some() {
            return Err(Failure::Input(
                "--save is for one process: no image is sent to another; leave it out".into(),
            ));
        }
        let journal = journal.get_or_insert_default();
        // What another rank noted in a run that was interrupted need not be done again.
        for known in ranks.gather(&journal.to_bytes()) {
            journal.extend(&known).failed()?;
        }
        let classifier = self.model.classifier()?;
        let (attacks, settings) = (self.attacks, self.settings);
        let mut watcher = Watcher::new(general.quiet);
        let done = evaluate_shard(
            classifier.as_ref(),
            self.set,
            attacks,
            settings,
            &mut watcher,
            journal,
            shard,
        );
        let stopped = match done {
            Ok(()) => false,
            Err(AttackError::Stopped) => true,
            Err(error) => return Err(Failure::Failed(error.to_string())),
        };
        if ranks.any(stopped) {
            return Err(failure(AttackError::Stopped, options.journal.is_some()));
        }
        if let (1, Some(path)) = (ranks.size(), &options.journal) {
            print(&format!(
                "shard {shard}: {} batches in {}; once all shards are done, the same command line \
                 without --shard and with --merge for each journal gives the results\n",
                journal.len(),
                path.display()
            ))?;
            return Ok(false);
        }
        for known in ranks.gather(&journal.to_bytes()) {
            journal.extend(&known).failed()?;
        }
        // The first one's journal has everything now.
        ranks.any(false);
        if let (false, Some(path)) = (ranks.is_first(), &options.journal) {
            remove(&of_rank(path, ranks.rank()))?;
        }
        Ok(ranks.is_first())
    }
}

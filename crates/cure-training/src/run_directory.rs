//! A run's folder: `config.toml`, `metrics.jsonl`, the same as a TensorBoard event file,
//! `checkpoints/`, the exported weights, and a lock against a second writer.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use cure_network::Network;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::{Checkpoint, Identity};
use crate::config_file::read_configuration;
use crate::error::{Result, TrainingError};
use crate::file;
use crate::rows::METRICS;
use crate::tensorboard;

const CONFIGURATION: &str = "config.toml";
const CHECKPOINTS: &str = "checkpoints";
const LOCK: &str = ".lock";
/// Any of these makes a folder one that holds a run.
const TRACES: [&str; 6] = [
    CONFIGURATION,
    METRICS,
    tensorboard::FILE,
    CHECKPOINTS,
    "weights.safetensors",
    "weights-last.safetensors",
];

/// A run's folder, locked for as long as this value lives.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// The system releases the lock when the process ends, however it ends: none goes stale. None
    /// where another rank holds it.
    lock: Option<File>,
}

impl RunDirectory {
    /// A folder for a new run, with its `config.toml`: made if it is not there, refused if it
    /// holds a run. Whatever else is in it stays.
    ///
    /// # Errors
    /// [`TrainingError::Occupied`], [`TrainingError::Locked`], [`TrainingError::Io`]; nothing is
    /// written where a run was found.
    pub fn create(path: &Path, configuration: &impl Serialize) -> Result<Self> {
        let text = toml::to_string(configuration).map_err(|error| {
            let reason = error.to_string();
            TrainingError::Configuration { path: path.join(CONFIGURATION), reason }
        })?;
        // Who writes it is more to the point than that something is there.
        if is_being_written(path) {
            lock(path)?;
        }
        check_free(path)?;
        let is_new = !path.exists();
        std::fs::create_dir_all(path).map_err(TrainingError::io("create", path))?;
        // Removes the folder only where it is empty again.
        let leave = |error| {
            let _ = is_new.then(|| std::fs::remove_dir(path));
            error
        };
        let run = Self { path: path.to_owned(), lock: Some(lock(path).map_err(leave)?) };
        // Again under the lock: another process may have been quicker.
        check_free(path)?;
        // The configuration first: what a killed process leaves is then a run that says so.
        let (configuration, checkpoints) = (path.join(CONFIGURATION), path.join(CHECKPOINTS));
        let filled = file::replace_text(&configuration, &text).and_then(|()| {
            std::fs::create_dir_all(&checkpoints).map_err(TrainingError::io("create", &checkpoints))
        });
        if let Err(error) = filled {
            // Best effort: whoever tries again finds the folder as it was.
            let _ = std::fs::remove_file(&configuration);
            let _ = std::fs::remove_dir(&checkpoints);
            let _ = std::fs::remove_file(path.join(LOCK));
            return Err(leave(error));
        }
        Ok(run)
    }

    /// The folder of a run that was interrupted, or has ended.
    ///
    /// # Errors
    /// [`TrainingError::NotResumable`] if it holds no run or no checkpoint,
    /// [`TrainingError::Locked`], [`TrainingError::Io`].
    pub fn resume(path: &Path) -> Result<Self> {
        let refuse = |reason: &str| {
            Err(TrainingError::NotResumable { path: path.to_owned(), reason: reason.into() })
        };
        if !path.join(CONFIGURATION).is_file() {
            return refuse("it holds no `config.toml`, so no run; start one with --out");
        }
        let run = Self { path: path.to_owned(), lock: Some(lock(path)?) };
        if !run.last().is_file() && !run.previous().is_file() {
            return refuse(
                "the run ended before its first checkpoint; nothing is lost: delete the folder \
                 and start again",
            );
        }
        Ok(run)
    }

    /// The folder of a run that the first rank writes, for another one: it reads checkpoints and
    /// writes nothing.
    pub fn follow(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: None }
    }

    /// Whether this process writes to it.
    pub(crate) fn writes(&self) -> bool {
        self.lock.is_some()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `config.toml` back.
    ///
    /// # Errors
    /// [`TrainingError::Configuration`] with the place of the fault.
    pub fn configuration<C: DeserializeOwned>(&self) -> Result<C> {
        read_configuration(&self.path.join(CONFIGURATION))
    }

    /// Where the newest checkpoint is.
    pub fn last(&self) -> PathBuf {
        self.path.join(CHECKPOINTS).join("last.safetensors")
    }

    /// Where the checkpoint before it is.
    pub fn previous(&self) -> PathBuf {
        self.path.join(CHECKPOINTS).join("previous.safetensors")
    }

    /// Where the weights chosen so far are, as a plain weights file.
    pub fn best(&self) -> PathBuf {
        self.path.join(CHECKPOINTS).join("best.safetensors")
    }

    /// Where the weights after an epoch, counted from 1, are kept if they are.
    pub fn epoch(&self, epoch: usize) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("epoch-{epoch:03}.safetensors"))
    }

    /// Where the chosen weights are once training has ended.
    pub fn weights(&self) -> PathBuf {
        self.path.join("weights.safetensors")
    }

    /// Where the weights of the last epoch are once training has ended.
    pub fn last_weights(&self) -> PathBuf {
        self.path.join("weights-last.safetensors")
    }

    /// Saves a checkpoint. At every moment at least one whole checkpoint is there.
    ///
    /// # Errors
    /// [`TrainingError::Io`].
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<()> {
        if !self.writes() {
            return Ok(());
        }
        let (last, previous) = (self.last(), self.previous());
        // The new one is complete beside the old ones before either of those is touched.
        let next = last.with_file_name("next.safetensors");
        checkpoint.write(&next)?;
        if last.is_file() {
            std::fs::rename(&last, &previous).map_err(TrainingError::io("replace", &previous))?;
        }
        std::fs::rename(&next, &last).map_err(TrainingError::io("replace", &last))?;
        file::sync_folder(&last)
    }

    /// The newest checkpoint, of a run of `like`'s architecture; `None` before the first. (A
    /// process that died between two renames leaves only the one before it.)
    ///
    /// # Errors
    /// [`TrainingError::Checkpoint`] naming the file that is damaged and, if there is one, the
    /// older one that is whole.
    pub fn checkpoint(&self, like: &Network) -> Result<Option<Checkpoint>> {
        self.newest(|path| Checkpoint::read(path, like))
    }

    /// What the run is of, by its newest checkpoint; `None` before the first.
    ///
    /// # Errors
    /// As [`RunDirectory::checkpoint`].
    pub fn identity(&self) -> Result<Option<Identity>> {
        self.newest(Checkpoint::read_identity)
    }

    fn newest<T>(&self, read: impl Fn(&Path) -> Result<T>) -> Result<Option<T>> {
        let (last, previous) = (self.last(), self.previous());
        if !last.is_file() {
            return previous.is_file().then(|| read(&previous)).transpose();
        }
        match read(&last) {
            // A whole one, of something else: another file would be that too.
            Err(error) if Checkpoint::read_position(&last).is_ok() => Err(error),
            Err(TrainingError::Checkpoint { path, reason }) => {
                let remedy = match Checkpoint::read_position(&previous) {
                    Ok(position) => format!(
                        "the one before it, `{}` ({position}), is whole: delete the damaged file \
                         and resume again to go on from there",
                        previous.display()
                    ),
                    Err(_) => "there is no whole one before it; start again".into(),
                };
                Err(TrainingError::Checkpoint { path, reason: format!("{reason}; {remedy}") })
            }
            other => other.map(Some),
        }
    }
}

/// Whether some process holds the lock of the run in `folder`. Ask only of a run that has not said
/// that it ended: while the question is put, another process could not take the lock.
pub fn is_being_written(folder: &Path) -> bool {
    File::open(folder.join(LOCK))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn check_free(path: &Path) -> Result<()> {
    // An empty folder holds no checkpoint of any run.
    let is_empty = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut all| all.next().is_none());
    let holds = |trace: &str| path.join(trace).exists() && !is_empty(&path.join(trace));
    let Some(found) = TRACES.iter().find(|trace| holds(trace)) else { return Ok(()) };
    let remedy = if holds(CHECKPOINTS) {
        "continue it with --resume"
    } else if TRACES.iter().any(|trace| *trace != CONFIGURATION && holds(trace)) {
        "it has no checkpoint that --resume could go on from"
    } else {
        "it ended before its first checkpoint, which --resume would need, so nothing is lost: delete the folder"
    };
    Err(TrainingError::Occupied { path: path.to_owned(), found: (*found).to_owned(), remedy })
}

/// Takes the run's lock and leaves this process's id in it for whoever comes next.
fn lock(path: &Path) -> Result<File> {
    let place = path.join(LOCK);
    let mut options = File::options();
    let opened = options.read(true).write(true).create(true).truncate(false).open(&place);
    let mut file = opened.map_err(TrainingError::io("open", &place))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let owner = match file.read_to_string(&mut text) {
                Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
                _ => "another process".to_owned(),
            };
            return Err(TrainingError::Locked { path: path.to_owned(), owner });
        }
        Err(TryLockError::Error(source)) => {
            return Err(TrainingError::Io { action: "lock", path: place, source });
        }
    }
    let mut note = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    if let Err(source) = note() {
        // The lock is held, so the file is nobody else's.
        let _ = std::fs::remove_file(&place);
        return Err(TrainingError::Io { action: "write", path: place, source });
    }
    Ok(file)
}

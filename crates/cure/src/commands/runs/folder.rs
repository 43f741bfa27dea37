//! A run as its folder tells, read leniently: by whichever version of the program it was made.

use std::path::{Path, PathBuf};

use cure_attacks::wilson95;
use cure_training::{
    RunRecord, Session, SessionState, chosen_epoch, is_being_written, objectives,
    read_configuration, read_rows,
};
use serde_json::{Map, Value};

use crate::failure::{Blame, Failure, Outcome};

const CONFIGURATION: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
/// What a run's folder holds besides its configuration, some of it from the start.
const SIGNS: [&str; 3] = [METRICS, "run.json", "checkpoints"];
/// Keys of `metrics.jsonl`.
pub(super) const CLEAN: &str = "validation_accuracy";
pub(super) const ATTACKED: &str = "validation_robust_accuracy";
const SECONDS: &str = "seconds";

/// A run.
pub(super) struct Run {
    /// What tables and figures call it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// `config.toml` as it is.
    pub(super) config: toml::Table,
    pub(super) record: RunRecord,
    /// `metrics.jsonl` as it is, one row an epoch.
    pub(super) rows: Vec<Map<String, Value>>,
    pub(super) state: SessionState,
    /// The epoch whose weights are chosen, so far, counted from 1.
    pub(super) chosen: Option<usize>,
}

/// An accuracy on so many images.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    pub(super) accuracy: f64,
    /// 0 where it is not known.
    pub(super) n: usize,
}

impl Measured {
    /// The 95 % interval; none where the number of images is not known.
    pub(super) fn interval(&self) -> Option<[f64; 2]> {
        let right = (self.accuracy * self.n as f64).round() as usize;
        (self.n > 0).then(|| wilson95(right.min(self.n), self.n))
    }
}

/// Whether `folder` holds a run.
pub(super) fn is_run(folder: &Path) -> bool {
    folder.join(CONFIGURATION).is_file() && SIGNS.iter().any(|sign| folder.join(sign).exists())
}

impl Run {
    /// Reads the run in `path`.
    ///
    /// # Errors
    /// [`Failure::Input`] if there is none, or its configuration or metrics cannot be read.
    pub(super) fn read(name: String, path: &Path) -> Outcome<Self> {
        if !is_run(path) {
            return Err(Failure::Input(format!(
                "`{}` holds no run (a folder that --out named, with {CONFIGURATION}); `cure runs \
                 list DIR` shows the runs below DIR",
                path.display()
            )));
        }
        let config = read_configuration(&path.join(CONFIGURATION)).input()?;
        let record = RunRecord::read(path).unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        });
        let record = record.unwrap_or_default();
        let state = state(path, &record.sessions);
        let (rows, damaged) = read_rows(&path.join(METRICS)).input()?;
        if !damaged.is_empty() {
            let lines = damaged.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            let shown = path.join(METRICS);
            tracing::warn!("`{}`: lines that cannot be read: {lines}", shown.display());
        }
        let chosen = chosen_epoch(path);
        Ok(Self { name, path: path.to_owned(), config, record, rows, state, chosen })
    }

    /// The configuration's value at `path`, keys joined by dots.
    pub(super) fn setting(&self, path: &str) -> Option<&toml::Value> {
        let mut keys = path.split('.');
        let first = self.config.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key))
    }

    fn count(&self, path: &str) -> usize {
        let value = self.setting(path).and_then(toml::Value::as_integer);
        value.and_then(|value| usize::try_from(value).ok()).unwrap_or(0)
    }

    pub(super) fn objective(&self) -> &str {
        self.setting("training.objective.method")
            .and_then(toml::Value::as_str)
            .unwrap_or("standard")
    }

    /// Passes of a step, as the table of objectives has them: with the defaults, and in general.
    pub(super) fn passes(&self) -> Option<&'static str> {
        let entry = objectives().iter().find(|entry| entry.name == self.objective())?;
        Some(entry.passes)
    }

    /// The architecture, where anything says it.
    pub(super) fn network(&self) -> Option<&str> {
        let recorded = self.last_session().map(|session| session.network.as_str());
        let configured = self.setting("model").and_then(toml::Value::as_str);
        recorded.filter(|name| !name.is_empty()).or(configured)
    }

    pub(super) fn seed(&self) -> usize {
        self.count("training.seed")
    }

    /// Epochs done, and of how many.
    pub(super) fn epochs(&self) -> (usize, usize) {
        let done = self.rows.last().and_then(|row| number(row, "epoch")).unwrap_or(0.0);
        (done as usize, self.count("training.epochs"))
    }

    pub(super) fn last_session(&self) -> Option<&Session> {
        self.record.sessions.last()
    }

    /// Images that the accuracy at `key` is of; 0 where it is not known.
    pub(super) fn images(&self, key: &str) -> usize {
        let recorded = self
            .last_session()
            .map_or((0, 0), |session| (session.validation_images, session.attacked_images));
        let of = |recorded: usize, known: usize| if recorded > 0 { recorded } else { known };
        // A share of the images is a number only together with them.
        let all = of(recorded.0, self.count("training.validation.size.count"));
        if key == CLEAN {
            return all;
        }
        of(recorded.1, self.count("training.validation.attack.samples").min(all))
    }

    /// The accuracy at `key` of the chosen epoch, or of the last one where none is chosen.
    pub(super) fn measured(&self, key: &str) -> Option<Measured> {
        let is_chosen = |row: &&Map<String, Value>| {
            number(row, "epoch") == self.chosen.map(|epoch| epoch as f64)
        };
        let row = self.rows.iter().find(is_chosen).or(self.rows.last())?;
        Some(Measured { accuracy: number(row, key)?, n: self.images(key) })
    }

    /// The attack on the validation images, as it is written.
    pub(super) fn attack(&self) -> Option<&str> {
        let key = "validation_attack";
        let in_rows = self.rows.iter().rev().find_map(|row| row.get(key)?.as_str());
        in_rows.or_else(|| self.setting("training.validation.attack.spec")?.as_str())
    }

    /// Seconds of all epochs, validation included.
    pub(super) fn seconds(&self) -> f64 {
        self.rows.iter().filter_map(|row| number(row, SECONDS)).sum()
    }

    /// The mean over the epochs.
    pub(super) fn seconds_an_epoch(&self) -> Option<f64> {
        (!self.rows.is_empty()).then(|| self.seconds() / self.rows.len() as f64)
    }

    /// The first epoch in which catastrophic overfitting was found.
    pub(super) fn overfitted(&self) -> Option<f64> {
        let found =
            |row: &&Map<String, Value>| row.get("overfitting").is_some_and(Value::is_object);
        number(self.rows.iter().find(found)?, "epoch")
    }

    /// What stands at `key` of each row that has it: the epoch, the seconds until its end, the
    /// value.
    pub(super) fn series(&self, key: &str) -> Vec<(f64, f64, f64)> {
        let mut seconds = 0.0;
        let values = self.rows.iter().filter_map(|row| {
            seconds += number(row, SECONDS).unwrap_or(0.0);
            Some((number(row, "epoch")?, seconds, number(row, key)?))
        });
        values.collect()
    }
}

/// The number at `path` of a row, keys joined by dots.
fn number(row: &Map<String, Value>, path: &str) -> Option<f64> {
    let mut keys = path.split('.');
    let first = row.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))?.as_f64()
}

fn state(path: &Path, sessions: &[Session]) -> SessionState {
    let has_finished = sessions.iter().any(|session| session.state == SessionState::Finished);
    match sessions.last().map(|session| session.state) {
        None | Some(SessionState::Running) if is_being_written(path) => SessionState::Running,
        // Killed, or made by a program that kept no record.
        None | Some(SessionState::Running) => match path.join("weights.safetensors").is_file() {
            true => SessionState::Finished,
            false => SessionState::Interrupted,
        },
        // A finished run stays one, whatever became of resuming it.
        Some(_) if has_finished => SessionState::Finished,
        Some(state) => state,
    }
}

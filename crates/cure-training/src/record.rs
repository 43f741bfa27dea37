//! `run.json`: by which program, on which machine, from which data and weights a run was made, and
//! when. One entry a session: a run that is interrupted and resumed has several.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::file;
use crate::run_directory::RunDirectory;

const RECORD: &str = "run.json";

/// The contents of `run.json`. Keys that are not known are passed over and missing ones are empty,
/// so that older and newer programs can read each other's runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// From the first to the last.
    pub sessions: Vec<Session>,
}

/// One process that worked on a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// The program with its version and, where it is known, its commit.
    pub code: String,
    /// Processor, cores, vectors, memory and system, in words.
    pub machine: String,
    /// Threads that computed, of each process.
    pub threads: usize,
    /// Processes that shared each batch.
    pub ranks: usize,
    /// The architecture's name.
    pub network: String,
    /// SHA-256 of the weights file that the run starts from; none where they are random (then the
    /// seed in `config.toml` decides them).
    pub weights_sha256: Option<String>,
    /// The data's name.
    pub data: String,
    /// SHA-256 of the data's files.
    pub data_sha256: String,
    /// Images to train on.
    pub training_images: usize,
    /// Images set aside for validation.
    pub validation_images: usize,
    /// Validation images that are attacked.
    pub attacked_images: usize,
    /// When it began: date and time in UTC (RFC 3339).
    pub started: String,
    /// When it ended; none while it works, and where it was killed.
    pub ended: Option<String>,
    /// Epochs that were done when it began.
    pub epochs_before: usize,
    /// Epochs that were done when it ended.
    pub epochs_done: usize,
    /// How it ended.
    pub state: SessionState,
    /// Why it failed.
    pub reason: Option<String>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Not yet, or it was killed.
    #[default]
    Running,
    /// All epochs are done.
    Finished,
    /// Stopped, or killed and resumed by a later session.
    Interrupted,
    /// By an error.
    Failed,
}

impl RunRecord {
    /// The record of the run in `folder`; `None` where there is none (runs of older programs).
    ///
    /// # Errors
    /// [`TrainingError::Configuration`] for a file that is no record, [`TrainingError::Io`].
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(TrainingError::io("read", &path))?,
        };
        serde_json::from_str(&text).map(Some).map_err(|error| TrainingError::Configuration {
            path,
            reason: format!("{error}; without this file the run goes on, its past unrecorded"),
        })
    }
}

impl RunDirectory {
    /// Adds a session that begins now to `run.json`. Its times, epochs and state are filled in.
    ///
    /// # Errors
    /// As [`RunRecord::read`]; [`TrainingError::Io`] when it cannot be written.
    pub fn begin_session(&self, session: Session) -> Result<()> {
        let mut record = RunRecord::read(self.path())?.unwrap_or_default();
        for earlier in &mut record.sessions {
            // This process holds the lock: whoever did not say how it ended was killed.
            if earlier.state == SessionState::Running {
                earlier.state = SessionState::Interrupted;
            }
        }
        let done = self.epochs_done()?;
        record.sessions.push(Session {
            started: now(),
            ended: None,
            epochs_before: done,
            epochs_done: done,
            state: SessionState::Running,
            reason: None,
            ..session
        });
        self.write_record(&record)
    }

    /// Notes in `run.json` that the last session ends now.
    ///
    /// # Errors
    /// As [`RunDirectory::begin_session`].
    pub fn end_session(&self, state: SessionState, reason: Option<String>) -> Result<()> {
        let mut record = RunRecord::read(self.path())?.unwrap_or_default();
        let done = self.epochs_done()?;
        if let Some(last) = record.sessions.last_mut() {
            last.ended = Some(now());
            last.epochs_done = done;
            last.state = state;
            last.reason = reason;
        }
        self.write_record(&record)
    }

    fn epochs_done(&self) -> Result<usize> {
        Ok(self.metrics()?.last().map_or(0, |row| row.epoch))
    }

    fn write_record(&self, record: &RunRecord) -> Result<()> {
        let path = self.path().join(RECORD);
        let text = serde_json::to_string_pretty(record)
            .map_err(|error| TrainingError::io("write", &path)(error.into()))?;
        file::replace_text(&path, &(text + "\n"))
    }
}

fn now() -> String {
    // A clock before 1970 is a clock that was never set.
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    utc(passed.as_secs())
}

/// Date and time of so many seconds after the start of 1970, in UTC.
fn utc(seconds: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}

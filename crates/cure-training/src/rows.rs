//! `metrics.jsonl`, a row an epoch: written as training goes, read back when a run is resumed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::{Result, TrainingError};
use crate::file;
use crate::metrics::EpochRow;
use crate::run_directory::RunDirectory;
use crate::tensorboard;

pub(crate) const METRICS: &str = "metrics.jsonl";

/// The rows of a `metrics.jsonl` that can be read, none where there is no file, and the numbers,
/// from 1, of the lines that cannot. A last line that was cut off is no damage: the process died
/// while it wrote.
///
/// # Errors
/// [`TrainingError::Io`].
pub fn read_rows<R: DeserializeOwned>(path: &Path) -> Result<(Vec<R>, Vec<usize>)> {
    Ok(parse(&contents(path)?))
}

fn contents(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(TrainingError::io("read", path)),
    }
}

fn parse<R: DeserializeOwned>(bytes: &[u8]) -> (Vec<R>, Vec<usize>) {
    let (mut rows, mut damaged) = (Vec::new(), Vec::new());
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(row) => rows.push(row),
            Err(_) if line.ends_with(b"\n") => damaged.push(index + 1),
            Err(_) => {}
        }
    }
    (rows, damaged)
}

fn listed(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl RunDirectory {
    fn metrics_path(&self) -> PathBuf {
        self.path().join(METRICS)
    }

    /// The rows of `metrics.jsonl` that can be read.
    ///
    /// # Errors
    /// [`TrainingError::Io`].
    pub fn metrics(&self) -> Result<Vec<EpochRow>> {
        Ok(read_rows(&self.metrics_path())?.0)
    }

    /// Keeps the rows of the first `epochs` epochs: those after a checkpoint will come again. Where
    /// lines cannot be read or rows are missing, the file is kept under another name first, and
    /// what comes back is a sentence about it.
    ///
    /// # Errors
    /// [`TrainingError::Io`].
    pub fn cut_metrics(&self, epochs: usize) -> Result<Option<String>> {
        if !self.writes() {
            return Ok(None);
        }
        let path = self.metrics_path();
        let bytes = contents(&path)?;
        let (mut rows, damaged): (Vec<EpochRow>, _) = parse(&bytes);
        let has = |epoch: &usize| rows.iter().any(|row| row.epoch == *epoch);
        let missing: Vec<usize> = (1..=epochs).filter(|epoch| !has(epoch)).collect();
        let kept = self.keep(&bytes, !damaged.is_empty(), !missing.is_empty())?;
        rows.retain(|row| row.epoch <= epochs);
        let lines: Vec<String> = rows.iter().map(|row| self.line(row)).collect::<Result<_>>()?;
        let text = lines.concat();
        if text.as_bytes() != bytes {
            file::replace_text(&path, &text)?;
        }
        tensorboard::rewrite(&self.path().join(tensorboard::FILE), &rows)?;
        let faults =
            [(damaged, "lines that cannot be read: "), (missing, "epochs that have no row: ")];
        let faults = faults.into_iter().filter(|(numbers, _)| !numbers.is_empty());
        let faults: Vec<String> =
            faults.map(|(numbers, what)| format!("{what}{}", listed(&numbers))).collect();
        let kept = kept.map(|place| format!("it was kept as `{}`, and ", place.display()));
        Ok((!faults.is_empty()).then(|| {
            format!(
                "`{}` is damaged ({}): {}the run goes on with the rows that can be read",
                path.display(),
                faults.join("; "),
                kept.unwrap_or_default(),
            )
        }))
    }

    /// Keeps a damaged file beside its place. Rows that are missing are so ever after: that alone
    /// is kept once.
    fn keep(&self, bytes: &[u8], is_damaged: bool, has_gaps: bool) -> Result<Option<PathBuf>> {
        let name = |count: usize| match count {
            1 => format!("{METRICS}.damaged"),
            _ => format!("{METRICS}.damaged-{count}"),
        };
        let place = |count| self.path().join(name(count));
        let is_news = is_damaged || (has_gaps && !place(1).exists());
        if bytes.is_empty() || !is_news {
            return Ok(None);
        }
        // What an earlier damage left is not overwritten.
        let free = (1..).map(place).find(|place| !place.exists());
        let Some(place) = free else { return Ok(None) };
        file::replace(&place, |partial| {
            std::fs::write(partial, bytes).map_err(TrainingError::io("write", partial))
        })?;
        Ok(Some(place))
    }

    /// Adds a row to `metrics.jsonl` and to the event file.
    ///
    /// # Errors
    /// [`TrainingError::Io`].
    pub fn append(&self, row: &EpochRow) -> Result<()> {
        if !self.writes() {
            return Ok(());
        }
        let path = self.metrics_path();
        let line = self.line(row)?;
        let write = || {
            let mut file = File::options().append(true).create(true).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        };
        write().map_err(TrainingError::io("write", &path))?;
        tensorboard::append(&self.path().join(tensorboard::FILE), &self.metrics()?)
    }

    fn line(&self, row: &EpochRow) -> Result<String> {
        let text = serde_json::to_string(row)
            .map_err(|error| TrainingError::io("write", self.metrics_path())(error.into()))?;
        Ok(text + "\n")
    }
}

//! What a long piece of work has done so far, on disk: a line for each batch, so that one that was
//! interrupted goes on to the same result.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{AttackError, Result};

/// A line: what was found for the batch of this place. An evaluation's places are its attacks'
/// positions and those of their batches.
#[derive(Serialize, Deserialize)]
struct Line<T> {
    place: (usize, usize),
    #[serde(flatten)]
    record: T,
}

/// The first line: whose batches these are.
#[derive(Serialize, Deserialize)]
struct Header {
    evaluation: String,
}

/// A journal file, open for more.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    known: HashMap<(usize, usize), Value>,
}

impl Journal {
    /// Opens the journal at `path`, or begins one. `identity` says what the results depend on:
    /// network, images, attacks, seed, batch size, mask and radii; a journal of another evaluation is refused.
    ///
    /// # Errors
    /// [`AttackError::Journal`] if the file cannot be read or written, is no journal, or is one of
    /// another evaluation. A last line that was cut off is forgotten.
    pub fn open(path: &Path, identity: &str) -> Result<Self> {
        let refuse = |reason: String| AttackError::Journal { path: path.to_owned(), reason };
        let io = |error: std::io::Error| refuse(error.to_string());
        let mut known = HashMap::new();
        let mut whole = 0;
        if path.exists() {
            let mut lines = BufReader::new(File::open(path).map_err(io)?);
            let mut line = Vec::new();
            let mut next = |line: &mut Vec<u8>| {
                line.clear();
                lines.read_until(b'\n', line).map(|_| line.ends_with(b"\n"))
            };
            if next(&mut line).map_err(io)? {
                match serde_json::from_slice::<Header>(&line) {
                    Ok(header) if header.evaluation == identity => {}
                    Ok(_) => {
                        let reason = "it is of another network, data, attack, seed, batch size, mask or \
                                      budgets; name another file, or delete it";
                        return Err(refuse(reason.into()));
                    }
                    Err(_) => return Err(refuse("it is no journal; name another file".into())),
                }
                whole += line.len() as u64;
                while next(&mut line).map_err(io)? {
                    let Ok(found) = serde_json::from_slice::<Line<Value>>(&line) else { break };
                    whole += line.len() as u64;
                    known.insert(found.place, found.record);
                }
            } else if !line.is_empty()
                && !b"{\"evaluation\":".starts_with(&line[..line.len().min(14)])
            {
                return Err(refuse("it is no journal; name another file".into()));
            }
        }
        let mut options = File::options();
        let file = options.append(true).create(true).open(path).map_err(io)?;
        // What a death in the middle of a line left behind.
        file.set_len(whole).map_err(io)?;
        let mut journal = Self { path: path.to_owned(), file, known };
        if whole == 0 {
            journal.append(&Header { evaluation: identity.to_owned() })?;
        }
        Ok(journal)
    }

    /// Batches that are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no batch is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What was noted of a place, if anything was.
    pub(super) fn recall<T: DeserializeOwned>(&self, place: (usize, usize)) -> Option<T> {
        serde_json::from_value(self.known.get(&place)?.clone()).ok()
    }

    /// Notes a batch; it is on the disk when this returns.
    pub(super) fn note(&mut self, place: (usize, usize), record: &impl Serialize) -> Result<()> {
        self.append(&Line { place, record })
    }

    fn append(&mut self, value: &impl Serialize) -> Result<()> {
        let refuse = |reason: String| AttackError::Journal { path: self.path.clone(), reason };
        let mut line = serde_json::to_vec(value).map_err(|error| refuse(error.to_string()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.map_err(|error| refuse(error.to_string()))
    }
}

//! What a long piece of work has done so far, on disk: a line for each batch, so that one that was
//! interrupted goes on to the same result.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

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

/// Which part of an evaluation's batches: every `count`-th one, from the `index`-th on (from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// The shard of this index, counted from 0, among so many; none if there is none.
    pub fn new(index: usize, count: usize) -> Option<Self> {
        (index < count).then_some(Self { index, count })
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether this batch, or whatever else is counted, is of the shard.
    pub fn has(&self, batch: usize) -> bool {
        batch % self.count == self.index
    }
}

/// `2/8`: the second of eight.
impl FromStr for Shard {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (number, count) = text.split_once('/')?;
            let number: usize = number.trim().parse().ok()?;
            Self::new(number.checked_sub(1)?, count.trim().parse().ok()?)
        };
        parse().ok_or_else(|| AttackError::Shard { text: text.to_owned() })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index + 1, self.count)
    }
}

/// What is known of an evaluation's batches, most often in a file that is open for more. Records of
/// a file stay there until they are asked for, so that memory does not grow with them.
#[derive(Debug, Default)]
pub struct Journal {
    file: Option<(PathBuf, File)>,
    /// Bytes of the file.
    length: u64,
    known: HashMap<(usize, usize), Known>,
}

/// A record, or where it stands in the file.
#[derive(Debug)]
enum Known {
    Here(Value),
    There(Place),
}

/// A line of a file.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    length: usize,
}

impl Place {
    /// The record of the line, if it can be read.
    fn record(self, mut file: &File) -> Option<Value> {
        let mut line = vec![0; self.length];
        file.seek(SeekFrom::Start(self.start)).ok()?;
        file.read_exact(&mut line).ok()?;
        Some(serde_json::from_slice::<Line<Value>>(&line).ok()?.record)
    }
}

/// The whole lines of a journal file, and their length in bytes; a last line that was cut off is
/// forgotten.
struct Found {
    known: HashMap<(usize, usize), Place>,
    length: u64,
}

fn read(path: &Path, identity: &str) -> Result<Found> {
    let refuse = |reason: String| AttackError::Journal { path: path.to_owned(), reason };
    let io = |error: std::io::Error| refuse(error.to_string());
    let no_journal = || refuse("it is no journal; name another file".into());
    let mut found = Found { known: HashMap::new(), length: 0 };
    let mut lines = BufReader::new(File::open(path).map_err(io)?);
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        lines.read_until(b'\n', line).map(|_| line.ends_with(b"\n"))
    };
    if !next(&mut line).map_err(io)? {
        let is_begun = b"{\"evaluation\":".starts_with(&line[..line.len().min(14)]);
        return if is_begun { Ok(found) } else { Err(no_journal()) };
    }
    match serde_json::from_slice::<Header>(&line) {
        Ok(header) if header.evaluation == identity => {}
        Ok(_) => {
            let reason = "it is of another command, or of another network, data, attack, seed or option, \
                          such as h or a mask; name another file, or delete it";
            return Err(refuse(reason.into()));
        }
        Err(_) => return Err(no_journal()),
    }
    found.length += line.len() as u64;
    while next(&mut line).map_err(io)? {
        let Ok(entry) = serde_json::from_slice::<Line<Value>>(&line) else { break };
        let place = Place { start: found.length, length: line.len() };
        found.length += line.len() as u64;
        found.known.insert(entry.place, place);
    }
    Ok(found)
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
        let is_new = !path.exists();
        let mut options = File::options();
        let file = match is_new {
            true => options.read(true).append(true).create(true).open(path).map_err(io)?,
            false => {
                // What is no journal is looked at before it is opened for writing.
                read(path, identity)?;
                options.read(true).append(true).open(path).map_err(io)?
            }
        };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let reason = "another process is writing it; wait until it has ended, or name another \
                          file";
            return Err(refuse(reason.into()));
        }
        // Again under the lock: another process may have written meanwhile.
        let found = read(path, identity)?;
        // What a death in the middle of a line left behind.
        file.set_len(found.length).map_err(io)?;
        let known = found.known.into_iter().map(|(place, line)| (place, Known::There(line)));
        let (file, known) = (Some((path.to_owned(), file)), known.collect());
        let mut journal = Self { file, length: found.length, known };
        if found.length == 0 {
            journal.append(&Header { evaluation: identity.to_owned() })?;
        }
        Ok(journal)
    }

    /// Takes in what another journal of the same evaluation knows; gives how many batches that added.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn adopt(&mut self, path: &Path, identity: &str) -> Result<usize> {
        let refuse = |reason: String| AttackError::Journal { path: path.to_owned(), reason };
        let mut found: Vec<_> = read(path, identity)?.known.into_iter().collect();
        found.retain(|(place, _)| !self.known.contains_key(place));
        // The same journals make the same file.
        found.sort_by_key(|(place, _)| *place);
        let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
        for (place, line) in &found {
            let record = line.record(&file).ok_or_else(|| refuse("it has changed".into()))?;
            self.note(*place, &record)?;
        }
        Ok(found.len())
    }

    /// All that is known, for [`Journal::extend`] of another process's.
    pub fn to_bytes(&self) -> Vec<u8> {
        let known: Vec<((usize, usize), Value)> =
            self.known.keys().filter_map(|&place| Some((place, self.value(place)?))).collect();
        // Plain data: it always has a JSON text.
        serde_json::to_vec(&known).unwrap_or_default()
    }

    /// Takes in what another process knows of the same evaluation.
    ///
    /// # Errors
    /// [`AttackError::Journal`] if the file cannot be written.
    pub fn extend(&mut self, bytes: &[u8]) -> Result<()> {
        let mut known: Vec<((usize, usize), Value)> =
            serde_json::from_slice(bytes).unwrap_or_default();
        known.retain(|(place, _)| !self.known.contains_key(place));
        known.sort_by_key(|(place, _)| *place);
        for (place, record) in &known {
            self.note(*place, record)?;
        }
        Ok(())
    }

    /// Whether it is in a file, from which another process goes on.
    pub fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Batches that are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no batch is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What was noted of a place, if anything was that reads as `T`.
    pub fn recall<T: DeserializeOwned>(&self, place: (usize, usize)) -> Option<T> {
        serde_json::from_value(self.value(place)?).ok()
    }

    fn value(&self, place: (usize, usize)) -> Option<Value> {
        match (self.known.get(&place)?, &self.file) {
            (Known::Here(value), _) => Some(value.clone()),
            (Known::There(line), Some((_, file))) => line.record(file),
            (Known::There(_), None) => None,
        }
    }

    /// Notes a batch; where there is a file it is on the disk when this returns. Numbers that are not
    /// finite are lost: JSON has none.
    ///
    /// # Errors
    /// [`AttackError::Journal`] if the file cannot be written.
    pub fn note(&mut self, place: (usize, usize), record: &impl Serialize) -> Result<()> {
        let known = match self.append(&Line { place, record })? {
            Some(line) => Known::There(line),
            None => Known::Here(serde_json::to_value(record).unwrap_or_default()),
        };
        self.known.insert(place, known);
        Ok(())
    }

    /// Writes a line where there is a file, and says where it stands.
    fn append(&mut self, value: &impl Serialize) -> Result<Option<Place>> {
        let Some((path, file)) = &mut self.file else { return Ok(None) };
        let refuse = |reason: String| AttackError::Journal { path: path.clone(), reason };
        let mut line = serde_json::to_vec(value).map_err(|error| refuse(error.to_string()))?;
        line.push(b'\n');
        let written = file.write_all(&line).and_then(|()| file.sync_data());
        written.map_err(|error| refuse(error.to_string()))?;
        let place = Place { start: self.length, length: line.len() };
        self.length += line.len() as u64;
        Ok(Some(place))
    }
}

//! The zip format: `NAME/data.pkl`, and `NAME/data/KEY` for each storage, all uncompressed
//! (`torch.serialization._save`).

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::storage::{self, Storage};
use super::{CheckpointError, Result, read_pickle};
use crate::Pickle;

pub(super) fn read(bytes: &[u8]) -> Result<(Pickle, HashMap<String, Storage>)> {
    let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
        CheckpointError::NotACheckpoint(format!("a damaged or truncated zip archive ({error})"))
    })?;
    let mut entries = Entries { archive, bytes, read: 0 };
    let names: Vec<String> =
        entries.archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let folder = |file: &str| names.iter().find_map(|name| name.strip_suffix(file));
    if folder("constants.pkl").is_some() {
        return Err(CheckpointError::TorchScript);
    }
    let Some(folder) = folder("data.pkl") else {
        let reason = "a zip archive without `data.pkl`".to_owned();
        return Err(CheckpointError::NotACheckpoint(reason));
    };
    if names.iter().any(|name| name.strip_prefix(folder) == Some("byteorder")) {
        let order = entries.range(&format!("{folder}byteorder"))?;
        if bytes[order].trim_ascii() != b"little" {
            let reason = "its byte order is not `little`; save it again on a little-endian machine";
            return Err(CheckpointError::NotACheckpoint(reason.to_owned()));
        }
    }
    let pickle = entries.range(&format!("{folder}data.pkl"))?;
    let (pickle, _) = read_pickle(&bytes[pickle], 0)?;

    let mut storages = HashMap::new();
    for (key, (dtype, count)) in storage::declared(&pickle)? {
        let range = entries.range(&format!("{folder}data/{key}"))?;
        let length = count.checked_mul(dtype.size());
        if length != Some(range.len()) {
            let reason = format!("{} bytes, where {count} {dtype:?} are expected", range.len());
            return Err(CheckpointError::storage(key, reason));
        }
        storages.insert(key.to_owned(), Storage { dtype, range });
    }
    Ok((pickle, storages))
}

struct Entries<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    bytes: &'a [u8],
    /// Bytes of entries looked at so far.
    read: usize,
}

impl Entries<'_> {
    /// Where an entry's contents lie in the file, its checksum verified.
    fn range(&mut self, name: &str) -> Result<Range<usize>> {
        let refuse = |reason: String| CheckpointError::Entry {
            entry: crate::value::shortened(name),
            reason,
        };
        let mut entry = self.archive.by_name(name).map_err(|error| refuse(error.to_string()))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(refuse(
                "is compressed or encrypted; PyTorch stores its entries as they are".to_owned(),
            ));
        }
        let outside = || refuse("lies outside the file".to_owned());
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let length = usize::try_from(entry.size()).map_err(|_| outside())?;
        let end = start.and_then(|start| start.checked_add(length));
        let (Some(start), Some(end)) = (start, end.filter(|&end| end <= self.bytes.len())) else {
            return Err(outside());
        };
        // Entries that overlap would let a small file cost a long time.
        self.read = self.read.saturating_add(length);
        if self.read > self.bytes.len() {
            return Err(refuse("overlaps another entry".to_owned()));
        }
        let copied = std::io::copy(&mut entry.by_ref(), &mut std::io::sink());
        match copied {
            Ok(copied) if copied == length as u64 => Ok(start..end),
            Ok(_) => Err(refuse("is shorter than it declares".to_owned())),
            Err(error) => Err(refuse(format!("is damaged ({error})"))),
        }
    }
}

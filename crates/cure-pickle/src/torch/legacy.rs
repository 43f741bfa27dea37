//! The legacy format: five pickles (magic number, format version, facts about the machine, the
//! object, the storages' keys), then each storage as an element count and its raw elements
//! (`torch.serialization._legacy_save`).

use std::collections::HashMap;

use super::storage::{self, Storage};
use super::{CheckpointError, Result, read_pickle};
use crate::cursor::Cursor;
use crate::{Kind, Pickle, Value};

/// `MAGIC_NUMBER = 0x1950a86a20f9469cfc6c`, least significant byte first.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

const FORMAT_VERSION: i64 = 1001;

/// Whether the file begins with the pickled magic number.
pub(super) fn begins(bytes: &[u8]) -> bool {
    crate::read(&bytes[..bytes.len().min(64)], &[]).is_ok_and(|pickle| is_magic(pickle.root()))
}

fn is_magic(value: Value<'_>) -> bool {
    // The decimal notation of protocol 0 leaves zeros above the ten bytes.
    matches!(value.kind(), Kind::BigInt(bytes)
        if bytes.starts_with(MAGIC) && bytes[MAGIC.len()..].iter().all(|&byte| byte == 0))
}

pub(super) fn read(bytes: &[u8]) -> Result<(Pickle, HashMap<String, Storage>)> {
    let (_magic, at) = read_pickle(bytes, 0)?;
    let (version, at) = read_pickle(bytes, at)?;
    if version.root().as_int() != Some(FORMAT_VERSION) {
        let found = version.root().describe();
        let reason = format!("its format version is {found}; only {FORMAT_VERSION} is known");
        return Err(CheckpointError::NotACheckpoint(reason));
    }
    let (machine, at) = read_pickle(bytes, at)?;
    if matches!(machine.root().get("little_endian").map(Value::kind), Some(Kind::Bool(false))) {
        let reason = "it was written on a big-endian machine; save it again on a little-endian one";
        return Err(CheckpointError::NotACheckpoint(reason.to_owned()));
    }
    let (object, at) = read_pickle(bytes, at)?;
    let (keys, at) = read_pickle(bytes, at)?;
    let Some(keys) = keys.root().as_items() else {
        let reason = format!("the storages' keys are {}, not a list", keys.root().describe());
        return Err(CheckpointError::NotACheckpoint(reason));
    };

    let mut storages = HashMap::new();
    let declared = storage::declared(&object)?;
    let mut cursor = Cursor::new(bytes, at);
    for key in keys.iter() {
        let key =
            key.as_str().ok_or_else(|| CheckpointError::storage("?", "its key is no text"))?;
        let count = cursor.u64("a storage's element count")?;
        let Some(&(dtype, expected)) = declared.get(key) else {
            let reason = "no tensor refers to it, so its element size is unknown";
            return Err(CheckpointError::storage(key, reason));
        };
        if count != expected as u64 {
            let reason = format!("{count} elements, where its tensors expect {expected}");
            return Err(CheckpointError::storage(key, reason));
        }
        let length = count.saturating_mul(dtype.size() as u64);
        let start = cursor.at();
        let length = cursor.take(length, "a storage's elements")?.len();
        storages.insert(key.to_owned(), Storage { dtype, range: start..start + length });
    }
    Ok((object, storages))
}

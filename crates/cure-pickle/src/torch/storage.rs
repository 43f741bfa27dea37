use std::collections::HashMap;
use std::ops::Range;

use super::{CheckpointError, Result};
use crate::{DType, Items, Kind, Pickle, Value};

/// A flat run of elements in the file.
pub(super) struct Storage {
    pub(super) dtype: DType,
    /// Where its bytes are in the file; as long as a whole number of elements.
    pub(super) range: Range<usize>,
}

/// What a tensor says of the storage that it looks into: the persistent id
/// `('storage', torch.FloatStorage, key, device, element count[, view])`.
pub(super) struct Reference<'p> {
    pub(super) key: &'p str,
    pub(super) dtype: DType,
    pub(super) count: usize,
    /// `(offset, count)` in elements, where the legacy format wrote a storage that is itself a
    /// part of another.
    pub(super) view: Option<(usize, usize)>,
}

impl<'p> Reference<'p> {
    pub(super) fn parse(value: Value<'p>) -> Result<Self> {
        Self::parts(value).ok_or_else(|| {
            CheckpointError::storage(
                "?",
                "its reference is not ('storage', a torch storage type, key, device, count)",
            )
        })
    }

    fn parts(value: Value<'p>) -> Option<Self> {
        let Kind::PersistentId(id) = value.kind() else { return None };
        let parts: Items<'p> = id.as_items()?;
        if parts.get(0)?.as_str()? != "storage" {
            return None;
        }
        let Kind::Global("torch", storage_type) = parts.get(1)?.kind() else { return None };
        let view = match parts.get(5).map(Value::kind) {
            None | Some(Kind::None) => None,
            Some(Kind::Tuple(view)) => Some((size(view.get(1)?)?, size(view.get(2)?)?)),
            Some(_) => return None,
        };
        Some(Self {
            key: parts.get(2)?.as_str()?,
            dtype: element_type(storage_type)?,
            count: size(parts.get(4)?)?,
            view,
        })
    }
}

fn size(value: Value<'_>) -> Option<usize> {
    usize::try_from(value.as_int()?).ok()
}

fn element_type(storage_type: &str) -> Option<DType> {
    Some(match storage_type {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        _ => return None,
    })
}

/// Every storage that the pickle refers to, by key: element type and count.
pub(super) fn declared(pickle: &Pickle) -> Result<HashMap<&str, (DType, usize)>> {
    let mut declared = HashMap::new();
    for value in pickle.values().filter(|value| matches!(value.kind(), Kind::PersistentId(_))) {
        let Reference { key, dtype, count, .. } = Reference::parse(value)?;
        let earlier = *declared.entry(key).or_insert((dtype, count));
        if earlier != (dtype, count) {
            let reason = format!(
                "declared as {} {:?} and as {count} {dtype:?}; it can be only one",
                earlier.1, earlier.0
            );
            return Err(CheckpointError::storage(key, reason));
        }
    }
    Ok(declared)
}

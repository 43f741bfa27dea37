//! The Python layout of CIFAR: a pickled dictionary with `data`, a `uint8` array `[N, 3072]`
//! (each row channel-major), and a list of labels. Read without executing anything.

use std::path::Path;

use cure_pickle::{DType, Value, numpy};

use super::cifar::{Family, IMAGE, Records};
use crate::{DataError, Result};

/// Adds the samples of one batch to `records`.
pub(super) fn decode(
    family: &Family,
    path: &Path,
    bytes: &[u8],
    records: &mut Records,
) -> Result<()> {
    let wrong = |error: cure_pickle::PickleError| DataError::format(path, error);
    let pickle = cure_pickle::read(bytes, numpy::GLOBALS).map_err(wrong)?;
    let entry = |key: &str| {
        let detail = || format!("it is not a CIFAR batch: there is no `{key}` in it");
        pickle.root().get(key).ok_or_else(|| DataError::format(path, detail()))
    };
    let data = numpy::array(entry("data")?).map_err(wrong)?;
    let labels = entry(family.python_key)?;
    let Some(labels) = labels.as_items() else {
        let detail = format!("`{}` is {}, not a list", family.python_key, labels.describe());
        return Err(DataError::format(path, detail));
    };
    if data.dtype != DType::U8 || data.shape != [labels.len(), IMAGE] {
        return Err(DataError::Shape {
            path: path.to_owned(),
            what: format!("`data`, an array of {:?},", data.dtype),
            found: data.shape.iter().map(|&extent| extent as u64).collect(),
            expected: format!("[{}, {IMAGE}], an array of U8, one row a label", labels.len()),
        });
    }
    let classes = family.class_names.len();
    for (record, label) in labels.iter().enumerate() {
        records.labels.push(class(label, classes).map_err(|found| match found {
            Some(value) => DataError::Label {
                path: path.to_owned(),
                field: "label",
                record,
                value: i128::from(value),
                largest: classes - 1,
            },
            None => DataError::format(path, format!("label {record} is {}", label.describe())),
        })?);
    }
    records.pixels.extend_from_slice(&data.bytes);
    Ok(())
}

/// A label below `classes`, or the integer that it is instead, if it is one.
fn class(label: Value<'_>, classes: usize) -> std::result::Result<usize, Option<i64>> {
    let value = label.as_int().ok_or(None)?;
    usize::try_from(value).ok().filter(|&class| class < classes).ok_or(Some(value))
}

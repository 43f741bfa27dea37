//! The Python layout of CIFAR: a pickled dictionary with `data`, a `uint8` array `[N, 3072]`
//! (each row channel-major), and a list of labels. Read without executing anything.

use std::path::{Path, PathBuf};

use cure_pickle::{DType, Value, numpy};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::cifar::{Family, IMAGE, Part, Records};
use crate::files::{hexadecimal, read_into, reserve};
use crate::{DataError, Result};

/// Reads files of the given sizes.
pub(super) fn read(family: &Family, part: &Part, files: &[(PathBuf, u64)]) -> Result<Records> {
    let mut records = Records::default();
    if let Some((path, _)) = files.first() {
        let size = files.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size));
        reserve(&mut records.pixels, path, size)?;
    }
    let mut sha256 = Sha256::new();
    let mut bytes = Vec::new();
    for (file, (path, size)) in part.files.iter().zip(files) {
        read_into(path, *size, &mut bytes)?;
        let (md5, decoded) = rayon::join(
            || hexadecimal(&Md5::digest(&bytes)),
            || {
                sha256.update(&bytes);
                decode(family, path, &bytes, &mut records)
            },
        );
        decoded?;
        records.is_published.push(file.md5.map(|published| published == md5));
    }
    records.sha256 = hexadecimal(&sha256.finalize());
    Ok(records)
}

/// Adds the samples of one batch to `records`.
fn decode(family: &Family, path: &Path, bytes: &[u8], records: &mut Records) -> Result<()> {
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
                accepted: [0, classes - 1],
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

//! A run's rows as a TensorBoard event file.
//!
//! The file is a sequence of TFRecords: the length of the data as 8 bytes, its masked CRC-32C, the
//! data, their masked CRC-32C, all little-endian. Each record is an `Event` of TensorFlow's
//! `event.proto` in Protocol Buffers' wire format, written by hand: `wall_time` = 1 (double),
//! `step` = 2 (varint), and `file_version` = 3 in the first record or `summary` = 5 in those of the
//! epochs, a list of `value` = 1 with `tag` = 1 and `simple_value` = 2 (float).
//!
//! Wall times are the run's beginning plus the seconds it has trained. So the file follows from the
//! rows and its own first record: what is appended epoch by epoch and what is written anew when a
//! run is resumed are the same bytes, and no epoch is there twice.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::error::{Result, TrainingError};
use crate::file;
use crate::metrics::EpochRow;

/// TensorBoard finds event files by `tfevents` in their names.
pub(crate) const FILE: &str = "events.out.tfevents.cure";

/// Wire types of Protocol Buffers.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Length and its sum, before a record's data.
const HEADER: usize = 12;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(field: u64, wire: u64, out: &mut Vec<u8>) {
    varint((field << 3) | wire, out);
}

fn bytes(field: u64, content: &[u8], out: &mut Vec<u8>) {
    key(field, BYTES, out);
    varint(content.len() as u64, out);
    out.extend(content);
}

/// TFRecord's sum: a plain CRC over data that hold CRCs would be weak.
fn masked_sum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked_sum(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_sum(data).to_le_bytes());
    out
}

/// The fields that every event has. The wall time comes first: [`begun`] looks for it there.
fn event(wall_time: f64, step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    key(1, FIXED64, &mut out);
    out.extend(wall_time.to_le_bytes());
    key(2, VARINT, &mut out);
    varint(step as u64, &mut out);
    out
}

fn header(begun: f64) -> Vec<u8> {
    let mut data = event(begun, 0);
    bytes(3, b"brain.Event:2", &mut data);
    record(&data)
}

/// Every number of a row but the epoch; those of a table within it as `TABLE/NAME`.
fn scalars(prefix: &str, row: &Value, out: &mut Vec<(String, f64)>) {
    let Value::Object(fields) = row else { return };
    for (name, value) in fields {
        let name = format!("{prefix}{name}");
        match value {
            Value::Number(number) if name != "epoch" => {
                out.extend(number.as_f64().map(|number| (name, number)));
            }
            table => scalars(&format!("{name}/"), table, out),
        }
    }
}

fn epoch(wall_time: f64, row: &EpochRow) -> Vec<u8> {
    let mut numbers = Vec::new();
    // A row is plain data with string keys: it always has a JSON value.
    scalars("", &serde_json::to_value(row).unwrap_or_default(), &mut numbers);
    let mut summary = Vec::new();
    for (name, number) in numbers {
        let mut value = Vec::new();
        bytes(1, name.as_bytes(), &mut value);
        key(2, FIXED32, &mut value);
        value.extend((number as f32).to_le_bytes());
        bytes(1, &value, &mut summary);
    }
    let mut data = event(wall_time, row.epoch);
    bytes(5, &summary, &mut data);
    record(&data)
}

fn seconds(rows: &[EpochRow]) -> f64 {
    rows.iter().map(|row| row.seconds).sum()
}

/// When the run of a file began: the wall time of its first record.
fn begun(path: &Path) -> Option<f64> {
    let mut start = [0; HEADER + 9];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).ok()?;
    let time = start[HEADER + 1..].try_into().map(f64::from_le_bytes).ok()?;
    (time.is_finite() && time > 0.0).then_some(time)
}

/// Writes the whole file for these rows, in the place of one that may be there.
///
/// # Errors
/// [`TrainingError::Io`].
pub(crate) fn rewrite(path: &Path, rows: &[EpochRow]) -> Result<()> {
    let now =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let begun = begun(path).unwrap_or_else(now);
    let mut content = header(begun);
    for (index, row) in rows.iter().enumerate() {
        content.extend(epoch(begun + seconds(&rows[..=index]), row));
    }
    file::replace(path, |partial| {
        std::fs::write(partial, &content).map_err(TrainingError::io("write", partial))
    })
}

/// Adds the last of a run's rows.
///
/// # Errors
/// [`TrainingError::Io`].
pub(crate) fn append(path: &Path, rows: &[EpochRow]) -> Result<()> {
    let (Some(begun), Some(row)) = (begun(path), rows.last()) else { return rewrite(path, rows) };
    let content = epoch(begun + seconds(rows), row);
    let write = || {
        let mut file = File::options().append(true).open(path)?;
        file.write_all(&content)?;
        file.sync_all()
    };
    write().map_err(TrainingError::io("write", path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_numbers_by_the_specifications() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_sum(&[0; 32]), 0x8a91_36aau32.rotate_right(15).wrapping_add(0xa282_ead8));
        // Protocol Buffers' own example.
        let mut out = Vec::new();
        varint(150, &mut out);
        assert_eq!(out, [0x96, 0x01]);
    }

    #[test]
    fn a_records_bytes_by_hand() {
        let found = header(1.0);
        // 1 + 8 for the time, 1 + 1 for the step, 1 + 1 + 13 for the version.
        assert_eq!(found[..8], 26u64.to_le_bytes());
        let mut data = vec![0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0x00, 0x1a, 13];
        data.extend(b"brain.Event:2");
        assert_eq!(found[12..38], data);
        assert_eq!(found.len(), 42);
    }

    #[test]
    fn tables_are_flattened_and_what_is_no_number_left_out() {
        let row = serde_json::json!({
            "epoch": 3, "loss": 0.5, "none": null, "text": "x", "scheduled": {"eps": 0.25},
        });
        let mut found = Vec::new();
        scalars("", &row, &mut found);
        assert_eq!(found, [("loss".to_owned(), 0.5), ("scheduled/eps".to_owned(), 0.25)]);
    }
}

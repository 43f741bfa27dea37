//! The elements that MAT-files are made of: a tag (a type and a size in bytes), the contents, and
//! zeros up to a multiple of eight bytes. Contents of one to four bytes may stand in the tag.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::{DataError, Result};

/// The types of elements that are no numbers.
pub(super) const MATRIX: u32 = 14;
pub(super) const COMPRESSED: u32 = 15;

/// Bytes of a tag.
pub(super) const TAG: u64 = 8;

/// How numbers are stored, which may be narrower than what they are: MATLAB writes doubles that
/// are whole and small as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
}

impl Storage {
    /// That of an element's type, if the type is one of numbers.
    pub(super) fn of(kind: u32) -> Option<Self> {
        Some(match kind {
            1 => Self::I8,
            2 => Self::U8,
            3 => Self::I16,
            4 => Self::U16,
            5 => Self::I32,
            6 => Self::U32,
            7 => Self::F32,
            9 => Self::F64,
            12 => Self::I64,
            13 => Self::U64,
            _ => return None,
        })
    }

    /// Bytes a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// The number whose bits these are; those of 64 bits are rounded to the nearest double.
    fn number(self, bits: u64) -> f64 {
        match self {
            Self::I8 => f64::from(bits as i8),
            Self::U8 => f64::from(bits as u8),
            Self::I16 => f64::from(bits as i16),
            Self::U16 => f64::from(bits as u16),
            Self::I32 => f64::from(bits as i32),
            Self::U32 => f64::from(bits as u32),
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::F64 => f64::from_bits(bits),
            Self::I64 => bits as i64 as f64,
            Self::U64 => bits as f64,
        }
    }

    /// All numbers that `bytes` hold.
    pub(super) fn numbers(self, bytes: &[u8], big_endian: bool) -> Vec<f64> {
        let append = |bits: u64, &byte: &u8| bits << 8 | u64::from(byte);
        let numbers = bytes.chunks_exact(self.size()).map(|number| {
            let bits = if big_endian {
                number.iter().fold(0, append)
            } else {
                number.iter().rev().fold(0, append)
            };
            self.number(bits)
        });
        numbers.collect()
    }
}

/// What stands before an element's contents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag {
    pub(super) kind: u32,
    /// Bytes of the contents; no more than are left where the tag was read.
    pub(super) size: u64,
    /// The contents, where they stand in the tag.
    inside: Option<[u8; 4]>,
}

/// Elements one after the other, of which `left` bytes are to come. No size is believed that
/// is larger, so that whoever takes memory for contents takes at most what `left` began with.
pub(super) struct Elements<'p> {
    pub(super) path: &'p Path,
    pub(super) source: Box<dyn Read>,
    pub(super) left: u64,
    pub(super) big_endian: bool,
}

impl Elements<'_> {
    /// The next tag.
    pub(super) fn tag(&mut self) -> Result<Tag> {
        let mut bytes = [0; TAG as usize];
        self.fill(&mut bytes)?;
        let [a, b, c, d, inside @ ..] = bytes;
        let first = self.integer([a, b, c, d]);
        // The upper half is the size of contents that stand in the tag, 0 where they do not.
        let tag = match first >> 16 {
            0 => Tag { kind: first, size: u64::from(self.integer(inside)), inside: None },
            size => Tag { kind: first & 0xffff, size: u64::from(size), inside: Some(inside) },
        };
        let most = tag.inside.map_or(self.left, |inside| inside.len() as u64);
        if tag.size > most {
            let Tag { kind, size, .. } = tag;
            let detail =
                format!("an element of type {kind} declares {size} bytes where {most} are left");
            return Err(self.damaged(detail));
        }
        Ok(tag)
    }

    /// The contents of an element of one of these types, at most `most` bytes long.
    pub(super) fn short(&mut self, what: &str, kinds: &[u32], most: usize) -> Result<Vec<u8>> {
        let tag = self.tag()?;
        if !kinds.contains(&tag.kind) || tag.size > most as u64 {
            let Tag { kind, size, .. } = tag;
            let detail = format!(
                "{what} are {size} bytes of type {kind}; accepted are up to {most} of type {kinds:?}"
            );
            return Err(self.damaged(detail));
        }
        let mut contents = vec![0; tag.size as usize];
        self.contents(tag, &mut contents)?;
        Ok(contents)
    }

    /// Reads what `tag` stands before, as much as `contents` takes: all of it.
    pub(super) fn contents(&mut self, tag: Tag, contents: &mut [u8]) -> Result<()> {
        if let Some(inside) = tag.inside {
            contents.copy_from_slice(&inside[..contents.len()]);
            return Ok(());
        }
        self.fill(contents)?;
        let padding = (tag.size.next_multiple_of(TAG) - tag.size).min(self.left);
        self.fill(&mut [0; TAG as usize][..padding as usize])
    }

    /// Checks that nothing is left. Reaching the end of what is compressed checks its sum too.
    pub(super) fn end(mut self) -> Result<()> {
        match self.source.read_exact(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && self.left == 0 => Ok(()),
            Err(error) => Err(self.failure(error)),
            Ok(()) => Err(self.damaged("an element is longer than the variable in it".into())),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        let size = buffer.len() as u64;
        let Some(left) = self.left.checked_sub(size) else {
            let detail = format!("{size} bytes are needed where {} are left", self.left);
            return Err(self.damaged(detail));
        };
        self.source.read_exact(buffer).map_err(|error| self.failure(error))?;
        self.left = left;
        Ok(())
    }

    /// Four bytes as an integer in the file's order.
    pub(super) fn integer(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn failure(&self, error: std::io::Error) -> DataError {
        match error.kind() {
            ErrorKind::UnexpectedEof => {
                self.damaged("a variable is shorter than it declares".into())
            }
            // What the decoder says of bytes that are not compressed data, or have another sum.
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.damaged(error.to_string()),
            _ => DataError::read(self.path)(error),
        }
    }

    pub(super) fn damaged(&self, detail: String) -> DataError {
        DataError::format(self.path, format!("{detail}: the file is damaged; get it again"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn elements(bytes: &[u8], big_endian: bool) -> Elements<'static> {
        Elements {
            path: Path::new("x.mat"),
            source: Box::new(std::io::Cursor::new(bytes.to_vec())),
            left: bytes.len() as u64,
            big_endian,
        }
    }

    #[test]
    fn tags_of_both_orders_with_contents_inside_and_behind() {
        let little = [1, 0, 3, 0, 7, 8, 9, 0, 2, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0];
        let big = [0, 3, 0, 1, 7, 8, 9, 0, 0, 0, 0, 2, 0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        for (bytes, big_endian) in [(little, false), (big, true)] {
            let mut elements = elements(&bytes, big_endian);
            assert_eq!(elements.short("names", &[1], 3).unwrap(), [7, 8, 9]);
            assert_eq!(elements.short("values", &[1, 2], 5).unwrap(), [1, 2, 3, 4, 5]);
            elements.end().unwrap();
        }
    }

    #[test]
    fn the_last_padding_may_be_missing() {
        let mut elements = elements(&[2, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5], false);
        assert_eq!(elements.short("values", &[2], 5).unwrap(), [1, 2, 3, 4, 5]);
        elements.end().unwrap();
    }

    #[test]
    fn sizes_are_not_believed() {
        let refused = |bytes: &[u8], reason: &str| {
            let error = elements(bytes, false).short("values", &[2], 64).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("get it again"), "{error}");
        };
        refused(&[2, 0, 0, 0, 0, 0, 0, 0x80, 1, 2], "declares 2147483648 bytes where 2 are left");
        refused(&[2, 0, 5, 0, 1, 2, 3, 4], "declares 5 bytes where 4 are left");
        refused(&[3, 0, 2, 0, 1, 2, 3, 4], "values are 2 bytes of type 3");
        refused(&[2, 0, 0], "8 bytes are needed where 3 are left");
        refused(&[], "8 bytes are needed where 0 are left");
        let longer = [&[2, 0, 0, 0, 65, 0, 0, 0], &[0; 72][..]].concat();
        refused(&longer, "values are 65 bytes of type 2; accepted are up to 64");
    }

    #[test]
    fn numbers_of_every_storage_and_order() {
        for (kind, bytes, number) in [
            (1, &[0xff][..], -1.0),
            (2, &[0xff], 255.0),
            (3, &[0xfe, 0xff], -2.0),
            (4, &[0x01, 0x02], 513.0),
            (5, &[0, 0, 0, 0x80], -2_147_483_648.0),
            (6, &[0, 0, 0, 0x80], 2_147_483_648.0),
            (7, &[0, 0, 0x20, 0xc1], -10.0),
            (9, &[0, 0, 0, 0, 0, 0, 0x24, 0x40], 10.0),
            (12, &[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -3.0),
            (13, &[0, 1, 0, 0, 0, 0, 0, 0], 256.0),
        ] {
            let storage = Storage::of(kind).unwrap();
            let twice = [bytes, bytes].concat();
            assert_eq!(storage.numbers(&twice, false), [number; 2], "{storage:?}");
            let reversed: Vec<u8> = twice.iter().rev().copied().collect();
            assert_eq!(storage.numbers(&reversed, true), [number; 2], "{storage:?}");
        }
        for kind in [0, 8, 10, 11, 14, 15, 16, 17, 18, 19] {
            assert_eq!(Storage::of(kind), None);
        }
    }
}

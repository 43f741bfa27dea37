//! Numeric arrays of MAT-files of level 5 (MATLAB's `save -v6` and `-v7`, `scipy.io.savemat`), as
//! "MAT-File Format" of The MathWorks describes them: a header of 128 bytes, then an element a
//! variable, compressed by zlib or not. Values are column-major: the first index varies fastest.
//!
//! First the variables are found, which inflates no more than what stands before their values;
//! then values are read to where the caller wants them, once their number is known and checked.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::ZlibDecoder;

use super::matlab_element::{COMPRESSED, Elements, MATRIX, Storage, TAG, Tag};
use crate::files::{MAX_DEFLATE, file_size, read_next, zeros};
use crate::{DataError, Result};

/// Bytes before the first element.
const HEADER: u64 = 128;

/// What a file of version 7.3 begins with, behind a header of 512 bytes or without one.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// The most axes and letters of a name that are read: what MATLAB's own files have, and more.
const MAX_AXES: usize = 32;
const MAX_NAME: usize = 255;

/// Bytes read from a file at once.
const AT_ONCE: usize = 1 << 16;

/// MATLAB's classes in the order of their numbers, which begin with 1. Those from `double` on are
/// numbers.
const CLASSES: [&str; 15] = [
    "cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8", "int16",
    "uint16", "int32", "uint32", "int64", "uint64",
];
const FIRST_NUMERIC: usize = 6;

/// An array of numbers in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// What MATLAB's `class` says, such as `uint8`.
    pub(super) class: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) storage: Storage,
    /// Bytes that its values take: those of `shape` in `storage`, and no more than the file can
    /// hold, inflated 1032-fold if it is compressed.
    pub(super) size: u64,
    place: Place,
}

/// Where a variable's element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Of the contents, behind the tag.
    start: u64,
    length: u64,
    compressed: bool,
    big_endian: bool,
}

/// The numeric arrays of these names in the file, where they are there.
///
/// # Errors
/// A file of another format; elements that do not fit in the file or into one another; a variable
/// that is not numbers, is complex, has another size than its shape says, or is there twice.
pub(super) fn find<const N: usize>(path: &Path, names: [&str; N]) -> Result<[Option<Variable>; N]> {
    let size = file_size(path)?;
    let file = File::open(path).map_err(DataError::read(path))?;
    let big_endian = byte_order(path, file, size)?;
    let mut variables = [const { None }; N];
    let mut position = HEADER;
    while position < size {
        let place = Place::at(path, position, size, big_endian)?;
        position = place.start + place.length;
        let Some((variable, ..)) = open(path, place, &names)? else { continue };
        for (name, found) in names.iter().zip(&mut variables) {
            if *name != variable.name {
                continue;
            }
            if found.is_some() {
                return Err(DataError::format(path, format!("it holds `{name}` twice")));
            }
            *found = Some(variable.clone());
        }
    }
    Ok(variables)
}

impl Variable {
    /// Reads the values, as stored, into `values`, which has [`Self::size`] bytes.
    pub(super) fn read(&self, path: &Path, values: &mut [u8]) -> Result<()> {
        match open(path, self.place, &[&self.name])? {
            Some((variable, mut elements, tag))
                if variable == *self && values.len() as u64 == tag.size =>
            {
                elements.contents(tag, values)?;
                elements.end()
            }
            _ => Err(DataError::format(path, "it changed while being read")),
        }
    }

    /// The values as doubles, which 64-bit integers are rounded to.
    pub(super) fn numbers(&self, path: &Path) -> Result<Vec<f64>> {
        let mut values = zeros(self.size, path)?;
        self.read(path, &mut values)?;
        Ok(self.storage.numbers(&values, self.place.big_endian))
    }
}

/// Whether the most significant byte comes first, by the file's header.
fn byte_order(path: &Path, mut file: File, size: u64) -> Result<bool> {
    let mut header = [0; HEADER as usize];
    let most = size.min(HEADER);
    read_next(&mut file, path, size, &mut header[..most as usize])?;
    let (big_endian, version) = match header {
        [.., a, b, b'I', b'M'] => (false, u16::from_le_bytes([a, b])),
        [.., a, b, b'M', b'I'] => (true, u16::from_be_bytes([a, b])),
        _ => (false, 0),
    };
    match version {
        0x0100 => Ok(big_endian),
        _ if version == 0x0200 || header.starts_with(HDF5) => Err(DataError::format(
            path,
            "it is a MATLAB 7.3 file, that is HDF5, and level 5 is accepted; write it with \
             `save -v7` in MATLAB or scipy.io.savemat in Python",
        )),
        _ => Err(DataError::format(
            path,
            "it is not a MAT-file of level 5, which has `IM` or `MI` and the version 1 at the end of \
             a header of 128 bytes; write one with `save -v7` in MATLAB or scipy.io.savemat in \
             Python, or get the file again",
        )),
    }
}

impl Place {
    /// That of the element whose tag is at `position` of a file of `size` bytes.
    fn at(path: &Path, position: u64, size: u64, big_endian: bool) -> Result<Self> {
        let left = size - position;
        let source = Box::new(section(path, position, left)?);
        let mut elements = Elements { path, source, left, big_endian };
        let tag = elements.tag()?;
        if !matches!(tag.kind, MATRIX | COMPRESSED) {
            let detail = format!(
                "the element at byte {position} has type {}; a variable has {MATRIX} or {COMPRESSED}",
                tag.kind
            );
            return Err(elements.damaged(detail));
        }
        let compressed = tag.kind == COMPRESSED;
        Ok(Self { start: position + TAG, length: tag.size, compressed, big_endian })
    }
}

/// `length` bytes of the file from `start` on.
fn section(path: &Path, start: u64, length: u64) -> Result<std::io::Take<BufReader<File>>> {
    let mut file = File::open(path).map_err(DataError::read(path))?;
    file.seek(SeekFrom::Start(start)).map_err(DataError::read(path))?;
    Ok(BufReader::with_capacity(AT_ONCE, file).take(length))
}

/// The variable at `place`, if it has one of the names, with its values to be read next.
fn open<'p>(
    path: &'p Path,
    place: Place,
    names: &[&str],
) -> Result<Option<(Variable, Elements<'p>, Tag)>> {
    let section = section(path, place.start, place.length)?;
    let Place { length, big_endian, .. } = place;
    let mut elements = if place.compressed {
        let (source, left) = (Box::new(ZlibDecoder::new(section)), length * MAX_DEFLATE);
        let mut outer = Elements { path, source, left, big_endian };
        let tag = outer.tag()?;
        if tag.kind != MATRIX {
            let detail = format!("a compressed element holds type {}, not {MATRIX}", tag.kind);
            return Err(outer.damaged(detail));
        }
        Elements { left: tag.size, ..outer }
    } else {
        Elements { path, source: Box::new(section), left: length, big_endian }
    };

    let flags = elements.short("flags", &[6], 8)?;
    let Some(&flags) = flags.first_chunk::<4>() else {
        return Err(elements.damaged("a variable has no flags".into()));
    };
    let flags = elements.integer(flags);
    let (class, complex) = ((flags & 0xff) as usize, flags & 0x800 != 0);
    let Some(&class_name) = class.checked_sub(1).and_then(|class| CLASSES.get(class)) else {
        // Functions and objects of newer kinds, which go on in other ways.
        return Ok(None);
    };
    let extents = elements.short("extents", &[5, 6], 4 * MAX_AXES)?;
    let name = elements.short("letters of a name", &[1, 2, 16], MAX_NAME)?;
    let Some(name) = names.iter().find(|known| known.as_bytes() == name) else { return Ok(None) };

    let wrong = |detail: String| DataError::format(path, format!("variable `{name}` {detail}"));
    if class < FIRST_NUMERIC || complex {
        let complex = if complex { "complex " } else { "" };
        return Err(wrong(format!("is {complex}{class_name}; real numbers are accepted")));
    }
    let (extents, _) = extents.as_chunks::<4>();
    let extent = |&bytes: &[u8; 4]| {
        let extent = elements.integer(bytes) as i32;
        usize::try_from(extent).map_err(|_| wrong(format!("has an extent of {extent}")))
    };
    let shape = extents.iter().map(extent).collect::<Result<Vec<usize>>>()?;
    let tag = elements.tag()?;
    let storage = Storage::of(tag.kind)
        .ok_or_else(|| wrong(format!("is stored as type {}, not as numbers", tag.kind)))?;
    let size = shape
        .iter()
        .try_fold(storage.size() as u64, |size, &extent| size.checked_mul(extent as u64));
    let held = tag.size;
    if size != Some(held) {
        let detail = format!("of shape {shape:?}, stored as {storage:?}, has {held} bytes");
        return Err(wrong(detail + ": the file is damaged; get it again"));
    }
    let name = (*name).to_owned();
    let variable = Variable { name, class: class_name, shape, storage, size: held, place };
    Ok(Some((variable, elements, tag)))
}

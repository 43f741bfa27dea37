//! Files: sizes before contents, digests, and writing that never leaves half a file.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use crate::{DataError, Result};

/// The most that deflate shrinks: a byte stands for no more bytes.
pub(crate) const MAX_DEFLATE: u64 = 1032;

/// The size in bytes of a regular file. Folders, pipes and devices are refused: their size says
/// nothing about what reading them would bring.
pub(crate) fn file_size(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(DataError::read(path))?;
    if !metadata.is_file() {
        return Err(DataError::format(path, "it is not a regular file"));
    }
    Ok(metadata.len())
}

/// Reads a regular file that is `size` bytes long into `buffer`, replacing what it held.
pub(crate) fn read_into(path: &Path, size: u64, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    reserve(buffer, path, size)?;
    let file = File::open(path).map_err(DataError::read(path))?;
    file.take(size).read_to_end(buffer).map_err(DataError::read(path))?;
    if buffer.len() as u64 != size {
        let detail = format!("it shrank from {size} to {} bytes while being read", buffer.len());
        return Err(DataError::format(path, detail));
    }
    Ok(())
}

/// Fills `buffer` with what comes next in a file that was `size` bytes long.
pub(crate) fn read_next(file: &mut File, path: &Path, size: u64, buffer: &mut [u8]) -> Result<()> {
    file.read_exact(buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            DataError::format(path, format!("it shrank from {size} bytes while being read"))
        }
        _ => DataError::read(path)(error),
    })
}

/// `size` zeros, to be filled from `path`.
pub(crate) fn zeros(size: u64, path: &Path) -> Result<Vec<u8>> {
    // `vec!` takes zeroed pages from the system, which cost nothing until they are written, but ends
    // the process where there are none: so room is tried for first.
    reserve(&mut Vec::new(), path, size)?;
    Ok(vec![0; size as usize])
}

/// Makes room for `size` more bytes, which `path` is said to hold.
pub(crate) fn reserve(buffer: &mut Vec<u8>, path: &Path, size: u64) -> Result<()> {
    let reserved = usize::try_from(size).ok().map(|size| buffer.try_reserve_exact(size));
    match reserved {
        Some(Ok(())) => Ok(()),
        _ => Err(DataError::format(path, format!("its {size} bytes do not fit in memory"))),
    }
}

/// The paths in a folder in byte order, hidden ones left out.
pub(crate) fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::read(folder))? {
        let entry = entry.map_err(DataError::read(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Lets `fill` write a file beside `path`, then renames it: whoever looks sees the old file or
/// the whole new one.
pub(crate) fn write_atomically(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let io_error = |source| DataError::Io { action: "write", path: path.to_owned(), source };
    let Some(name) = path.file_name() else {
        return Err(io_error(std::io::Error::other("the path names no file")));
    };
    let partial =
        path.with_file_name(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
    let written = File::create(&partial).and_then(|file| {
        let mut writer = BufWriter::new(file);
        fill(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&partial, path)
    });
    written.map_err(|error| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&partial);
        io_error(error)
    })
}

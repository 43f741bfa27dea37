//! Files that are whole or absent.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ReportError;

/// Writes `bytes` to `path` so that no reader, and no crash, ever sees half a file.
///
/// The bytes go to a temporary file in the same folder, are flushed to the disk
/// and then renamed over `path`; an older file of that name stays untouched
/// until that moment. The folder must exist.
///
/// # Errors
/// [`ReportError::Write`] with the path and the operating system's cause; the
/// temporary file is removed.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), ReportError> {
    let path = path.as_ref();
    write_beside(path, bytes)
        .map_err(|cause| ReportError::Write { path: path.to_path_buf(), cause })
}

/// Whether [`write_atomically`] could write to `path` now: a file beside it is made and removed.
///
/// # Errors
/// [`ReportError::Write`] with the path and the operating system's cause.
pub fn check_writable(path: impl AsRef<Path>) -> Result<(), ReportError> {
    let path = path.as_ref();
    let probe = || {
        let temporary = temporary_name(path)?;
        OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        fs::remove_file(&temporary)
    };
    probe().map_err(|cause| ReportError::Write { path: path.to_path_buf(), cause })
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path)?;
    let written = fill(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The cause of the failure is what the caller needs; a temporary file
        // that was never made cannot be removed, and that is no news.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_folder(path);
    Ok(())
}

/// A name no other thread or process uses at the same time.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name")
    })?;
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{unique}.tmp", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn fill(temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the rename itself durable where the system lets folders be opened;
/// elsewhere the rename is still atomic, only later on the disk.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"first").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_path_and_cause_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // A folder stands where the file should go, so the rename must fail.
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inner")).unwrap();
        let message = write_atomically(&path, b"x").unwrap_err().to_string();
        assert!(message.contains("taken"), "{message}");
        assert!(message.contains("directory"), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        assert!(check_writable(folder.path().join("free")).is_ok());
        assert!(check_writable(folder.path().join("no").join("file.txt")).is_err());
        assert!(check_writable(folder.path().join("x".repeat(300))).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("no").join("file.txt");
        let message = write_atomically(&missing, b"x").unwrap_err().to_string();
        assert!(message.contains("file.txt"), "{message}");
        assert!(write_atomically("/", b"x").is_err());
    }
}

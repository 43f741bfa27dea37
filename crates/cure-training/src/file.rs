//! Files that are never half-written: beside, flushed, then renamed.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Result, TrainingError};

/// What ends the name of a file on its way; a leftover of a killed process is told by it.
const PARTIAL: &str = "partial";

/// Writes a file through `write`, which fills the path it is given. Until that has succeeded and
/// its bytes are on the disk, what was at `path` is untouched.
pub(crate) fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = partial_of(path);
    let written = write(&partial).and_then(|()| {
        // Opened for writing: some systems flush only such a handle.
        let file = File::options().write(true).open(&partial);
        file.and_then(|file| file.sync_all()).map_err(TrainingError::io("flush", &partial))?;
        std::fs::rename(&partial, path).map_err(TrainingError::io("replace", path))?;
        sync_folder(path)
    });
    if written.is_err() {
        // Best effort: the first error is the one worth telling.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// [`replace`] by a text.
pub(crate) fn replace_text(path: &Path, text: &str) -> Result<()> {
    replace(path, |partial| {
        std::fs::write(partial, text).map_err(TrainingError::io("write", partial))
    })
}

/// Makes a rename durable, where folders can be synced.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(TrainingError::io("flush", folder))
}

/// One name a file: whoever writes holds the run's lock, so nobody else uses it, and a leftover
/// is overwritten by the next writing.
fn partial_of(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(PARTIAL);
    path.with_file_name(name)
}

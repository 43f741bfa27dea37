//! A download under way: `NAME.part`, and `NAME.part.from`, which says where it comes from.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{FetchError, Result};

/// Longer than any address with a tag.
const LONGEST_NOTE: u64 = 16 << 10;

pub(crate) struct Part {
    path: PathBuf,
    note: PathBuf,
    file: File,
    length: u64,
    /// An address, and what tells the state of the file there from others.
    origin: Option<(String, String)>,
}

impl Part {
    /// Opens what an earlier call left, or begins anew.
    pub(crate) fn open(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.part"));
        let note = folder.join(format!("{name}.part.from"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let write_error = FetchError::io("write", &path);
        let opened = options.open(&path).and_then(|mut file| {
            let length = file.seek(SeekFrom::End(0))?;
            Ok((file, length))
        });
        let (file, length) = opened.map_err(write_error)?;
        let origin = read_note(&note);
        Ok(Self { path, note, file, length, origin })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What tells the state that this is a part of, where it comes from `address`.
    pub(crate) fn validator(&self, address: &str) -> Option<&str> {
        let (from, validator) = self.origin.as_ref()?;
        (from == address).then_some(validator)
    }

    /// Begins anew, with a file in the state told.
    pub(crate) fn restart(&mut self, address: &str, validator: Option<&str>) -> Result<()> {
        // Emptied before the note is changed: the note of another state would join the two.
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(FetchError::io("write", &self.path))?;
        self.length = 0;
        self.origin = validator.map(|validator| (address.to_owned(), validator.to_owned()));
        match &self.origin {
            Some((address, validator)) => {
                fs::write(&self.note, format!("{address}\n{validator}\n"))
                    .map_err(FetchError::io("write", &self.note))
            }
            None => remove(&self.note),
        }
    }

    /// Adds what came next.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        if written.is_err() {
            // What was written of them counts: it is what a next call finds.
            self.length = self.file.stream_position().unwrap_or(self.length);
        }
        written.map_err(FetchError::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Leaves the bytes to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(FetchError::io("write", &self.path))
    }

    /// Gives the whole file its name.
    pub(crate) fn rename(self, path: &Path) -> Result<()> {
        // Not every system renames a file that is open.
        drop(self.file);
        fs::rename(&self.path, path).map_err(FetchError::io("write", path))?;
        remove(&self.note)
    }

    /// Removes it.
    pub(crate) fn remove(self) -> Result<()> {
        drop(self.file);
        remove(&self.path)?;
        remove(&self.note)
    }
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(FetchError::io("remove", path)),
    }
}

/// Without a readable note a part is still worth going on with: the sum of the whole decides.
fn read_note(path: &Path) -> Option<(String, String)> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LONGEST_NOTE {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    Some((lines.next()?.to_owned(), lines.next()?.to_owned()))
}

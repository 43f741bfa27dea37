//! The whole way of a data set from its server into a folder.

use std::fs::{self, File, TryLockError};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::client::Client;
use crate::download::download;
use crate::sum::difference;
use crate::unpack::unpack;
use crate::{Contents, FetchError, Member, Patience, RemoteFile, Result, Source};

/// Is told how a download goes, and can stop it.
pub trait Observer {
    /// Something of `size` bytes begins, and `done` of them are there.
    fn begin(&mut self, what: &str, done: u64, size: u64);
    /// So many bytes are there. Also asked while nothing comes.
    fn progress(&mut self, done: u64) -> ControlFlow<()>;
    /// Something worth saying, and no failure.
    fn remark(&mut self, text: &str);
}

/// Brings the files of `source` into `folder`, which is made where it is not there, from where
/// they were published or from a `mirror`. Files that are there and right are left as they are.
/// Gives whether anything had to be brought.
///
/// A mirror is the address of a folder that has the files under their published names (or of the
/// file, where there is only one); what it gives is checked as if it were the publisher.
///
/// # Errors
/// Addresses, folders and files that cannot be used; servers that do not give the published
/// files; an observer that stops. What was downloaded by then stays for the next call, unless it
/// proved wrong.
pub fn fetch(
    source: &Source<'_>,
    folder: &Path,
    mirror: Option<&str>,
    patience: &Patience,
    observer: &mut dyn Observer,
) -> Result<bool> {
    let with_address = |file| Ok((file, source.address_of(file, mirror)?));
    let files = source.files.iter().map(with_address).collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(folder).map_err(FetchError::io("make", folder))?;
    let _alone = lock(folder)?;
    let client = Client::new(patience);
    let mut brought = false;
    for (file, address) in files {
        let target = Target { file, folder };
        if !target.is_there()? {
            target.bring(&client, &address, patience, observer)?;
            brought = true;
        }
    }
    Ok(brought)
}

/// Keeps other downloads out of the folder until it is dropped.
fn lock(folder: &Path) -> Result<Option<File>> {
    // Where folders cannot be opened or locked, sums still find out what two at once have made.
    let Ok(handle) = File::open(folder) else { return Ok(None) };
    match handle.try_lock() {
        Err(TryLockError::WouldBlock) => Err(FetchError::Busy { folder: folder.to_owned() }),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(handle)),
    }
}

/// A published file, and the folder it is to come into.
struct Target<'a> {
    file: &'a RemoteFile<'a>,
    folder: &'a Path,
}

impl Target<'_> {
    /// Where the published file lies, or would.
    fn place(&self) -> PathBuf {
        self.folder.join(self.file.name)
    }

    /// Where members of an archive lie, or would: where readers look for them first.
    fn place_of(&self, inner: &str, members: &[Member<'_>]) -> PathBuf {
        let lies_open = members.iter().any(|member| self.folder.join(member.name).exists());
        if lies_open { self.folder.to_owned() } else { self.folder.join(inner) }
    }

    /// Whether everything is there. Other files of the same names are an error, before anything
    /// is downloaded: they are the user's.
    fn is_there(&self) -> Result<bool> {
        match self.file.contents {
            Contents::Itself => is_published(&self.place(), self.file.size, Some(self.file.md5)),
            Contents::TarGz { folder, members } => {
                let place = self.place_of(folder, members);
                let mut all = true;
                for member in members {
                    all &= is_published(&place.join(member.name), member.size, member.md5)?;
                }
                Ok(all)
            }
        }
    }

    fn bring(
        &self,
        client: &Client,
        address: &str,
        patience: &Patience,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let (file, folder) = (self.file, self.folder);
        let Contents::TarGz { folder: inner, members } = file.contents else {
            let part = download(client, file, address, folder, patience, observer)?;
            return part.rename(&self.place());
        };
        let staging = folder.join(format!("{}.unpacking", file.name));
        let place = self.place_of(inner, members);
        // An archive that lies there under its own name was put there, and stays.
        if self.place().is_file() {
            match difference(&self.place(), file.size, Some(file.md5))? {
                None => return unpack(&self.place(), inner, members, &staging, &place, observer),
                Some(found) => observer.remark(&format!(
                    "`{}` is not the published file ({found}); it is left alone",
                    self.place().display()
                )),
            }
        }
        let part = download(client, file, address, folder, patience, observer)?;
        unpack(part.path(), inner, members, &staging, &place, observer)?;
        part.remove()
    }
}

/// Whether the file is there; another one of its name is an error.
fn is_published(path: &Path, size: u64, md5: Option<&str>) -> Result<bool> {
    // A link that leads nowhere is there too.
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    match difference(path, size, md5)? {
        None => Ok(true),
        Some(found) => Err(FetchError::Foreign { path: path.to_owned(), found }),
    }
}

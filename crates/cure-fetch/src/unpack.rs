//! Files out of a `.tar.gz`: those expected, and nothing else.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::{FetchError, Member, Observer, Result};

/// What an archive may hold besides the members: headers, a page about it, names of classes.
const OVERHEAD: u64 = 1 << 20;
/// More entries than any archive of a few files has.
const MOST_ENTRIES: usize = 64;

/// Takes `members` out of the folder `inner` of an archive, into the folder `place`.
///
/// They are written in the folder `staging` first, and moved only when the archive was read to its
/// end and all of them were there; whatever happens, `staging` is gone afterwards. An archive with
/// links, devices or names that lead outside is refused whole.
pub(crate) fn unpack(
    archive: &Path,
    inner: &str,
    members: &[Member<'_>],
    staging: &Path,
    place: &Path,
    observer: &mut dyn Observer,
) -> Result<()> {
    let file = File::open(archive).map_err(FetchError::io("read", archive))?;
    let total = members.iter().map(|member| member.size).sum::<u64>();
    observer.begin("unpacking", 0, total);
    let staging = Staging::new(staging)?;
    let limit = total.saturating_add(OVERHEAD);
    let bounded = Bounded { inner: GzDecoder::new(BufReader::new(file)), left: limit, limit };
    let mut task =
        Task { archive, inner, members, staging: &staging.0, taken: Vec::new(), done: 0 };
    task.take_all(bounded, observer)?;

    fs::create_dir_all(place).map_err(FetchError::io("make", place))?;
    for member in members {
        let target = place.join(member.name);
        let moved = fs::rename(staging.0.join(member.name), &target);
        moved.map_err(FetchError::io("write", &target))?;
    }
    Ok(())
}

/// A folder that goes when it is dropped.
struct Staging(PathBuf);

impl Staging {
    /// Makes it; one that a killed process left is removed.
    fn new(path: &Path) -> Result<Self> {
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            fs::remove_dir_all(path).map_err(FetchError::io("remove", path))?;
        }
        fs::create_dir(path).map_err(FetchError::io("make", path))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Best effort: what is left the next call removes.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ends with an error where more comes than may.
struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let text = format!("unpacks to more than {} bytes", self.limit);
                return Err(io::Error::other(text));
            }
        }
        Ok(read)
    }
}

/// An archive being read.
struct Task<'a> {
    archive: &'a Path,
    inner: &'a str,
    members: &'a [Member<'a>],
    staging: &'a Path,
    /// The names already taken.
    taken: Vec<&'a str>,
    done: u64,
}

impl<'a> Task<'a> {
    fn take_all(&mut self, bytes: impl Read, observer: &mut dyn Observer) -> Result<()> {
        let mut archive = Archive::new(bytes);
        // Raw: no extension changes an entry's name or length, or makes long names of its own.
        let entries = archive.entries().map_err(|error| self.unreadable(error))?.raw(true);
        for (position, entry) in entries.enumerate() {
            if position == MOST_ENTRIES {
                return Err(self.wrong(format!("has more than {MOST_ENTRIES} entries")));
            }
            let entry = entry.map_err(|error| self.unreadable(error))?;
            if let Some(member) = self.expected(&entry)? {
                self.take(entry, member, observer)?;
            }
        }
        // To the end, where the sum of the compressed stream is.
        let rest = io::copy(&mut archive.into_inner(), &mut io::sink());
        rest.map_err(|error| self.unreadable(error))?;
        let missing = self.members.iter().find(|member| !self.taken.contains(&member.name));
        match missing {
            Some(member) => Err(self.wrong(format!("has no {}/{}", self.inner, member.name))),
            None => Ok(()),
        }
    }

    /// The member that an entry is, if it is one; an error where no honest archive has such an entry.
    fn expected(&self, entry: &Entry<'_, impl Read>) -> Result<Option<Member<'a>>> {
        let name = entry.path_bytes();
        let shown = String::from_utf8_lossy(&name);
        let leads_outside = name.starts_with(b"/")
            || name.iter().any(|byte| matches!(byte, b'\\' | b':' | 0))
            || name.split(|&byte| byte == b'/').any(|part| part == b"..");
        if leads_outside {
            return Err(self.wrong(format!("has an entry named `{}`", shown.escape_debug())));
        }
        match entry.header().entry_type() {
            EntryType::Regular => {}
            // Of these only the names were looked at.
            EntryType::Directory | EntryType::XHeader | EntryType::XGlobalHeader => {
                return Ok(None);
            }
            _ => {
                let shown = shown.escape_debug();
                let problem = format!("has an entry `{shown}` that is neither a file nor a folder");
                return Err(self.wrong(problem));
            }
        }
        let plain = name.strip_prefix(b"./").unwrap_or(&name);
        let within = plain.strip_prefix(self.inner.as_bytes());
        let within = within.and_then(|rest| rest.strip_prefix(b"/"));
        let mut members = self.members.iter();
        let found = members.find(|member| within == Some(member.name.as_bytes()));
        let Some(&member) = found else { return Ok(None) };
        if self.taken.contains(&member.name) {
            return Err(self.wrong(format!("has {} twice", member.name)));
        }
        if entry.size() != member.size {
            let (name, size) = (member.name, entry.size());
            return Err(
                self.wrong(format!("says that {name} has {size} bytes, not {}", member.size))
            );
        }
        Ok(Some(member))
    }

    /// Writes a member where nobody looks yet.
    fn take(
        &mut self,
        mut entry: Entry<'_, impl Read>,
        member: Member<'a>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let path = self.staging.join(member.name);
        let mut file = File::create_new(&path).map_err(FetchError::io("write", &path))?;
        let mut buffer = vec![0; 1 << 16];
        let mut left = member.size;
        while left > 0 {
            let read = match entry.read(&mut buffer).map_err(|error| self.unreadable(error))? {
                0 => return Err(self.wrong(format!("ends in the middle of {}", member.name))),
                read => read,
            };
            file.write_all(&buffer[..read]).map_err(FetchError::io("write", &path))?;
            left = left.saturating_sub(read as u64);
            self.done += read as u64;
            if let ControlFlow::Break(()) = observer.progress(self.done) {
                let folder = self.archive.parent().unwrap_or(Path::new("")).to_owned();
                return Err(FetchError::Interrupted { folder });
            }
        }
        file.sync_all().map_err(FetchError::io("write", &path))?;
        self.taken.push(member.name);
        Ok(())
    }

    fn wrong(&self, problem: String) -> FetchError {
        FetchError::Archive { path: self.archive.to_owned(), problem }
    }

    fn unreadable(&self, error: io::Error) -> FetchError {
        self.wrong(format!("cannot be unpacked: {error}"))
    }
}

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why data was not fetched. Each message names the place, what happened there and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// What was given as a mirror is no address of the web.
    #[error("`{address}` is no address to download from: it begins with http:// or https://")]
    Address {
        /// What was given.
        address: String,
    },
    /// A folder or file could not be read or written.
    #[error("cannot {action} `{}`: {source}; {}", path.display(), remedy(source.kind()))]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process downloads into the same folder.
    #[error("another download into `{}` is under way; wait for it, or choose another folder", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// Something else has the name of a published file.
    #[error(
        "`{}` is there and is not the published file ({found}); move it away and run the same command again",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The server did not give the file.
    #[error("{address}: {problem}; {remedy}")]
    Server {
        /// What was asked for.
        address: String,
        /// What happened.
        problem: String,
        /// What to do.
        remedy: &'static str,
    },
    /// What was downloaded is not what was published.
    #[error(
        "{address}: what it gives has the MD5 {found}, and the published file {expected}; it has been removed: \
         try once more, or another server"
    )]
    Sum {
        /// Where it came from.
        address: String,
        /// The sum it has.
        found: String,
        /// The sum it should have.
        expected: String,
    },
    /// An archive does not hold what it should.
    #[error("the archive `{}` {problem}; nothing of it was kept: remove it, and take it from another server", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The observer asked to stop.
    #[error("stopped; what is there is kept in `{}`, and the same command goes on", folder.display())]
    Interrupted {
        /// The folder.
        folder: PathBuf,
    },
}

impl FetchError {
    /// Whether the remedy lies in what the caller gave (an address, a folder), not in the server or
    /// the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Address { .. } | Self::Foreign { .. } | Self::Busy { .. } => true,
            Self::Io { source, .. } => is_of_the_place(source.kind()),
            Self::Server { .. }
            | Self::Sum { .. }
            | Self::Archive { .. }
            | Self::Interrupted { .. } => false,
        }
    }

    /// Puts an error of the system in its place.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

fn is_of_the_place(kind: ErrorKind) -> bool {
    use ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(kind, AlreadyExists | IsADirectory | NotADirectory | NotFound | PermissionDenied)
        || kind == ErrorKind::ReadOnlyFilesystem
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        kind if is_of_the_place(kind) => "choose a folder that can be written",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room there and run the same command again: it goes on from what is there"
        }
        _ => "run the same command again: it goes on from what is there",
    }
}

//! Downloads published data sets.
//!
//! A [`Source`] says where the files of a data set are, how long they are and what their MD5 is;
//! [`fetch`] brings them into a folder. What is already there and right is left alone. A download
//! that was cut goes on where it ended (`NAME.part`), is checked as a whole, and only then gets its
//! name or is unpacked; of an archive nothing is written but the files that the source lists.
//!
//! This is the only crate of the workspace that uses the network.

mod client;
mod download;
mod error;
mod fetch;
mod part;
mod source;
mod sum;
mod unpack;

pub use client::Patience;
pub use error::FetchError;
pub use fetch::{Observer, fetch};
pub use source::{Contents, Member, RemoteFile, SOURCES, Source};

/// What every fallible operation of this crate returns.
pub type Result<T> = std::result::Result<T, FetchError>;

//! Weights in and out of files: PyTorch checkpoints (legacy and zip) and safetensors in, safetensors
//! out, and the names that public code bases give to the same parameters.
//!
//! [`read`] recognises the format from the file's bytes; [`canonical`] translates names to ours and
//! sets aside what is no parameter; [`recognise`] says which network the tensors are of.

mod digest;
mod keys;
mod recognise;
mod safetensors;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cure_pickle::torch::{self, CheckpointError};
use cure_tensor::Tensor;
use rayon::prelude::*;

pub use digest::FileDigest;
pub use keys::{Canonical, NormalizationHint, canonical};
pub use recognise::{Recognised, recognise};
pub use safetensors::write;

/// What reading and writing weights returns.
pub type Result<T> = std::result::Result<T, WeightsError>;

/// What a weights file holds.
#[derive(Debug, Clone)]
pub struct WeightFile {
    /// Names, without wrappers' prefixes, and tensors, in the file's order. Integers became `f32`.
    pub tensors: Vec<(String, Tensor)>,
    /// What `cure` wrote beside the tensors, if it wrote the file.
    pub metadata: Option<Metadata>,
    /// SHA-256 of the file; until it is taken, this holds the file's contents.
    pub sha256: FileDigest,
    /// Where in a checkpoint the tensors were, as `state_dict`; `None` at the top.
    pub wrapper: Option<String>,
}

/// What `cure` writes into a safetensors header beside the tensors; each is a JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `cure.architecture`: the network that the tensors are of.
    pub architecture: Option<String>,
    /// `cure.normalization`: the mean and standard deviation that belong to its inputs.
    pub normalization: Option<String>,
    /// `cure.provenance`: what the weights were made from, and how.
    pub provenance: Option<String>,
}

/// Why weights were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file system refused.
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// "read" or "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },

    /// The file is in none of the known formats.
    #[error(
        "{path}: neither a PyTorch checkpoint nor safetensors: {reason}",
        path = path.display()
    )]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// What its first bytes are.
        reason: String,
    },

    /// A PyTorch checkpoint that was refused.
    #[error("{path}: {source}", path = path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CheckpointError,
    },

    /// A safetensors file that is damaged, or tensors that cannot be put into one.
    #[error("{path}: safetensors: {reason}", path = path.display())]
    SafeTensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A NaN or an infinity.
    #[error(
        "{path}: `{tensor}`{index:?} is {value}; weights must be finite (was the training \
         diverging when they were saved?)",
        path = path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The element's index in each dimension.
        index: Vec<usize>,
        /// Its value.
        value: f32,
    },

    /// A file without a single tensor.
    #[error("{path}: no tensors in it", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// Two names of the file mean the same parameter of ours.
    #[error("`{first}` and `{second}` are both the parameter `{name}`")]
    Ambiguous {
        /// One name in the file.
        first: String,
        /// The other.
        second: String,
        /// Our name.
        name: String,
    },

    /// A normalisation layer whose values make no sense.
    #[error(
        "`{name}` is {values:?}; a standard deviation of the inputs must be finite and above zero"
    )]
    Normalization {
        /// The tensor.
        name: String,
        /// Its values.
        values: Vec<f32>,
    },
}

/// Reads a weights file of any known format: PyTorch legacy or zip (`.pt`, `.pth`, `.th`, `.pkl`)
/// or safetensors. The format is told from the bytes, not from the file's name; no code in the
/// file is run.
///
/// # Errors
/// [`WeightsError`]: a file that cannot be read, is of another format, damaged, names code, holds
/// no tensors, or holds a NaN or an infinity.
pub fn read(path: &Path) -> Result<WeightFile> {
    let bytes = Arc::new(read_whole(path)?);
    let (tensors, metadata, wrapper) = contents(path, bytes.clone())?;
    if tensors.is_empty() {
        return Err(WeightsError::Empty { path: path.to_owned() });
    }
    check_finite(path, &tensors)?;
    Ok(WeightFile { tensors, metadata, sha256: FileDigest::of(bytes), wrapper })
}

type NamedTensors = Vec<(String, Tensor)>;

/// The tensors, what `cure` wrote beside them, and where in a checkpoint they were.
fn contents(
    path: &Path,
    bytes: Arc<Vec<u8>>,
) -> Result<(NamedTensors, Option<Metadata>, Option<String>)> {
    if torch::Format::of(&bytes).is_some() {
        let (tensors, wrapper) = read_checkpoint(path, bytes)?;
        return Ok((tensors, None, wrapper));
    }
    if safetensors::begins(&bytes) {
        let (tensors, metadata) = safetensors::read(path, &bytes)?;
        return Ok((tensors, metadata, None));
    }
    let reason = match &bytes[..bytes.len().min(8)] {
        [] => "the file is empty".to_owned(),
        head => format!("it begins with {head:02x?}"),
    };
    Err(WeightsError::Unrecognised { path: path.to_owned(), reason })
}

/// The contents of a regular file. Pipes and devices are refused: they may never end.
fn read_whole(path: &Path) -> Result<Vec<u8>> {
    /// More than any network here takes, 16 GiB.
    const MOST: u64 = 16 << 30;
    let io = |source| WeightsError::Io { action: "read", path: path.to_owned(), source };
    let refuse = |reason: String| WeightsError::Unrecognised { path: path.to_owned(), reason };
    // Before it is opened, which waits for whoever writes into a pipe.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(refuse("it is no regular file".into()));
    }
    let file = File::open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?;
    if !found.is_file() {
        return Err(refuse("it is no regular file".into()));
    }
    let size = found.len();
    if size > MOST {
        return Err(refuse(format!("its {size} bytes are more than {MOST}")));
    }
    // `vec!` takes zeroed pages, which cost nothing until they are written, but ends the process where
    // there are none: so room is tried for first.
    let room = Vec::<u8>::new().try_reserve_exact(size as usize);
    room.map_err(|_| io(std::io::ErrorKind::OutOfMemory.into()))?;
    let mut contents = vec![0; size as usize];
    fill(&file, &mut contents).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            refuse(format!("it shrank from {size} bytes while being read"))
        }
        _ => io(error),
    })?;
    Ok(contents)
}

/// Reads a file from its beginning, parts of it at a time side by side.
#[cfg(unix)]
fn fill(file: &File, contents: &mut [u8]) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    const PART: usize = 4 << 20;
    let parts = contents.par_chunks_mut(PART).enumerate();
    parts.try_for_each(|(at, part)| file.read_exact_at(part, (at * PART) as u64))
}

#[cfg(not(unix))]
fn fill(mut file: &File, contents: &mut [u8]) -> std::io::Result<()> {
    std::io::Read::read_exact(&mut file, contents)
}

fn read_checkpoint(path: &Path, bytes: Arc<Vec<u8>>) -> Result<(NamedTensors, Option<String>)> {
    let state = torch::read(bytes)
        .and_then(|checkpoint| checkpoint.state_dict())
        .map_err(|source| WeightsError::Checkpoint { path: path.to_owned(), source })?;
    let tensors = state.tensors.into_iter().map(|(name, tensor)| {
        match Tensor::new(&tensor.shape, tensor.values) {
            Ok(values) => Ok((name, values)),
            Err(error) => {
                let source = CheckpointError::Tensor { tensor: name, reason: error.to_string() };
                Err(WeightsError::Checkpoint { path: path.to_owned(), source })
            }
        }
    });
    Ok((tensors.collect::<Result<_>>()?, state.wrapper))
}

fn check_finite(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let first = tensors.par_iter().position_first(|(_, tensor)| !tensor.is_finite());
    if let Some((name, tensor)) = first.map(|at| &tensors[at]) {
        let values = tensor.host();
        if let Some(flat) = values.iter().position(|value| !value.is_finite()) {
            return Err(WeightsError::NotFinite {
                path: path.to_owned(),
                tensor: name.clone(),
                index: index_of(flat, tensor.shape()),
                value: values[flat],
            });
        }
    }
    Ok(())
}

/// The index, in each dimension, of an element of a row-major array.
fn index_of(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = flat % shape[axis];
        flat /= shape[axis];
    }
    index
}

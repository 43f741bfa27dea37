//! PyTorch checkpoints: the legacy format (before 1.6) and the zip format.

mod archive;
mod error;
mod legacy;
mod state_dict;
mod storage;
mod tensor;

use std::collections::HashMap;
use std::sync::Arc;

pub use error::CheckpointError;
pub use state_dict::{StateDict, strip_wrappers};
use storage::Storage;
pub use tensor::NamedTensor;

use crate::{Pickle, PickleError, Value, numpy};

/// What reading a checkpoint returns.
pub type Result<T> = std::result::Result<T, CheckpointError>;

/// The names that a checkpoint may mention besides those of NumPy's arrays and scalars.
const GLOBALS: crate::Allowed<'static> = &[
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("builtins", "dict"),
    ("builtins", "list"),
    ("builtins", "set"),
    ("builtins", "int"),
    ("__builtin__", "dict"),
    ("__builtin__", "list"),
    ("__builtin__", "set"),
    ("__builtin__", "int"),
    ("argparse", "Namespace"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch.nn.parameter", "Parameter"),
    ("torch", "FloatStorage"),
    ("torch", "DoubleStorage"),
    ("torch", "HalfStorage"),
    ("torch", "BFloat16Storage"),
    ("torch", "LongStorage"),
    ("torch", "IntStorage"),
    ("torch", "ShortStorage"),
    ("torch", "CharStorage"),
    ("torch", "ByteStorage"),
    ("torch", "BoolStorage"),
    ("torch", "float32"),
    ("torch", "float64"),
    ("torch", "float16"),
    ("torch", "bfloat16"),
    ("torch", "int64"),
    ("torch", "int32"),
    ("torch", "uint8"),
    ("torch", "bool"),
];

/// Which of PyTorch's formats a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A sequence of pickles followed by the storages (`torch.save` before 1.6).
    Legacy,
    /// A zip archive of one pickle and one entry a storage.
    Zip,
}

impl Format {
    /// The format that the first bytes of a file announce, if it is one of PyTorch's.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"PK\x03\x04") {
            Some(Self::Zip)
        } else if legacy::begins(bytes) {
            Some(Self::Legacy)
        } else {
            None
        }
    }
}

/// A checkpoint: what `torch.load` would return, as data, with its tensors' storages beside it.
pub struct Checkpoint {
    bytes: Arc<Vec<u8>>,
    pickle: Pickle,
    storages: HashMap<String, Storage>,
}

/// Reads a PyTorch checkpoint. Tensors stay undecoded in `bytes` until
/// [`Checkpoint::state_dict`] asks for them.
///
/// # Errors
/// [`CheckpointError`]: a file of neither format, a name that no checkpoint needs, a whole module
/// instead of its `state_dict()`, or anything truncated or inconsistent.
pub fn read(bytes: impl Into<Arc<Vec<u8>>>) -> Result<Checkpoint> {
    let bytes = bytes.into();
    let (pickle, storages) = match Format::of(&bytes) {
        Some(Format::Zip) => archive::read(&bytes)?,
        Some(Format::Legacy) => legacy::read(&bytes)?,
        None => return Err(CheckpointError::unrecognised(&bytes)),
    };
    Ok(Checkpoint { bytes, pickle, storages })
}

impl Checkpoint {
    /// The object that was saved.
    pub fn root(&self) -> Value<'_> {
        self.pickle.root()
    }
}

/// Reads one of a checkpoint's pickles, and recognises a whole module among the refusals.
fn read_pickle(bytes: &[u8], at: usize) -> Result<(Pickle, usize)> {
    let allowed = [GLOBALS, numpy::GLOBALS].concat();
    crate::read_prefix(bytes, at, &allowed).map_err(|error| match error {
        PickleError::Refused { module, name } if mentions_a_module(&bytes[at..]) => {
            CheckpointError::WholeModule { module, name }
        }
        other => CheckpointError::Pickle(other),
    })
}

/// Whether the pickle holds the attributes that every `torch.nn.Module` has.
fn mentions_a_module(bytes: &[u8]) -> bool {
    let mentions = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    mentions(b"_parameters") && mentions(b"_modules") && mentions(b"_buffers")
}

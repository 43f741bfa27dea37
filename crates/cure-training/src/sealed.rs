//! A safetensors file that tells damage from a whole one.
//!
//! Its metadata hold one key, a JSON text with everything that is no tensor and with a SHA-256 over
//! that and over every tensor's name, shape and values.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use cure_tensor::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainingError};
use crate::file;

/// The metadata key.
const KEY: &str = "cure.checkpoint";

#[derive(Serialize, Deserialize)]
struct Sealed<S> {
    sha256: String,
    state: S,
}

/// A tensor's values as the bytes of the file.
struct LittleEndian<'a>(&'a Tensor);

impl View for LittleEndian<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.0.host().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.0.len() * size_of::<f32>()
    }
}

/// SHA-256 over the state and, in order of their names, the tensors.
fn seal<'a>(
    state: &impl Serialize,
    tensors: impl Iterator<Item = (&'a str, &'a [usize], Cow<'a, [u8]>)>,
) -> String {
    let mut digest = Sha256::new();
    // The state is plain data with string keys: it always has a JSON text.
    digest.update(serde_json::to_string(state).unwrap_or_default());
    for (name, shape, data) in tensors {
        digest.update(format!("\n{name}{shape:?}\n"));
        digest.update(&data);
    }
    hexadecimal(&digest.finalize())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file: beside `path`, flushed to the disk, then renamed.
pub(crate) fn write(
    path: &Path,
    state: impl Serialize,
    mut tensors: Vec<(String, Tensor)>,
) -> Result<()> {
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let views: Vec<(&str, LittleEndian<'_>)> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), LittleEndian(tensor))).collect();
    let parts = views.iter().map(|(name, view)| (*name, view.shape(), view.data()));
    let sealed = Sealed { sha256: seal(&state, parts), state };
    let refuse = |reason: String| TrainingError::Checkpoint { path: path.to_owned(), reason };
    let text = serde_json::to_string(&sealed).map_err(|error| refuse(error.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    file::replace(path, |partial| {
        safetensors::serialize_to_file(views, Some(metadata), partial).map_err(
            |error| match error {
                safetensors::SafeTensorError::IoError(source) => {
                    TrainingError::io("write", partial)(source)
                }
                other => refuse(other.to_string()),
            },
        )
    })
}

/// The state and the tensors of a whole file, or what is wrong with it.
pub(crate) fn read<S: Serialize + DeserializeOwned>(
    bytes: &[u8],
) -> std::result::Result<(S, Vec<(String, Tensor)>), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    // Compares the sizes that the header declares with the file's before anything is taken.
    let file = SafeTensors::deserialize(bytes).map_err(|error| told(&error))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| told(&error))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or(format!("its metadata lack `{KEY}`"))?;
    let sealed: Sealed<S> = serde_json::from_str(text).map_err(|error| told(&error))?;
    let mut views = file.tensors();
    views.sort_by(|(a, _), (b, _)| a.cmp(b));
    let parts = views.iter().map(|(name, view)| (name.as_str(), view.shape(), view.data().into()));
    if seal(&sealed.state, parts) != sealed.sha256 {
        return Err("its contents do not have the SHA-256 that it states".into());
    }
    let tensor = |(name, view): &(String, TensorView<'_>)| {
        if view.dtype() != Dtype::F32 {
            return Err(format!("`{name}` is of type {:?}", view.dtype()));
        }
        let values = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let tensor = Tensor::new(view.shape(), values.collect()).map_err(|error| told(&error))?;
        Ok((name.clone(), tensor))
    };
    Ok((sealed.state, views.iter().map(tensor).collect::<std::result::Result<_, String>>()?))
}

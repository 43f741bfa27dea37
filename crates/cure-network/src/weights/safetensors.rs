use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cure_pickle::DType;
use cure_tensor::Tensor;
use rayon::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::{Metadata, NamedTensors, Result, WeightsError, check_finite};

const ARCHITECTURE: &str = "cure.architecture";
const NORMALIZATION: &str = "cure.normalization";
const PROVENANCE: &str = "cure.provenance";

/// The name that the format keeps for itself.
const RESERVED: &str = "__metadata__";

/// Whether the file begins as safetensors does: the header's length in eight bytes, then the
/// header, a JSON object.
pub(super) fn begins(bytes: &[u8]) -> bool {
    // The length is little-endian and below the format's limit of 10⁸, so its upper half is zero.
    matches!(bytes, [_, _, _, _, 0, 0, 0, 0, b'{', ..])
}

pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(NamedTensors, Option<Metadata>)> {
    let refuse = |reason: String| WeightsError::SafeTensors { path: path.to_owned(), reason };
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| refuse(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| refuse(error.to_string()))?;

    let mut views = Vec::with_capacity(file.len());
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|error| refuse(error.to_string()))?;
        let Some(dtype) = element_type(view.dtype()) else {
            return Err(refuse(format!("`{name}` has elements of type {:?}", view.dtype())));
        };
        views.push((name, dtype, view));
    }
    let decode = |(name, dtype, view): (String, DType, TensorView<'_>)| {
        let mut values = Vec::with_capacity(view.data().len() / dtype.size());
        dtype.decode_to(view.data(), &mut values);
        let tensor = Tensor::new(view.shape(), values);
        let tensor = tensor.map_err(|error| refuse(format!("`{name}`: {error}")))?;
        Ok((name, tensor))
    };
    let tensors: Vec<Result<(String, Tensor)>> =
        views.into_par_iter().with_max_len(1).map(decode).collect();
    let tensors = tensors.into_iter().collect::<Result<NamedTensors>>()?;
    let text = |key: &str| header.metadata().as_ref()?.get(key).cloned();
    let metadata = Metadata {
        architecture: text(ARCHITECTURE),
        normalization: text(NORMALIZATION),
        provenance: text(PROVENANCE),
    };
    Ok((tensors, (metadata != Metadata::default()).then_some(metadata)))
}

fn element_type(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::I32 => DType::I32,
        Dtype::I64 => DType::I64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        _ => return None,
    })
}

/// Writes a safetensors file: beside its place first, then renamed, so that a file of that name is
/// always whole. The same tensors and metadata give the same bytes.
///
/// # Errors
/// [`WeightsError`]: a NaN or an infinity, a name twice, or a file system that refuses. What was at
/// `path` before is then still there.
pub fn write(path: &Path, tensors: &[(String, Tensor)], metadata: &Metadata) -> Result<()> {
    check_finite(path, tensors)?;
    let header = header(path, tensors, metadata)?;
    let refuse = |source| WeightsError::Io { action: "write", path: path.to_owned(), source };
    let partial = partial_path(path);
    let written = write_file(&partial, &header, tensors)
        .and_then(|()| std::fs::rename(&partial, path))
        .and_then(|()| sync_folder(path));
    if written.is_err() {
        // Best effort: the first error is the one worth telling.
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(refuse)
}

/// The length and the JSON text that precede the values. Written here and not by the library,
/// whose header lists the metadata in the random order of a hash map.
fn header(path: &Path, tensors: &[(String, Tensor)], metadata: &Metadata) -> Result<Vec<u8>> {
    let mut header = Map::new();
    let texts = [
        (ARCHITECTURE, &metadata.architecture),
        (NORMALIZATION, &metadata.normalization),
        (PROVENANCE, &metadata.provenance),
    ];
    let texts: Map<String, Value> = texts
        .into_iter()
        .filter_map(|(key, text)| Some((key.to_owned(), Value::from(text.clone()?))))
        .collect();
    if !texts.is_empty() {
        header.insert(RESERVED.to_owned(), Value::Object(texts));
    }
    let mut names = HashSet::from([RESERVED]);
    let mut offset = 0;
    for (name, tensor) in tensors {
        if !names.insert(name) {
            let reason = format!("the name `{name}` is there twice or reserved");
            return Err(WeightsError::SafeTensors { path: path.to_owned(), reason });
        }
        let end = offset + tensor.len() * size_of::<f32>();
        let entry = json!({"dtype": "F32", "shape": tensor.shape(), "data_offsets": [offset, end]});
        header.insert(name.clone(), entry);
        offset = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    // Spaces up to a multiple of eight keep the values aligned for programs that map the file.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok(bytes)
}

/// A name beside `path` that no other writer, in this process or another, uses.
fn partial_path(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let count = WRITES.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}.partial", std::process::id()));
    path.with_file_name(name)
}

fn write_file(path: &Path, header: &[u8], tensors: &[(String, Tensor)]) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    writer.write_all(header)?;
    for (_, tensor) in tensors {
        for value in tensor.host().iter() {
            writer.write_all(&value.to_le_bytes())?;
        }
    }
    writer.into_inner()?.sync_all()
}

/// Makes the rename itself durable, where folders can be synced.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

use super::storage::Reference;
use super::{Checkpoint, CheckpointError, Result};
use crate::strides::for_each_offset;
use crate::{DType, Kind, Object, Value};

/// A tensor's values, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The extent of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements, as `f32` whatever they were stored as.
    pub values: Vec<f32>,
    /// What they were stored as.
    pub dtype: DType,
}

/// The deepest nesting of parameters around a tensor.
const MAX_WRAPPINGS: usize = 8;

/// The most dimensions a tensor has.
const MAX_RANK: usize = 32;

/// Whether Python would have made a tensor (or parameter) of this value.
pub(super) fn is_tensor(value: Value<'_>) -> bool {
    matches!(value.as_object(), Some(Object { module: "torch._utils", .. }))
        || matches!(value.as_object(), Some(Object { name: "Parameter", .. }))
}

/// A tensor that lies within its storage, not decoded yet.
pub(super) struct Located<'c> {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<usize>,
    count: usize,
    /// From its first element on.
    bytes: &'c [u8],
}

impl Located<'_> {
    pub(super) fn decode(self) -> NamedTensor {
        let Self { dtype, shape, strides, count, bytes } = self;
        let size = dtype.size();
        let mut values = Vec::with_capacity(count);
        if is_row_major(&shape, &strides) && count > 0 {
            dtype.decode_to(&bytes[..count * size], &mut values);
        } else {
            for_each_offset(&shape, &strides, |element| {
                values.extend(dtype.decode(&bytes[element * size..(element + 1) * size]));
            });
        }
        NamedTensor { shape, values, dtype }
    }
}

impl Checkpoint {
    /// Finds a tensor or parameter. `left` counts down the elements that this file may still
    /// yield: thousands of tensors may share one storage, and each is a copy here.
    pub(super) fn tensor(
        &self,
        name: &str,
        value: Value<'_>,
        left: &mut usize,
    ) -> Result<Located<'_>> {
        let refuse = |reason: String| CheckpointError::Tensor { tensor: named(name), reason };
        let args = rebuild_args(value)
            .ok_or_else(|| refuse(format!("is {}, not a tensor", value.describe())))?;
        let [Some(storage), Some(offset), Some(shape), Some(strides)] = args else {
            return Err(refuse("is not (storage, offset, shape, strides)".to_owned()));
        };
        let reference = Reference::parse(storage)?;
        let layout = (|| Some((extents(offset)?, extents(shape)?, extents(strides)?)))();
        let Some((offset, shape, strides)) = layout else {
            return Err(refuse("its offset, shape and strides are not integers from 0".to_owned()));
        };
        let offset = offset.first().copied().unwrap_or(0);
        if shape.len() != strides.len() || shape.len() > MAX_RANK {
            let reason = format!("{} extents and {} strides", shape.len(), strides.len());
            return Err(refuse(format!("{reason}; up to {MAX_RANK}, and as many, are expected")));
        }

        let stored = self
            .storages
            .get(reference.key)
            .ok_or_else(|| CheckpointError::storage(reference.key, "is not in the file"))?;
        let bytes = &self.bytes[stored.range.clone()];
        let size = stored.dtype.size();
        let (first, available) = reference.view.unwrap_or((0, reference.count));
        let bytes = first
            .checked_mul(size)
            .zip(available.checked_mul(size))
            .and_then(|(first, length)| bytes.get(first..first.checked_add(length)?))
            .ok_or_else(|| refuse("its part of the storage lies outside of it".to_owned()))?;

        let beyond = || {
            refuse(format!(
                "shape {shape:?} with strides {strides:?} from element {offset} does not lie \
                 within its storage of {available} elements, each used once"
            ))
        };
        let count = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
        let count = count.filter(|&count| count <= available).ok_or_else(beyond)?;
        let mut last = offset;
        for (&extent, &stride) in shape.iter().zip(&strides) {
            let span = extent.saturating_sub(1).checked_mul(stride);
            last = span.and_then(|span| last.checked_add(span)).ok_or_else(beyond)?;
        }
        if count > 0 && last >= available {
            return Err(beyond());
        }
        *left = left.checked_sub(count).ok_or_else(|| {
            refuse(
                "the tensors share their storages so often that they outgrow the file".to_owned(),
            )
        })?;

        // Without elements the offset is checked by nobody, and needed by nobody.
        let bytes = if count > 0 { &bytes[offset * size..] } else { &[] };
        Ok(Located { dtype: stored.dtype, shape, strides, count, bytes })
    }
}

fn named(name: &str) -> String {
    format!("`{}`", crate::value::shortened(name))
}

/// The first four arguments of the `_rebuild_tensor` inside any parameters.
fn rebuild_args(mut value: Value<'_>) -> Option<[Option<Value<'_>>; 4]> {
    for _ in 0..MAX_WRAPPINGS {
        let object = value.as_object()?;
        match object.name {
            "_rebuild_tensor" | "_rebuild_tensor_v2" => {
                return Some([0, 1, 2, 3].map(|index| object.args.get(index)));
            }
            "_rebuild_parameter" | "Parameter" => value = object.args.get(0)?,
            _ => return None,
        }
    }
    None
}

/// The integers of a tuple, list or `torch.Size`; one integer counts as a tuple of one.
fn extents(value: Value<'_>) -> Option<Vec<usize>> {
    let extent = |value: Value<'_>| usize::try_from(value.as_int()?).ok();
    let value = match value.kind() {
        Kind::Object(Object { module: "torch", name: "Size", args, .. }) => args.get(0)?,
        _ => value,
    };
    match value.as_items() {
        Some(items) if items.len() <= MAX_RANK => items.iter().map(extent).collect(),
        Some(_) => None,
        None => Some(vec![extent(value)?]),
    }
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(strides).rev().all(|(&extent, &stride)| {
        // The stride of an extent of one is never used, and PyTorch leaves anything there.
        let fits = extent == 1 || stride == expected;
        expected = expected.saturating_mul(extent);
        fits
    })
}

//! NumPy arrays inside pickles.

use std::borrow::Cow;

use crate::{DType, Kind, Object, PickleError, Result, Value};

/// The names that a pickled array or scalar mentions, before and after NumPy 2 moved its core.
pub const GLOBALS: crate::Allowed<'static> = &[
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    // How Python 3 writes bytes into a protocol 2 pickle.
    ("_codecs", "encode"),
    ("__builtin__", "bytes"),
    // Protocol 5 keeps the buffer of an array that it does not own as one of these.
    ("builtins", "bytearray"),
];

/// An array's elements in row-major order, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'p> {
    /// The extent of each dimension.
    pub shape: Vec<usize>,
    /// The type of an element.
    pub dtype: DType,
    /// The elements, `shape.product() * dtype.size()` bytes.
    pub bytes: Cow<'p, [u8]>,
}

/// The array that `value` describes (a pickled `numpy.ndarray`).
///
/// # Errors
/// [`PickleError::Unexpected`] if it is not an array, its elements are of a type that is not in
/// [`DType`] or big-endian, or its bytes do not fill its shape.
pub fn array(value: Value<'_>) -> Result<Array<'_>> {
    let Some(object) = value.as_object() else {
        return Err(unexpected("the value", "a NumPy array", value));
    };
    // ndarray.__reduce__: (_reconstruct, (ndarray, (0,), b'b'), (version, shape, dtype, is_fortran,
    // data)); from protocol 5: (_frombuffer, (data, dtype, shape, order)).
    let (shape, dtype, fortran, data) = match object.name {
        "_reconstruct" => {
            let state = object.state.and_then(Value::as_items);
            match state.map(|state| [1, 2, 3, 4].map(|index| state.get(index))) {
                Some([Some(shape), Some(dtype), Some(fortran), Some(data)]) => {
                    (shape, dtype, matches!(fortran.kind(), Kind::Bool(true) | Kind::Int(1)), data)
                }
                _ => return Err(unexpected("the value", "a NumPy array with its state", value)),
            }
        }
        "_frombuffer" => match [0, 1, 2, 3].map(|index| object.args.get(index)) {
            [Some(data), Some(dtype), Some(shape), Some(order)] => {
                (shape, dtype, order.as_str() == Some("F"), data)
            }
            _ => return Err(unexpected("the value", "a NumPy array with its buffer", value)),
        },
        _ => return Err(unexpected("the value", "a NumPy array", value)),
    };
    let shape = extents(shape)?;
    let dtype = element_type(dtype)?;
    let bytes = buffer(data)?;
    let count = shape.iter().try_fold(dtype.size(), |count, &extent| count.checked_mul(extent));
    if count != Some(bytes.len()) {
        return Err(PickleError::Unexpected {
            place: format!("the data of an array of shape {shape:?}"),
            wanted: "as long as its shape says",
            found: format!("{} bytes of {dtype:?}", bytes.len()),
        });
    }
    let bytes = if fortran { Cow::Owned(row_major(&shape, dtype.size(), &bytes)) } else { bytes };
    Ok(Array { shape, dtype, bytes })
}

fn unexpected(place: &str, wanted: &'static str, found: Value<'_>) -> PickleError {
    PickleError::Unexpected { place: place.to_owned(), wanted, found: found.describe() }
}

fn extents(value: Value<'_>) -> Result<Vec<usize>> {
    let wanted = "a tuple of at most 32 extents";
    let items = value.as_items().filter(|items| items.len() <= 32);
    let items = items.ok_or_else(|| unexpected("an array's shape", wanted, value))?;
    let extent = |item: Value<'_>| {
        let extent = item.as_int().and_then(|extent| usize::try_from(extent).ok());
        extent.ok_or_else(|| unexpected("an array's extent", "an integer from 0", item))
    };
    items.iter().map(extent).collect()
}

/// `numpy.dtype('f4', …)` with the state `(3, '<', …)`.
fn element_type(value: Value<'_>) -> Result<DType> {
    let wanted = "a little-endian number of 1 to 8 bytes";
    let refused = || unexpected("an array's element type", wanted, value);
    let object = value.as_object().filter(|object| object.name == "dtype").ok_or_else(refused)?;
    let code = object.args.get(0).and_then(Value::as_str).ok_or_else(refused)?;
    let order = object.state.and_then(Value::as_items).and_then(|state| state.get(1));
    let order = order.and_then(Value::as_str).unwrap_or("|");
    let dtype = match code.trim_start_matches(['<', '|', '=']) {
        "b1" => DType::Bool,
        "u1" => DType::U8,
        "i1" => DType::I8,
        "i2" => DType::I16,
        "i4" => DType::I32,
        "i8" => DType::I64,
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        _ => {
            let found = format!("`{}`", crate::value::shortened(code));
            let place = "an array's element type".to_owned();
            return Err(PickleError::Unexpected { place, wanted, found });
        }
    };
    if order == ">" && dtype.size() > 1 {
        let (place, found) = ("an array's element type".to_owned(), "big-endian".to_owned());
        return Err(PickleError::Unexpected { place, wanted, found });
    }
    Ok(dtype)
}

/// The bytes of an array: plain, as a `bytearray`, or as Latin-1 text to be encoded.
fn buffer(value: Value<'_>) -> Result<Cow<'_, [u8]>> {
    let wanted = "bytes";
    match value.kind() {
        Kind::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        Kind::Object(Object { name: "encode", args, .. }) => {
            let text = args.get(0).and_then(Value::as_str);
            let bytes: Option<Vec<u8>> = text
                .and_then(|text| text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect());
            bytes.map(Cow::Owned).ok_or_else(|| unexpected("an array's data", wanted, value))
        }
        Kind::Object(Object { name: "bytearray" | "bytes", args, .. }) => {
            match args.get(0).map(Value::kind) {
                None => Ok(Cow::Borrowed(&[])),
                Some(Kind::Bytes(bytes)) => Ok(Cow::Borrowed(bytes)),
                Some(_) => Err(unexpected("an array's data", wanted, value)),
            }
        }
        _ => Err(unexpected("an array's data", wanted, value)),
    }
}

/// Column-major elements of `size` bytes, reordered.
fn row_major(shape: &[usize], size: usize, bytes: &[u8]) -> Vec<u8> {
    let mut strides = vec![size; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut ordered = Vec::with_capacity(bytes.len());
    crate::strides::for_each_offset(shape, &strides, |offset| {
        ordered.extend_from_slice(&bytes[offset..offset + size]);
    });
    ordered
}

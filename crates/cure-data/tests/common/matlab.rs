//! A writer of MAT-files, good and bad.

use std::io::Write;

/// Numbers of elements' types and of classes.
pub(crate) const I8: u32 = 1;
pub(crate) const U8: u32 = 2;
pub(crate) const I16: u32 = 3;
pub(crate) const I32: u32 = 5;
pub(crate) const U32: u32 = 6;
pub(crate) const F64: u32 = 9;
pub(crate) const MATRIX: u32 = 14;
pub(crate) const COMPRESSED: u32 = 15;
pub(crate) const CELL_CLASS: u32 = 1;
pub(crate) const DOUBLE_CLASS: u32 = 6;
pub(crate) const UINT8_CLASS: u32 = 9;

/// An element; contents of one to four bytes go into its tag.
pub(crate) fn element(kind: u32, contents: &[u8]) -> Vec<u8> {
    let size = contents.len();
    let mut bytes = Vec::new();
    if (1..=4).contains(&size) {
        bytes.extend_from_slice(&((size as u32) << 16 | kind).to_le_bytes());
        bytes.extend_from_slice(contents);
    } else {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&(size as u32).to_le_bytes());
        bytes.extend_from_slice(contents);
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// A variable: what stands before its values, and `values`, any elements.
pub(crate) fn matrix_of(class: u32, shape: &[i32], name: &str, values: &[u8]) -> Vec<u8> {
    let flags = [class.to_le_bytes(), [0; 4]].concat();
    let shape: Vec<u8> = shape.iter().flat_map(|extent| extent.to_le_bytes()).collect();
    let parts =
        [element(U32, &flags), element(I32, &shape), element(I8, name.as_bytes()), values.to_vec()];
    element(MATRIX, &parts.concat())
}

/// A variable whose values are stored as `kind`.
pub(crate) fn matrix(
    class: u32,
    shape: &[i32],
    name: &str,
    (kind, values): (u32, &[u8]),
) -> Vec<u8> {
    matrix_of(class, shape, name, &element(kind, values))
}

/// Bytes as zlib has them.
pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A compressed element around the zlib stream, without padding.
pub(crate) fn wrapped(stream: &[u8]) -> Vec<u8> {
    [&COMPRESSED.to_le_bytes(), &(stream.len() as u32).to_le_bytes(), stream].concat()
}

/// `element` compressed.
pub(crate) fn compressed(element: &[u8]) -> Vec<u8> {
    wrapped(&deflated(element))
}

/// A file of these elements.
pub(crate) fn file(elements: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("{:<116}", "MATLAB 5.0 MAT-file").into_bytes();
    bytes.extend_from_slice(b"\0\0\0\0\0\0\0\0\x00\x01IM");
    bytes.extend_from_slice(&elements.concat());
    bytes
}

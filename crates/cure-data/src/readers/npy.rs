//! One array in NumPy's `.npy` format, versions 1 to 3 (`numpy.lib.format`): a magic word, the
//! length of a header, the header (a Python dictionary literal with `descr`, `fortran_order` and
//! `shape`), the elements. Read here, not by a library, because the header is a few words and
//! the readers to be had trust its numbers.

/// What is wrong with an array.
type Result<T> = std::result::Result<T, String>;

/// The kind of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Signed,
    Unsigned,
    Float,
    Bool,
}

/// An array as stored.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) kind: Kind,
    /// Bytes an element, 1 to 8.
    pub(super) size: usize,
    /// As the file names the elements' type, such as `<f4`.
    pub(super) descr: String,
    pub(super) shape: Vec<usize>,
    /// The distance, in elements, of neighbours along each axis.
    pub(super) strides: Vec<usize>,
    big_endian: bool,
    /// The file; its elements begin at `start`.
    bytes: Vec<u8>,
    start: usize,
}

impl Array {
    /// The array that `bytes`, a whole `.npy` file, holds. Its elements fill its shape.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self> {
        let (before, length) = match *bytes.as_slice() {
            [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, low, high, ..] => {
                (10, usize::from(u16::from_le_bytes([low, high])))
            }
            [0x93, b'N', b'U', b'M', b'P', b'Y', 2 | 3, _, a, b, c, d, ..] => {
                (12, u32::from_le_bytes([a, b, c, d]) as usize)
            }
            _ => return Err("it is not in NumPy's .npy format, version 1 to 3".into()),
        };
        let start = length.saturating_add(before);
        let header = bytes.get(before..start).ok_or("its header is cut off")?;
        let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
        let descr = quoted(field(header, "descr")?)?.to_owned();
        let (kind, size, big_endian) = element_type(&descr)?;
        let shape = extents(field(header, "shape")?)?;
        let column_major = field(header, "fortran_order")?.starts_with("True");
        let count = |extents: &[usize]| {
            extents.iter().try_fold(1, |count: usize, &extent| count.checked_mul(extent))
        };
        let needed = count(&shape).and_then(|count| count.checked_mul(size));
        let found = bytes.len() - start;
        if needed != Some(found) {
            return Err(format!("{found} bytes do not fill `{descr}` of shape {shape:?}"));
        }
        // Partial products may overflow only where an extent of 0 leaves no element to find.
        let strides = (0..shape.len())
            .map(|axis| if column_major { &shape[..axis] } else { &shape[axis + 1..] })
            .map(|faster| count(faster).unwrap_or(0))
            .collect();
        Ok(Self { kind, size, descr, shape, strides, big_endian, bytes, start })
    }

    /// The elements' bytes in the order of storage.
    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The bits of the element at `offset` in the order of storage.
    pub(super) fn bits(&self, offset: usize) -> u64 {
        let element = &self.data()[offset * self.size..][..self.size];
        let append = |bits: u64, &byte: &u8| bits << 8 | u64::from(byte);
        if self.big_endian {
            element.iter().fold(0, append)
        } else {
            element.iter().rev().fold(0, append)
        }
    }

    /// The element at `offset` in the order of storage, if the elements are integers.
    pub(super) fn integer(&self, offset: usize) -> Option<i128> {
        let unused = 64 - 8 * self.size as u32;
        match self.kind {
            Kind::Unsigned => Some(i128::from(self.bits(offset))),
            // Shifting the sign bit to the top and back extends it.
            Kind::Signed => Some(i128::from((self.bits(offset) << unused) as i64 >> unused)),
            Kind::Float | Kind::Bool => None,
        }
    }
}

impl Array {
    /// All elements in row-major order of the shape; none for those of half precision.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        let count = if self.shape.contains(&0) { 0 } else { self.shape.iter().product() };
        (0..count).map(|mut place: usize| {
            let mut offset = 0;
            for (extent, stride) in self.shape.iter().zip(&self.strides).rev() {
                offset += place % extent * stride;
                place /= extent;
            }
            let bits = self.bits(offset);
            match (self.kind, self.size) {
                (Kind::Float, 4) => Some(f64::from(f32::from_bits(bits as u32))),
                (Kind::Float, 8) => Some(f64::from_bits(bits)),
                (Kind::Float, _) => None,
                (Kind::Bool, _) => Some(bits as f64),
                (Kind::Signed | Kind::Unsigned, _) => {
                    self.integer(offset).map(|integer| integer as f64)
                }
            }
        })
    }
}

/// What follows `key` and its colon in a dictionary literal.
fn field<'h>(header: &'h str, key: &str) -> Result<&'h str> {
    let follows = |quote: char| {
        let (_, rest) = header.split_once(&format!("{quote}{key}{quote}"))?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    };
    follows('\'').or_else(|| follows('"')).ok_or_else(|| format!("its header has no `{key}`"))
}

/// The text between the quotes that `text` begins with.
fn quoted(text: &str) -> Result<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'));
    quote
        .and_then(|quote| text[1..].split_once(quote))
        .map(|(inside, _)| inside)
        .ok_or_else(|| "its elements are records, not numbers".to_owned())
}

/// `<f4`, `|u1`, … as kind, size and whether the most significant byte comes first.
fn element_type(descr: &str) -> Result<(Kind, usize, bool)> {
    let refused = || format!("its elements are `{descr}`; integers, floats and bool are accepted");
    let mut characters = descr.chars();
    let (order, kind) = (characters.next(), characters.next());
    let size = characters.as_str().parse().map_err(|_| refused())?;
    let kind = match (kind, size) {
        (Some('i'), 1 | 2 | 4 | 8) => Kind::Signed,
        (Some('u'), 1 | 2 | 4 | 8) => Kind::Unsigned,
        (Some('f'), 2 | 4 | 8) => Kind::Float,
        (Some('b'), 1) => Kind::Bool,
        _ => return Err(refused()),
    };
    match order {
        Some('<' | '|') => Ok((kind, size, false)),
        Some('>') => Ok((kind, size, true)),
        _ => Err(refused()),
    }
}

/// The numbers of a tuple such as `(10, 3, 32, 32)` or `(10,)`.
fn extents(text: &str) -> Result<Vec<usize>> {
    let inside = text.strip_prefix('(').and_then(|text| text.split_once(')'));
    let (inside, _) = inside.ok_or("its shape is not a tuple")?;
    inside
        .split(',')
        .map(str::trim)
        .filter(|extent| !extent.is_empty())
        .map(|extent| extent.parse().map_err(|_| format!("its shape has an extent `{extent}`")))
        .collect()
}

/// What stands before the elements of a row-major array: version 1, padded so that the elements
/// begin at a multiple of 64 bytes.
pub(super) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let extents =
        if shape.len() == 1 { extents.trim_end() } else { extents.trim_end_matches(", ") };
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend_from_slice(&(length as u16).to_le_bytes());
    header.extend_from_slice(format!("{text:<0$}\n", length - 1).as_bytes());
    header
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn headers_are_numpy_s_own() {
        // `numpy.lib.format.write_array_header_1_0`, byte for byte.
        let expected = "{'descr': '<i8', 'fortran_order': False, 'shape': (7,), }";
        let bytes = header("<i8", &[7]);
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert_eq!(bytes.len(), 128);
        assert_eq!(std::str::from_utf8(&bytes[10..]).unwrap(), format!("{expected:<117}\n"));
        let four = header("<f4", &[2, 3, 4, 5]);
        assert!(
            four[10..]
                .starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4, 5), }")
        );
    }

    #[test]
    fn integers_of_every_width_and_order() {
        for (descr, data, value) in [
            ("|i1", vec![0xff], -1),
            ("|u1", vec![0xff], 255),
            ("<i2", vec![0xfe, 0xff], -2),
            (">i4", vec![0, 0, 1, 0], 256),
            ("<u8", vec![0xff; 8], i128::from(u64::MAX)),
            ("<i8", vec![0xff; 8], -1),
        ] {
            let header =
                format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}\n");
            let array = Array::parse(file(&header, &data)).unwrap();
            assert_eq!(array.integer(0), Some(value), "{descr}");
        }
    }

    #[test]
    fn strides_follow_the_order_of_storage() {
        let strides = |order: &str| {
            let header = format!("{{'shape': (2, 3), 'fortran_order': {order}, 'descr': '|u1'}}");
            Array::parse(file(&header, &[0; 6])).unwrap().strides
        };
        assert_eq!(strides("False"), [3, 1]);
        assert_eq!(strides("True"), [1, 2]);
    }

    #[test]
    fn lying_headers_are_refused() {
        let whole = |shape: &str, descr: &str| {
            format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}")
        };
        for (header, reason) in [
            (whole("(3,)", "'|u1'"), "4 bytes do not fill"),
            (whole("(4294967296, 4294967296)", "'|u1'"), "4 bytes do not fill"),
            (whole("(0, 18446744073709551615, 2)", "'|u1'"), "4 bytes do not fill"),
            (whole("(99999999999999999999,)", "'|u1'"), "extent"),
            (whole("(-4,)", "'|u1'"), "extent"),
            (whole("4", "'|u1'"), "not a tuple"),
            (whole("(4,)", "[('a', '<f4')]"), "records"),
            (whole("(4,)", "'|O'"), "`|O`"),
            (whole("(4,)", "'|u3'"), "`|u3`"),
            (whole("(4,)", "'<é4'"), "`<é4`"),
            ("{'descr': '|u1', 'shape': (4,)}".to_owned(), "no `fortran_order`"),
        ] {
            let error = Array::parse(file(&header, &[0; 4])).unwrap_err();
            assert!(error.contains(reason), "{header}: {error}");
        }
        assert!(
            Array::parse(b"\x93NUMPY\x01\x00\xff\xff".to_vec()).unwrap_err().contains("cut off")
        );
        assert!(Array::parse(b"PK".to_vec()).is_err());
    }
}

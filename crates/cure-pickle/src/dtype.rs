/// The type of an array's elements. All are stored little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// One byte, zero or one.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// IEEE half precision.
    F16,
    /// The upper half of an `F32`.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl DType {
    /// Bytes an element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    /// The elements of `bytes` as `f32`, rounded to nearest where `f32` is the narrower type.
    /// A last element that is not whole is left out.
    pub fn decode(self, bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
        bytes.chunks_exact(self.size()).map(move |element| self.decode_one(element))
    }

    /// As [`DType::decode`], to the end of `out`.
    pub fn decode_to(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            // Nearly always; a copy.
            Self::F32 => {
                let (elements, _) = bytes.as_chunks::<4>();
                out.extend(elements.iter().map(|&element| f32::from_le_bytes(element)));
            }
            _ => out.extend(self.decode(bytes)),
        }
    }

    fn decode_one(self, element: &[u8]) -> f32 {
        match (self, element) {
            (Self::Bool, &[byte]) => f32::from(u8::from(byte != 0)),
            (Self::U8, &[byte]) => f32::from(byte),
            (Self::I8, &[byte]) => f32::from(i8::from_le_bytes([byte])),
            (Self::I16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])),
            (Self::F16, &[a, b]) => half_to_single(u16::from_le_bytes([a, b])),
            (Self::BF16, &[a, b]) => f32::from_le_bytes([0, 0, a, b]),
            (Self::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32,
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::I64, &[a, b, c, d, e, f, g, h]) => {
                i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            (Self::F64, &[a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32
            }
            // Not reachable: `decode` cuts elements of exactly `size` bytes.
            _ => f32::NAN,
        }
    }
}

/// IEEE 754 binary16: one sign bit, five of exponent (bias 15), ten of fraction.
fn half_to_single(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_at_its_corners() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half_to_single(bits), value, "{bits:#06x}");
        }
        assert!(half_to_single(0x7c01).is_nan());
        assert!(half_to_single(0x8000).is_sign_negative());
    }

    #[test]
    fn every_type_decodes_its_own_bytes() {
        let cases: [(DType, Vec<u8>, f32); 10] = [
            (DType::Bool, vec![7], 1.0),
            (DType::U8, vec![200], 200.0),
            (DType::I8, vec![0xff], -1.0),
            (DType::I16, (-300i16).to_le_bytes().to_vec(), -300.0),
            (DType::I32, (-70_000i32).to_le_bytes().to_vec(), -70_000.0),
            (DType::I64, (-5_000_000_000i64).to_le_bytes().to_vec(), -5e9),
            (DType::F16, vec![0x00, 0x3e], 1.5),
            (DType::BF16, vec![0xc0, 0xbf], -1.5),
            (DType::F32, 0.1f32.to_le_bytes().to_vec(), 0.1),
            (DType::F64, 0.1f64.to_le_bytes().to_vec(), 0.1),
        ];
        for (dtype, bytes, value) in cases {
            assert_eq!(bytes.len(), dtype.size());
            assert_eq!(dtype.decode(&bytes).collect::<Vec<_>>(), [value], "{dtype:?}");
            let mut appended = vec![2.0];
            dtype.decode_to(&bytes, &mut appended);
            assert_eq!(appended, [2.0, value], "{dtype:?}");
        }
    }
}

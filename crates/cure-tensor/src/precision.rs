//! What libtorch multiplies in.

use std::fmt;
use std::str::FromStr;

use crate::{Device, Result, TensorError};

/// The numbers that convolutions multiply. Whatever they are, tensors hold `f32`, sums over batches and channels
/// are taken in `f32` or `f64`, and so are the layers without space, the last one above all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 24 bits.
    #[default]
    F32,
    /// 11 bits, sums in `f32`, by the tensor cores of a GPU: what PyTorch does there unless told otherwise.
    Tf32,
    /// 8 bits, sums in `f32`, results rounded to 8 bits.
    Bf16,
}

impl Precision {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// Whether the device has it.
    ///
    /// # Errors
    /// [`TensorError::Argument`] if not.
    pub fn check(self, device: Device) -> Result<()> {
        let accepted = match (self, device) {
            (Self::F32, _) | (_, Device::TorchCuda(_)) | (Self::Bf16, Device::TorchCpu) => {
                return Ok(());
            }
            (_, Device::Cpu) => "f32",
            (_, Device::TorchCpu) => "f32 or bf16",
        };
        Err(TensorError::Argument {
            operation: "a device",
            argument: "its precision",
            value: self.to_string(),
            accepted: format!("{accepted} on {device}"),
        })
    }
}

impl FromStr for Precision {
    type Err = TensorError;

    fn from_str(text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|precision| precision.to_string() == text);
        named.ok_or_else(|| TensorError::Argument {
            operation: "a device",
            argument: "its precision",
            value: text.to_owned(),
            accepted: Self::ALL.map(|precision| precision.to_string()).join(", "),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_devices_have_their_own() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
            precision.check(Device::TorchCuda(0)).unwrap();
        }
        assert!("fp16".parse::<Precision>().unwrap_err().to_string().contains("f32, tf32, bf16"));
        Precision::F32.check(Device::Cpu).unwrap();
        Precision::Bf16.check(Device::TorchCpu).unwrap();
        let refused = Precision::Bf16.check(Device::Cpu).unwrap_err().to_string();
        assert!(refused.contains("accepted is f32 on cpu"), "{refused}");
        assert!(Precision::Tf32.check(Device::TorchCpu).is_err());
    }
}

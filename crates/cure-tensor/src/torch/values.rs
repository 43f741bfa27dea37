use std::sync::OnceLock;

use tch::Kind;

use super::{Made, error, keep, upload};

/// Values in ATen's memory, in f32, with any strides.
pub(crate) struct Values {
    tensor: tch::Tensor,
    /// In row-major order on the host, once somebody has asked for them.
    host: OnceLock<Vec<f32>>,
}

// SAFETY: the handle counts its references atomically, and nothing here writes to values that are shared.
unsafe impl Sync for Values {}

impl Values {
    pub(super) fn new(tensor: tch::Tensor) -> Self {
        Self { tensor, host: OnceLock::new() }
    }

    /// Values of the host on the device.
    pub(crate) fn uploaded(shape: &[usize], values: &[f32]) -> Made {
        let shape: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
        upload(values)?.f_view(shape.as_slice())
    }

    /// Values of the host, brought to the device; as they are where that fails.
    pub(crate) fn upload(shape: &[usize], values: Vec<f32>) -> Result<Self, Vec<f32>> {
        match Self::uploaded(shape, &values) {
            // What came from the host need not be fetched from the device.
            Ok(tensor) => Ok(Self { tensor, host: OnceLock::from(values) }),
            Err(cause) => {
                keep(error("a copy to the device", &cause));
                Err(values)
            }
        }
    }

    /// Another handle to the same memory.
    pub(crate) fn tensor(&self) -> tch::Tensor {
        self.tensor.shallow_clone()
    }

    /// The values on the host; NaN where they cannot be had.
    pub(crate) fn host(&self) -> &[f32] {
        self.host.get_or_init(|| {
            let length = self.tensor.numel();
            crate::meter::read_back(length);
            let read = || -> Made<Vec<f32>> {
                let here = self.tensor.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?;
                let mut values = vec![0.0; length];
                here.f_contiguous()?.f_copy_data(&mut values, length)?;
                Ok(values)
            };
            read().unwrap_or_else(|cause| {
                keep(error("a copy to the host", &cause));
                vec![f32::NAN; length]
            })
        })
    }

    /// Under another shape of as many elements.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let shape: Vec<i64> = shape.iter().map(|&side| side as i64).collect();
        self.tensor.f_reshape(shape.as_slice()).ok().map(Self::new)
    }

    pub(crate) fn is_finite(&self) -> bool {
        crate::meter::read_back(1);
        let found = || self.tensor.f_isfinite()?.f_all()?.f_int64_value(&[]);
        found().map_err(|cause| keep(error("is_finite", &cause))).is_ok_and(|all| all != 0)
    }
}

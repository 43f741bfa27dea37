use tch::Kind;

use super::{Made, error, keep, read, surely, upload};
use crate::numbers::Operator;
use crate::{Numbers, Result, Tensor};

/// [`Numbers`] in ATen's memory, in f64.
pub(crate) struct Doubles(tch::Tensor);

// SAFETY: as for `Values`.
unsafe impl Sync for Doubles {}

impl Clone for Doubles {
    fn clone(&self) -> Self {
        Self(self.0.shallow_clone())
    }
}

/// What ATen made; where it failed, nothing, and the error is kept.
fn kept(found: Made) -> Option<Doubles> {
    found.map(Doubles).map_err(|cause| keep(error("arithmetic of numbers", &cause))).ok()
}

impl Doubles {
    pub(crate) fn uploaded(values: &[f64]) -> Made {
        upload(values)
    }

    pub(crate) fn upload(values: &[f64]) -> Option<Self> {
        kept(Self::uploaded(values))
    }

    pub(crate) fn of(tensor: &Tensor) -> Option<Self> {
        kept(tensor.torch().and_then(|values| values.f_reshape(-1)?.f_to_kind(Kind::Double)))
    }

    pub(crate) fn tensor(&self) -> tch::Tensor {
        self.0.shallow_clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.numel()
    }

    pub(crate) fn to_vec(&self) -> Vec<f64> {
        read("numbers", Ok(self.tensor())).unwrap_or_else(|cause| {
            keep(cause);
            vec![f64::NAN; self.len()]
        })
    }

    pub(crate) fn to_tensor(&self) -> Tensor {
        surely("numbers", &[self.len()], self.0.f_to_kind(Kind::Float))
    }

    pub(crate) fn zip(a: Made, b: Made, operator: Operator) -> Option<Self> {
        let found = || match operator {
            Operator::Add => a?.f_add(&b?),
            Operator::Subtract => a?.f_sub(&b?),
            Operator::Multiply => a?.f_mul(&b?),
        };
        kept(found())
    }

    pub(crate) fn times(&self, factor: f64) -> Option<Self> {
        kept(self.0.f_mul_scalar(factor))
    }

    pub(crate) fn inverse_root(&self, shift: f64) -> Option<Self> {
        kept(self.0.f_add_scalar(shift).and_then(|shifted| shifted.f_rsqrt()))
    }
}

/// What ATen computed of each row, or channel.
pub(super) fn numbers(operation: &'static str, found: Made) -> Result<Numbers> {
    super::earlier()?;
    let found = found.map_err(|cause| error(operation, &cause))?;
    let count = found.numel();
    Ok(Numbers::of_torch(Some(Doubles(found)), count))
}

/// A number for each row, or channel, beside a tensor of so many dimensions, `[C, 1, …, 1]`, in f32.
pub(super) fn beside(numbers: &Numbers, dimensions: usize) -> Made {
    column_of(&numbers.torch()?.f_to_kind(Kind::Float)?, dimensions)
}

/// The same of a vector.
pub(super) fn column_of(values: &tch::Tensor, dimensions: usize) -> Made {
    let mut shape = vec![1; dimensions.max(1)];
    shape[0] = -1;
    values.f_view(shape.as_slice())
}

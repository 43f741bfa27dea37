use std::sync::{Arc, OnceLock};

use tch::Kind;

use super::{Made, error, keep, read, surely, upload};
use crate::numbers::Operator;
use crate::{Numbers, Result, Tensor};

/// [`Numbers`] in ATen's memory: in f64, and in f32 where they are rounded. Each is made when it is first asked for, for
/// all clones: a conversion is a launch, and statistics of a batch are as often needed in f32 as in f64.
#[derive(Clone)]
pub(crate) struct Doubles(Arc<Forms>);

struct Forms {
    /// In either kind.
    given: tch::Tensor,
    converted: OnceLock<tch::Tensor>,
    /// `1/√(x + shift)`, where it was known from the start.
    inverse_root: Option<(f64, Doubles)>,
}

// SAFETY: as for `Values`.
unsafe impl Sync for Forms {}

/// What ATen made; where it failed, nothing, and the error is kept.
fn kept(found: Made) -> Option<Doubles> {
    found.map(Doubles::new).map_err(|cause| keep(error("arithmetic of numbers", &cause))).ok()
}

impl Doubles {
    /// Of a vector in f32 or f64.
    fn new(given: tch::Tensor) -> Self {
        Self(Arc::new(Forms { given, converted: OnceLock::new(), inverse_root: None }))
    }

    pub(crate) fn uploaded(values: &[f64]) -> Made {
        upload(values)
    }

    pub(crate) fn upload(values: &[f64]) -> Option<Self> {
        kept(Self::uploaded(values))
    }

    pub(crate) fn of(tensor: &Tensor) -> Option<Self> {
        kept(tensor.torch().and_then(|values| values.f_reshape(-1)))
    }

    fn in_kind(&self, kind: Kind) -> Made {
        let Forms { given, converted, .. } = &*self.0;
        if given.kind() == kind {
            return Ok(given.shallow_clone());
        }
        if let Some(known) = converted.get() {
            return Ok(known.shallow_clone());
        }
        let made = given.f_to_kind(kind)?;
        Ok(converted.get_or_init(|| made).shallow_clone())
    }

    /// In f64.
    pub(crate) fn tensor(&self) -> Made {
        self.in_kind(Kind::Double)
    }

    /// In f32.
    pub(crate) fn single(&self) -> Made {
        self.in_kind(Kind::Float)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.given.numel()
    }

    pub(crate) fn to_vec(&self) -> Vec<f64> {
        read("numbers", self.tensor()).unwrap_or_else(|cause| {
            keep(cause);
            vec![f64::NAN; self.len()]
        })
    }

    pub(crate) fn to_tensor(&self) -> Tensor {
        surely("numbers", &[self.len()], self.single())
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
        kept(self.tensor().and_then(|values| values.f_mul_scalar(factor)))
    }

    pub(crate) fn inverse_root(&self, shift: f64) -> Option<Self> {
        match &self.0.inverse_root {
            Some((known, root)) if known.to_bits() == shift.to_bits() => Some(root.clone()),
            _ => kept(self.tensor().and_then(|values| values.f_add_scalar(shift)?.f_rsqrt())),
        }
    }
}

/// What ATen computed of each row, or channel.
pub(super) fn numbers(operation: &'static str, found: Made) -> Result<Numbers> {
    super::earlier()?;
    let found = found.map_err(|cause| error(operation, &cause))?;
    let count = found.numel();
    Ok(Numbers::of_torch(Some(Doubles::new(found)), count))
}

/// Variances of which `inverse` is `1/√(variance + epsilon)`.
pub(super) fn variances(variance: tch::Tensor, inverse: tch::Tensor, epsilon: f64) -> Numbers {
    let count = variance.numel();
    let inverse_root = Some((epsilon, Doubles::new(inverse)));
    let forms = Forms { given: variance, converted: OnceLock::new(), inverse_root };
    Numbers::of_torch(Some(Doubles(Arc::new(forms))), count)
}

/// A number for each row, or channel, beside a tensor of so many dimensions, `[C, 1, …, 1]`, in f32.
pub(super) fn beside(numbers: &Numbers, dimensions: usize) -> Made {
    column_of(&numbers.torch_single()?, dimensions)
}

/// The same of a vector.
pub(super) fn column_of(values: &tch::Tensor, dimensions: usize) -> Made {
    let mut shape = vec![1; dimensions.max(1)];
    shape[0] = -1;
    values.f_view(shape.as_slice())
}

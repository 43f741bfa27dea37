use tch::Kind;

use super::{Made, keep, read};
use crate::Tensor;

/// Of each tensor a number in f64, brought to the host together.
fn of_each(
    operation: &'static str,
    tensors: &[&Tensor],
    one: impl Fn(&tch::Tensor) -> Made,
) -> Option<Vec<f64>> {
    let found = || {
        let numbers: Vec<tch::Tensor> = tensors
            .iter()
            .map(|tensor| one(&tensor.torch()?)?.f_to_kind(Kind::Double))
            .collect::<Made<_>>()?;
        tch::Tensor::f_stack(&numbers, 0)
    };
    if tensors.is_empty() {
        return Some(Vec::new());
    }
    read(operation, found()).map_err(keep).ok()
}

/// No where ATen fails.
pub(crate) fn are_finite(tensors: &[&Tensor]) -> bool {
    let finite = |tensor: &tch::Tensor| tensor.f_isfinite()?.f_all();
    let found = of_each("are_finite", tensors, finite);
    found.is_some_and(|found| found.iter().all(|&one| one == 1.0))
}

/// NaN where ATen fails.
pub(crate) fn norms(tensors: &[&Tensor]) -> Vec<f64> {
    let norm = |tensor: &tch::Tensor| {
        tensor.f_to_kind(Kind::Double)?.f_square()?.f_sum(Kind::Double)?.f_sqrt()
    };
    of_each("norms", tensors, norm).unwrap_or_else(|| vec![f64::NAN; tensors.len()])
}

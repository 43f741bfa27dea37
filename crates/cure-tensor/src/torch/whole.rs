use std::ffi::c_char;

use tch::Kind;
use torch_sys::C_tensor;

use super::{Made, keep, read, refused};
use crate::Tensor;

// `shim.cpp`.
unsafe extern "C" {
    fn cure_largest(
        out: *mut *mut C_tensor,
        tensors: *const *const C_tensor,
        count: usize,
    ) -> *mut c_char;
}

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
    let tensors: Vec<&Tensor> =
        tensors.iter().copied().filter(|tensor| !tensor.is_empty()).collect();
    if tensors.is_empty() {
        return true;
    }
    let found = || -> Made {
        let values: Vec<tch::Tensor> =
            tensors.iter().map(|tensor| tensor.torch()).collect::<Made<_>>()?;
        let pointers: Vec<*const C_tensor> = values.iter().map(|tensor| tensor.as_ptr()).collect();
        let mut out = std::ptr::null_mut();
        // SAFETY: the tensors are alive, there are so many, and the shim lets no exception out.
        refused(unsafe { cure_largest(&mut out, pointers.as_ptr(), pointers.len()) })?;
        // SAFETY: the shim made a tensor for us.
        Ok(unsafe { tch::Tensor::from_ptr(out) })
    };
    let largest = read("are_finite", found()).map_err(keep).ok();
    largest.is_some_and(|largest| largest.iter().all(|size| size.is_finite()))
}

/// NaN where ATen fails.
pub(crate) fn norms(tensors: &[&Tensor]) -> Vec<f64> {
    let norm = |tensor: &tch::Tensor| {
        tensor.f_to_kind(Kind::Double)?.f_square()?.f_sum(Kind::Double)?.f_sqrt()
    };
    of_each("norms", tensors, norm).unwrap_or_else(|| vec![f64::NAN; tensors.len()])
}

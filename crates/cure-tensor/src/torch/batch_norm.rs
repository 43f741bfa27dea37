use std::ffi::{c_char, c_int};

use tch::Kind;
use torch_sys::C_tensor;

use super::convolution::samples_first;
use super::doubles::{numbers, variances};
use super::{Made, error, made, refused};
use crate::{Numbers, Result, Tensor};

// `shim.cpp`.
unsafe extern "C" {
    fn cure_batch_norm_backward(
        out: *mut *mut C_tensor,
        g: *const C_tensor,
        x: *const C_tensor,
        scale: *const C_tensor,
        mean: *const C_tensor,
        inverse: *const C_tensor,
        of_input: c_int,
    ) -> *mut c_char;
}

/// The gradients of ATen's `native_batch_norm_backward`, which tch leaves out: of the input alone, or of scale
/// and shift.
fn backward<const N: usize>(
    a: &Tensor,
    x: &Tensor,
    scale: &tch::Tensor,
    [mean, inverse]: [&Numbers; 2],
) -> Made<[tch::Tensor; N]> {
    let (a, x) = (samples_first(a)?, samples_first(x)?);
    let (mean, inverse) = (mean.torch_single()?, inverse.torch_single()?);
    let mut out = [std::ptr::null_mut(); N];
    // SAFETY: the tensors are alive; the shim writes one tensor for the input, or two, and lets no exception out.
    let message = unsafe {
        cure_batch_norm_backward(
            out.as_mut_ptr(),
            a.as_ptr(),
            x.as_ptr(),
            scale.as_ptr(),
            mean.as_ptr(),
            inverse.as_ptr(),
            c_int::from(N == 1),
        )
    };
    refused(message)?;
    // SAFETY: the shim made the tensors for us.
    Ok(out.map(|tensor| unsafe { tch::Tensor::from_ptr(tensor) }))
}

pub(crate) fn batch_norm(
    x: &Tensor,
    scale: &Numbers,
    shift: &Numbers,
    epsilon: f64,
) -> Result<Option<(Tensor, Numbers, Numbers)>> {
    let found = || -> Made<[tch::Tensor; 4]> {
        let (x, scale, shift) = (samples_first(x)?, scale.torch_single()?, shift.torch_single()?);
        let none = None::<&tch::Tensor>;
        let (value, mean, inverse) =
            x.f_native_batch_norm(Some(&scale), Some(&shift), none, none, true, 0.0, epsilon)?;
        let squares = inverse.f_to_kind(Kind::Double)?.f_square()?;
        let variance = squares.f_reciprocal()?.f_sub_scalar(epsilon)?.f_clamp_min(0.0)?;
        Ok([value.f_transpose(0, 1)?, mean, variance, inverse])
    };
    let operation = "batch_norm";
    let [value, mean, variance, inverse] = found().map_err(|cause| error(operation, &cause))?;
    let mean = numbers(operation, Ok(mean))?;
    let variance = variances(variance, inverse, epsilon);
    Ok(Some((made(operation, Ok(value))?, mean, variance)))
}

pub(crate) fn batch_norm_pullback(
    a: &Tensor,
    x: &Tensor,
    scale: &Numbers,
    statistics: [&Numbers; 2],
) -> Result<Option<Tensor>> {
    let found = || {
        let [of_input] = backward(a, x, &scale.torch_single()?, statistics)?;
        of_input.f_transpose(0, 1)
    };
    made("batch_norm_pullback", found()).map(Some)
}

pub(crate) fn batch_norm_sums(
    a: &Tensor,
    x: &Tensor,
    statistics: [&Numbers; 2],
) -> Result<Option<[Numbers; 2]>> {
    let found = || -> Made<[tch::Tensor; 2]> {
        let one = statistics[1].torch_single()?.f_ones_like()?;
        let [scale, shift] = backward(a, x, &one, statistics)?;
        Ok([shift, scale])
    };
    let operation = "batch_norm_sums";
    let [plain, with] = found().map_err(|cause| error(operation, &cause))?;
    Ok(Some([numbers(operation, Ok(plain))?, numbers(operation, Ok(with))?]))
}

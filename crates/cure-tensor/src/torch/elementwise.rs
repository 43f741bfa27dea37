use std::ffi::c_char;

use torch_sys::C_tensor;

use super::{Made, made, refused, surely};
use crate::{Result, Tensor};

// `shim.cpp`.
unsafe extern "C" {
    fn cure_add(
        out: *mut *mut C_tensor,
        y: *const C_tensor,
        x: *const C_tensor,
        factor: f64,
    ) -> *mut c_char;
}

/// y + factor·x in one pass, which tch leaves out.
fn added(y: &tch::Tensor, x: &tch::Tensor, factor: f32) -> Made {
    let mut out = std::ptr::null_mut();
    // SAFETY: the tensors are alive, and the shim lets no exception out.
    refused(unsafe { cure_add(&mut out, y.as_ptr(), x.as_ptr(), f64::from(factor)) })?;
    // SAFETY: the shim made a tensor for us.
    Ok(unsafe { tch::Tensor::from_ptr(out) })
}

fn scaled(factor: f32, x: &Tensor) -> Made {
    x.torch()?.f_mul_scalar(f64::from(factor))
}

pub(crate) fn scale(factor: f32, x: &Tensor) -> Tensor {
    surely("scale", x.shape(), scaled(factor, x))
}

pub(crate) fn subtract(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let difference = || a.torch()?.f_sub(&b.torch()?);
    made("subtract", difference())
}

pub(crate) fn axpy(a: f32, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let sum = || added(&y.torch()?, &x.torch()?, a);
    made("axpy", sum())
}

pub(crate) fn clamp(x: &Tensor, low: f32, high: f32) -> Tensor {
    let found = || x.torch()?.f_clamp(f64::from(low), f64::from(high));
    surely("clamp", x.shape(), found())
}

pub(crate) fn towards(a: &Tensor, b: &Tensor, share: f32) -> Result<Tensor> {
    let found = || {
        let a = a.torch()?;
        added(&a, &b.torch()?.f_sub(&a)?, share)
    };
    made("towards", found())
}

pub(crate) fn running_mean(mean: &Tensor, x: &Tensor, keep: f32, take: f32) -> Result<Tensor> {
    let found = || match take {
        1.0 => added(&x.torch()?, &mean.torch()?, keep),
        _ => added(&scaled(keep, mean)?, &x.torch()?, take),
    };
    made("running_mean", found())
}

pub(crate) fn running_square(square: &Tensor, x: &Tensor, keep: f32, take: f32) -> Result<Tensor> {
    let found = || {
        let x = x.torch()?;
        added(&scaled(keep, square)?, &x.f_square()?, take)
    };
    made("running_square", found())
}

pub(crate) fn over_root(
    mean: &Tensor,
    square: &Tensor,
    [scale, root, epsilon]: [f32; 3],
) -> Result<Tensor> {
    let found = || {
        let below = square.torch()?.f_sqrt()?.f_mul_scalar(f64::from(root))?;
        scaled(scale, mean)?.f_div(&below.f_add_scalar(f64::from(epsilon))?)
    };
    made("over_root", found())
}

use std::ffi::{c_char, c_int};

use tch::{Kind, TchError};
use torch_sys::C_tensor;

use super::activation::value;
use super::{Made, made, refused};
use crate::ops::{Activation, Epilogue, Window};
use crate::{Precision, Result, Tensor};

// `shim.cpp`.
unsafe extern "C" {
    fn cure_convolution_backward(
        out: *mut *mut C_tensor,
        g: *const C_tensor,
        x: *const C_tensor,
        weight: *const C_tensor,
        stride: i64,
        padding: i64,
        groups: i64,
        of_weight: c_int,
    ) -> *mut c_char;
}

/// One of ATen's `convolution_backward`'s results, which tch leaves out: the gradient with respect to
/// the weights or the input. All tensors `[N, C, H, W]`; of the other operand only the shape counts.
fn backward(
    g: &tch::Tensor,
    x: &tch::Tensor,
    weight: &tch::Tensor,
    window: Window,
    of_weight: bool,
) -> Made {
    let [stride, padding, groups] =
        [window.stride, window.padding, window.groups].map(|value| value as i64);
    let mut out = std::ptr::null_mut();
    let (g, x, weight) = (g.as_ptr(), x.as_ptr(), weight.as_ptr());
    // SAFETY: the tensors are alive, and the shim lets no exception out.
    let message = unsafe {
        let of_weight = c_int::from(of_weight);
        cure_convolution_backward(&mut out, g, x, weight, stride, padding, groups, of_weight)
    };
    refused(message)?;
    // SAFETY: the shim made a tensor for us.
    Ok(unsafe { tch::Tensor::from_ptr(out) })
}

/// A tensor of which only the shape is looked at.
fn shape_of(like: &tch::Tensor, shape: &[i64]) -> Made {
    like.f_new_empty([1], (like.kind(), like.device()))?.f_expand(shape, false)
}

/// What follows the sums, of a channel-major result.
fn finish(mut sums: tch::Tensor, epilogue: &Epilogue<'_>, has_bias: bool) -> Made {
    // Nobody else has the sums: they are written over.
    if let Some(bias) = epilogue.bias.filter(|_| !has_bias) {
        sums = sums.f_add_(&bias.torch()?.f_view([-1, 1, 1, 1])?)?;
    }
    if let Some(residual) = epilogue.residual {
        sums = sums.f_add_(&residual.torch()?)?;
    }
    match epilogue.activation {
        Some(Activation::Relu) => sums = sums.f_relu_()?,
        Some(kind) => sums = value(kind, &sums)?,
        None => {}
    }
    if let Some(mask) = epilogue.mask {
        sums = mask.torch()?.f_threshold_backward_grad_input(&sums, &sums, 0.0)?;
    }
    Ok(sums)
}

pub(super) fn samples_first(x: &Tensor) -> Made {
    x.torch()?.f_transpose(0, 1)
}

/// What a convolution of this input, `[C, N, H, W]`, multiplies. Layers without space cost little, and logits are
/// made by one.
fn factors(input: &[usize]) -> Kind {
    match (crate::precision(), input) {
        (Precision::Bf16, &[_, _, height, width]) if height * width > 1 => Kind::BFloat16,
        _ => Kind::Float,
    }
}

pub(crate) fn convolution(
    x: &Tensor,
    weight: &Tensor,
    window: Window,
    epilogue: &Epilogue<'_>,
) -> Result<Tensor> {
    let found = || {
        let kind = factors(x.shape());
        // A bias is added to sums, in f32.
        let has_bias = kind == Kind::Float;
        let bias = epilogue.bias.filter(|_| has_bias).map(Tensor::torch).transpose()?;
        let Window { stride, padding, groups } = window;
        let [stride, padding] = [stride, padding].map(|value| [value as i64; 2]);
        let (x, weight) = (samples_first(x)?.f_to_kind(kind)?, weight.torch()?.f_to_kind(kind)?);
        let sums = x.f_conv2d(&weight, bias.as_ref(), stride, padding, [1, 1], groups as i64)?;
        finish(sums.f_to_kind(Kind::Float)?.f_transpose(0, 1)?, epilogue, has_bias)
    };
    made("convolution", found())
}

pub(crate) fn convolution_input_gradient(
    g: &Tensor,
    weight: &Tensor,
    window: Window,
    input: [usize; 4],
    epilogue: &Epilogue<'_>,
) -> Result<Tensor> {
    let found = || {
        let kind = factors(&input);
        let g = samples_first(g)?.f_to_kind(kind)?;
        let [channels, samples, height, width] = input.map(|side| side as i64);
        let x = shape_of(&g, &[samples, channels, height, width])?;
        let sums = backward(&g, &x, &weight.torch()?.f_to_kind(kind)?, window, false)?
            .f_to_kind(Kind::Float)?;
        finish(sums.f_transpose(0, 1)?, epilogue, false)
    };
    made("convolution_input_gradient", found())
}

pub(crate) fn convolution_weight_gradient(
    pairs: &[(&Tensor, &Tensor)],
    weight_shape: &[usize],
    window: Window,
) -> Result<Tensor> {
    let found = || {
        let shape: Vec<i64> = weight_shape.iter().map(|&side| side as i64).collect();
        let mut sum: Option<tch::Tensor> = None;
        for (x, g) in pairs {
            let kind = factors(x.shape());
            let (x, g) = (samples_first(x)?.f_to_kind(kind)?, samples_first(g)?.f_to_kind(kind)?);
            let one =
                backward(&g, &x, &shape_of(&g, &shape)?, window, true)?.f_to_kind(Kind::Float)?;
            sum = Some(match sum {
                None => one,
                Some(sum) => sum.f_add(&one)?,
            });
        }
        sum.ok_or_else(|| TchError::Torch("no pair".into()))
    };
    made("convolution_weight_gradient", found())
}

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

/// How `[N, C, H, W]` lies in memory around a convolution.
#[derive(Clone, Copy)]
enum Order {
    Planes,
    ChannelsLast,
}

impl Order {
    /// The faster one for such planes (`docs/decisions.md`). GPUs' matrix units, in TF32 and bf16, multiply channels
    /// last, their f32 units planes; oneDNN multiplies channels last up to a third faster over wide planes, and slower
    /// over small ones.
    fn of(height: usize, width: usize) -> Self {
        const WIDE: usize = 16 * 16;
        match super::place() {
            tch::Device::Cpu if height * width < WIDE => Self::Planes,
            tch::Device::Cuda(_) if crate::precision() == Precision::F32 => Self::Planes,
            _ => Self::ChannelsLast,
        }
    }

    /// These values in that order: themselves, where they are.
    fn of_values(self, x: &tch::Tensor) -> Made {
        match self {
            Self::Planes => x.f_contiguous(),
            Self::ChannelsLast => {
                x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
            }
        }
    }

    /// A tensor of which only the shape and the order are looked at.
    fn of_shape(self, like: &tch::Tensor, [n, c, h, w]: [i64; 4]) -> Made {
        let options = (like.kind(), like.device());
        match self {
            Self::Planes => like.f_new_empty([n, c, h, w], options),
            Self::ChannelsLast => like.f_new_empty([n, h, w, c], options)?.f_permute([0, 3, 1, 2]),
        }
    }
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

/// Samples first, in f32 and in the order of its planes, as channels first.
fn channels_first(x: tch::Tensor) -> Made {
    let size = x.size();
    let side = |at: usize| size.get(at).map_or(0, |&side| side as usize);
    Order::of(side(2), side(3)).of_values(&x.f_to_kind(Kind::Float)?)?.f_transpose(0, 1)
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
        let order = Order::of(x.shape()[2], x.shape()[3]);
        let values = |x: tch::Tensor| order.of_values(&x.f_to_kind(kind)?);
        let (x, weight) = (values(samples_first(x)?)?, values(weight.torch()?)?);
        let sums = x.f_conv2d(&weight, bias.as_ref(), stride, padding, [1, 1], groups as i64)?;
        finish(channels_first(sums)?, epilogue, has_bias)
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
        let order = Order::of(input[2], input[3]);
        let values = |x: tch::Tensor| order.of_values(&x.f_to_kind(kind)?);
        let (g, weight) = (values(samples_first(g)?)?, values(weight.torch()?)?);
        let [channels, samples, height, width] = input.map(|side| side as i64);
        let x = order.of_shape(&g, [samples, channels, height, width])?;
        finish(channels_first(backward(&g, &x, &weight, window, false)?)?, epilogue, false)
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
        let shape = <[i64; 4]>::try_from(shape).map_err(|_| TchError::Torch("weights".into()))?;
        let mut sum: Option<tch::Tensor> = None;
        for (x, g) in pairs {
            let kind = factors(x.shape());
            let order = Order::of(x.shape()[2], x.shape()[3]);
            let values = |x: &Tensor| order.of_values(&samples_first(x)?.f_to_kind(kind)?);
            let (x, g) = (values(x)?, values(g)?);
            let one = backward(&g, &x, &order.of_shape(&g, shape)?, window, true)?;
            let one = one.f_to_kind(Kind::Float)?.f_contiguous()?;
            sum = Some(match sum {
                None => one,
                Some(sum) => sum.f_add(&one)?,
            });
        }
        sum.ok_or_else(|| TchError::Torch("no pair".into()))
    };
    made("convolution_weight_gradient", found())
}

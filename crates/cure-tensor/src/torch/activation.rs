use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::{Made, made, surely};
use crate::ops::Activation;
use crate::{Result, Tensor};

/// Φ(a) and φ(a), the Gaussian's distribution and density.
fn gaussian(a: &tch::Tensor) -> Made<[tch::Tensor; 2]> {
    let half = a.f_mul_scalar(FRAC_1_SQRT_2)?.f_neg()?.f_erfc()?.f_mul_scalar(0.5)?;
    let density =
        a.f_square()?.f_mul_scalar(-0.5)?.f_exp()?.f_mul_scalar(1.0 / (2.0 * PI).sqrt())?;
    Ok([half, density])
}

/// s(βa) and s(1 − s).
fn logistic(beta: f64, a: &tch::Tensor) -> Made<[tch::Tensor; 2]> {
    let s = a.f_mul_scalar(beta)?.f_sigmoid()?;
    let slope = s.f_mul(&s.f_neg()?.f_add_scalar(1.0)?)?;
    Ok([s, slope])
}

pub(super) fn value(kind: Activation, a: &tch::Tensor) -> Made {
    match kind {
        Activation::Relu => a.f_relu(),
        Activation::Softplus { beta } => {
            let beta = f64::from(beta);
            let tail = a.f_mul_scalar(beta)?.f_abs()?.f_neg()?.f_exp()?.f_log1p()?;
            a.f_relu()?.f_add(&tail.f_mul_scalar(1.0 / beta)?)
        }
        Activation::Silu => a.f_silu(),
        Activation::Gelu => a.f_gelu("none"),
    }
}

fn derivative(kind: Activation, a: &tch::Tensor) -> Made {
    match kind {
        Activation::Relu => a.f_gt(0.0)?.f_to_kind(tch::Kind::Float),
        Activation::Softplus { beta } => a.f_mul_scalar(f64::from(beta))?.f_sigmoid(),
        Activation::Silu => {
            let [s, slope] = logistic(1.0, a)?;
            s.f_add(&a.f_mul(&slope)?)
        }
        Activation::Gelu => {
            let [distribution, density] = gaussian(a)?;
            distribution.f_add(&a.f_mul(&density)?)
        }
    }
}

fn second_derivative(kind: Activation, a: &tch::Tensor) -> Made {
    match kind {
        Activation::Relu => a.f_zeros_like(),
        Activation::Softplus { beta } => {
            let [_, slope] = logistic(f64::from(beta), a)?;
            slope.f_mul_scalar(f64::from(beta))
        }
        Activation::Silu => {
            let [s, slope] = logistic(1.0, a)?;
            let bend = s.f_mul_scalar(-2.0)?.f_add_scalar(1.0)?;
            slope.f_mul_scalar(2.0)?.f_add(&a.f_mul(&slope)?.f_mul(&bend)?)
        }
        Activation::Gelu => {
            let [_, density] = gaussian(a)?;
            a.f_square()?.f_neg()?.f_add_scalar(2.0)?.f_mul(&density)
        }
    }
}

/// g where `mask` is over zero, and 0 elsewhere.
pub(super) fn masked(g: &tch::Tensor, mask: &tch::Tensor) -> Made {
    // Not a product: an infinite g would leave NaN where there is nothing.
    mask.f_threshold_backward(g, 0.0)
}

pub(crate) fn activate(kind: Activation, a: &Tensor) -> Tensor {
    let found = || value(kind, &a.torch()?);
    surely("activate", a.shape(), found())
}

pub(crate) fn activation_pullback(kind: Activation, a: &Tensor, g: &Tensor) -> Result<Tensor> {
    let found = || match kind {
        Activation::Relu => masked(&g.torch()?, &a.torch()?),
        _ => g.torch()?.f_mul(&derivative(kind, &a.torch()?)?),
    };
    made("activation_pullback", found())
}

pub(crate) fn activation_second_order(
    kind: Activation,
    a: &Tensor,
    tangent: &Tensor,
    lambda: &Tensor,
    mu: &Tensor,
) -> Result<Tensor> {
    let found = || {
        let a = a.torch()?;
        if kind == Activation::Relu {
            return masked(&mu.torch()?, &a);
        }
        let first = derivative(kind, &a)?.f_mul(&mu.torch()?)?;
        let bend = second_derivative(kind, &a)?;
        first.f_add(&bend.f_mul(&tangent.torch()?)?.f_mul(&lambda.torch()?)?)
    };
    made("activation_second_order", found())
}

use super::{Made, made, surely};
use crate::{Result, Tensor};

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
    let sum = || match a {
        1.0 => y.torch()?.f_add(&x.torch()?),
        _ => y.torch()?.f_add(&scaled(a, x)?),
    };
    made("axpy", sum())
}

pub(crate) fn clamp(x: &Tensor, low: f32, high: f32) -> Tensor {
    let found = || x.torch()?.f_clamp(f64::from(low), f64::from(high));
    surely("clamp", x.shape(), found())
}

pub(crate) fn towards(a: &Tensor, b: &Tensor, share: f32) -> Result<Tensor> {
    let found = || {
        let a = a.torch()?;
        a.f_add(&b.torch()?.f_sub(&a)?.f_mul_scalar(f64::from(share))?)
    };
    made("towards", found())
}

pub(crate) fn running_mean(mean: &Tensor, x: &Tensor, keep: f32, take: f32) -> Result<Tensor> {
    let found = || scaled(keep, mean)?.f_add(&scaled(take, x)?);
    made("running_mean", found())
}

pub(crate) fn running_square(square: &Tensor, x: &Tensor, keep: f32, take: f32) -> Result<Tensor> {
    let found = || scaled(keep, square)?.f_add(&scaled(take, x)?.f_mul(&x.torch()?)?);
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

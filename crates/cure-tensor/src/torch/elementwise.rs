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

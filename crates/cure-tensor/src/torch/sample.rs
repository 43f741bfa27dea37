use tch::Kind;

use super::{Made, column, inner, made, read};
use crate::{Result, Tensor};

/// Σ of each row of a tensor of f64.
fn row_sums(x: &tch::Tensor) -> Made {
    match inner(x.dim()).as_slice() {
        [] => Ok(x.shallow_clone()),
        dimensions => x.f_sum_dim_intlist(dimensions, false, Kind::Double),
    }
}

fn double(x: &Tensor) -> Made {
    x.torch()?.f_to_kind(Kind::Double)
}

pub(crate) fn sample_dot(a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
    let found = || row_sums(&double(a)?.f_mul(&double(b)?)?);
    read("sample_dot", found())
}

pub(crate) fn sample_l2(x: &Tensor) -> Result<Vec<f64>> {
    let found = || row_sums(&double(x)?.f_square()?)?.f_sqrt();
    read("sample_l2", found())
}

pub(crate) fn sample_l1(x: &Tensor) -> Result<Vec<f64>> {
    let found = || row_sums(&double(x)?.f_abs()?);
    read("sample_l1", found())
}

pub(crate) fn sample_linf(x: &Tensor) -> Result<Vec<f64>> {
    let found = || {
        let x = x.torch()?.f_abs()?;
        let largest = match inner(x.dim()).as_slice() {
            [] => x,
            // The largest entry is NaN where one is.
            dimensions => x.f_amax(dimensions, false)?,
        };
        largest.f_to_kind(Kind::Double)
    };
    read("sample_linf", found())
}

pub(crate) fn scale_samples(x: &Tensor, factors: &[f32]) -> Result<Tensor> {
    let found = || {
        let x = x.torch()?;
        x.f_mul(&column(factors, x.dim())?)
    };
    made("scale_samples", found())
}

/// x/‖x‖₂ of each sample, without a way over the host.
fn unit(x: &tch::Tensor) -> Made {
    let norms = row_sums(&x.f_to_kind(Kind::Double)?.f_square()?)?.f_sqrt()?;
    let inverse = norms.f_reciprocal()?.f_to_kind(Kind::Float)?;
    let inverse = inverse.f_masked_fill(&norms.f_gt(0.0)?.f_logical_not()?, 0.0)?;
    let mut shape = vec![1; x.dim().max(1)];
    shape[0] = -1;
    x.f_mul(&inverse.f_view(shape.as_slice())?)
}

pub(crate) fn normalised(x: &Tensor) -> Result<Tensor> {
    made("normalised", x.torch().and_then(|x| unit(&x)))
}

pub(crate) fn direction_of_sign(x: &Tensor) -> Result<Tensor> {
    let found = || {
        let x = x.torch()?;
        // Neither for NaN: 0, as on the host.
        let [over, under] = [x.f_gt(0.0)?, x.f_lt(0.0)?];
        unit(&over.f_to_kind(Kind::Float)?.f_sub(&under.f_to_kind(Kind::Float)?)?)
    };
    made("direction_of_sign", found())
}

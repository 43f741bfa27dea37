use tch::Kind;

use super::doubles::{beside, column_of, numbers};
use super::{Made, error, made};
use crate::ops::ChannelSum;
use crate::{Numbers, Result, Tensor};

/// Σ over all but the first dimension, in f64; over a plane in f32 first, as on the CPU engine, for ATen sums
/// f32 in f64 by a copy of the whole tensor. What lies in memory with channels last is summed in that order:
/// the other way it takes twenty times as long.
fn total(x: &tch::Tensor) -> Made {
    match *x.size().as_slice() {
        [channels, samples, _, _] if x.stride().last() != Some(&1) => {
            let rows = x.f_permute([1, 2, 3, 0])?.f_reshape([samples, -1, channels])?;
            let of_samples = rows.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
            of_samples.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Double)
        }
        [_] => x.f_to_kind(Kind::Double),
        [_, _] => x.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double),
        _ => {
            let of_planes =
                x.f_flatten(2, -1)?.f_sum_dim_intlist([2i64].as_slice(), false, Kind::Float)?;
            of_planes.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
        }
    }
}

pub(crate) fn channel_moments(x: &Tensor) -> Result<(Numbers, Numbers)> {
    let share = 1.0 / x.shape().iter().skip(1).product::<usize>() as f64;
    let found = || {
        let x = x.torch()?;
        let mean = total(&x)?.f_mul_scalar(share)?;
        let centre = mean.f_to_kind(Kind::Float)?;
        let squares = total(&x.f_sub(&column_of(&centre, x.dim())?)?.f_square()?)?;
        // The centre was rounded to f32; the second moment about the true mean is a little less.
        let rounding = mean.f_sub(&centre)?.f_square()?;
        let variance = squares.f_mul_scalar(share)?.f_sub(&rounding)?.f_clamp_min(0.0)?;
        Ok([mean, variance])
    };
    let operation = "channel_moments";
    let [mean, variance] = found().map_err(|cause| error(operation, &cause))?;
    Ok((numbers(operation, Ok(mean))?, numbers(operation, Ok(variance))?))
}

pub(crate) fn channel_sums<const N: usize>(sums: &[ChannelSum<'_>; N]) -> Result<[Numbers; N]> {
    let found = |sum: &ChannelSum<'_>| {
        let (a, centre, b) = sum.parts();
        let a = a.torch()?;
        let centred = centre.map(|centre| a.f_sub(&beside(centre, a.dim())?)).transpose()?;
        match (centred, b) {
            (None, None) => total(&a),
            (None, Some(b)) => total(&a.f_mul(&b.torch()?)?),
            (Some(centred), None) => total(&centred),
            (Some(mut centred), Some(b)) => total(&centred.f_mul_(&b.torch()?)?),
        }
    };
    let mut results = Vec::with_capacity(N);
    for sum in sums {
        results.push(numbers("channel_sums", found(sum))?);
    }
    Ok(std::array::from_fn(|at| results[at].clone()))
}

pub(crate) fn channel_combination(
    terms: &[(&Tensor, &Numbers)],
    constant: Option<&Numbers>,
) -> Result<Tensor> {
    let found = || {
        let dimensions = terms.first().map_or(1, |(first, _)| first.shape().len());
        let mut sum = constant.map(|constant| beside(constant, dimensions)).transpose()?;
        for (tensor, coefficients) in terms {
            let (tensor, factor) = (tensor.torch()?, beside(coefficients, dimensions)?);
            sum = Some(match sum {
                Some(sum) => sum.f_addcmul(&tensor, &factor)?,
                None => tensor.f_mul(&factor)?,
            });
        }
        sum.ok_or_else(|| tch::TchError::Torch("no term".into()))
    };
    made("channel_combination", found())
}

use tch::Kind;

use super::{Made, column, inner, made, read};
use crate::ops::ChannelSum;
use crate::{Result, Tensor};

/// Σ over all but the first dimension, in f64; over a plane in f32 first, as on the CPU engine, for ATen sums
/// f32 in f64 by a copy of the whole tensor.
fn total(x: &tch::Tensor) -> Made {
    match inner(x.dim()).as_slice() {
        [] => x.f_to_kind(Kind::Double),
        [first, planes @ ..] if !planes.is_empty() => {
            let of_planes = x.f_sum_dim_intlist(planes, false, Kind::Float)?;
            of_planes.f_sum_dim_intlist([*first].as_slice(), false, Kind::Double)
        }
        dimensions => x.f_sum_dim_intlist(dimensions, false, Kind::Double),
    }
}

pub(crate) fn channel_moments(x: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
    let length = x.shape().iter().skip(1).product::<usize>() as f64;
    let sums = read("channel_moments", x.torch().and_then(|x| total(&x)))?;
    let means: Vec<f64> = sums.into_iter().map(|sum| sum / length).collect();
    let centres: Vec<f32> = means.iter().map(|&mean| mean as f32).collect();
    let squares = || {
        let x = x.torch()?;
        total(&x.f_sub(&column(&centres, x.dim())?)?.f_square()?)
    };
    let squares = read("channel_moments", squares())?;
    // The centre was rounded to f32; the second moment about the true mean is a little less.
    let variance = |((mean, centre), square): ((&f64, &f32), f64)| {
        (square / length - (mean - f64::from(*centre)).powi(2)).max(0.0)
    };
    let variances = means.iter().zip(&centres).zip(squares).map(variance).collect();
    Ok((means, variances))
}

pub(crate) fn channel_sums<const N: usize>(sums: &[ChannelSum<'_>; N]) -> Result<[Vec<f64>; N]> {
    let found = |sum: &ChannelSum<'_>| {
        let (a, centre, b) = sum.parts();
        let a = a.torch()?;
        let centred = centre.map(|centre| a.f_sub(&column(centre, a.dim())?)).transpose()?;
        match (centred, b) {
            (None, None) => total(&a),
            (None, Some(b)) => total(&a.f_mul(&b.torch()?)?),
            (Some(centred), None) => total(&centred),
            (Some(mut centred), Some(b)) => total(&centred.f_mul_(&b.torch()?)?),
        }
    };
    let mut results = [const { Vec::new() }; N];
    for (result, sum) in results.iter_mut().zip(sums) {
        *result = read("channel_sums", found(sum))?;
    }
    Ok(results)
}

pub(crate) fn channel_combination(terms: &[(&Tensor, &[f32])], constant: &[f32]) -> Result<Tensor> {
    let found = || {
        let dimensions = terms.first().map_or(1, |(first, _)| first.shape().len());
        let mut sum = column(constant, dimensions)?;
        for (tensor, coefficients) in terms {
            sum = sum.f_addcmul(&tensor.torch()?, &column(coefficients, dimensions)?)?;
        }
        Ok(sum)
    };
    made("channel_combination", found())
}

//! Per-sample operations on sample-major tensors (`[N, …]`): norms, directions, steps.

use super::parallel::{map, over_rows};
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

fn rows(operation: &'static str, x: &Tensor) -> Result<(usize, usize)> {
    match x.shape() {
        [count, rest @ ..] => Ok((*count, rest.iter().product())),
        [] => Err(TensorError::shape(operation, "[N, …]", x.shape())),
    }
}

fn reduce(
    operation: &'static str,
    x: &Tensor,
    f: impl Fn(&[f32]) -> f64 + Sync,
) -> Result<Vec<f64>> {
    let (count, length) = rows(operation, x)?;
    let values = x.cpu();
    Ok(map((0..count).collect(), |row: usize| f(&values[row * length..(row + 1) * length])))
}

/// ⟨a, b⟩ of each sample, accumulated in `f64`.
///
/// # Errors
/// If the shapes differ.
pub fn sample_dot(a: &Tensor, b: &Tensor) -> Result<Vec<f64>> {
    let _running = crate::meter::operation("sample_dot");
    let (count, length) = rows("sample_dot", a)?;
    if a.shape() != b.shape() {
        return Err(TensorError::shape("sample_dot", format!("{:?}", a.shape()), b.shape()));
    }
    on_torch!(sample_dot(a, b));
    let (left, right) = (a.cpu(), b.cpu());
    let dot = |row: usize| {
        let range = row * length..(row + 1) * length;
        let pairs = left[range.clone()].iter().zip(&right[range]);
        pairs.map(|(&l, &r)| f64::from(l) * f64::from(r)).sum()
    };
    Ok(map((0..count).collect(), dot))
}

/// ‖x‖₂ of each sample.
///
/// # Errors
/// If `x` has no sample dimension.
pub fn sample_l2(x: &Tensor) -> Result<Vec<f64>> {
    let _running = crate::meter::operation("sample_l2");
    rows("sample_l2", x)?;
    on_torch!(sample_l2(x));
    reduce("sample_l2", x, |row| {
        row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
    })
}

/// ‖x‖₁ of each sample.
///
/// # Errors
/// If `x` has no sample dimension.
pub fn sample_l1(x: &Tensor) -> Result<Vec<f64>> {
    let _running = crate::meter::operation("sample_l1");
    rows("sample_l1", x)?;
    on_torch!(sample_l1(x));
    reduce("sample_l1", x, |row| row.iter().map(|&value| f64::from(value.abs())).sum())
}

/// ‖x‖∞ of each sample; NaN if the sample holds one.
///
/// # Errors
/// If `x` has no sample dimension.
pub fn sample_linf(x: &Tensor) -> Result<Vec<f64>> {
    let _running = crate::meter::operation("sample_linf");
    rows("sample_linf", x)?;
    on_torch!(sample_linf(x));
    // Without their sign, the bits of numbers are in the order of the numbers, and NaN's after all of them: NaN wins.
    let size = |value: &f32| value.to_bits() & !(1 << 31);
    reduce("sample_linf", x, |row| {
        f64::from(f32::from_bits(row.iter().map(size).max().unwrap_or(0)))
    })
}

/// `factors[n] · x[n]`.
///
/// # Errors
/// If the number of factors is not the number of samples.
pub fn scale_samples(x: &Tensor, factors: &[f32]) -> Result<Tensor> {
    let _running = crate::meter::operation("scale_samples");
    let (count, length) = rows("scale_samples", x)?;
    if factors.len() != count {
        return Err(TensorError::shape(
            "scale_samples",
            format!("[{count}] factors"),
            &[factors.len()],
        ));
    }
    on_torch!(scale_samples(x, factors));
    let values = x.cpu();
    let mut output = Buffer::stale(values.len());
    over_rows(&mut output, length, |row, out| {
        let factor = factors[row];
        for (out, &value) in out.iter_mut().zip(&values[row * length..]) {
            *out = factor * value;
        }
    });
    Ok(Tensor::trusted(x.shape(), output))
}

/// x/‖x‖₂ of each sample; a zero sample stays zero.
///
/// # Errors
/// If `x` has no sample dimension.
pub fn normalised(x: &Tensor) -> Result<Tensor> {
    rows("normalised", x)?;
    on_torch!(normalised(x));
    let factors: Vec<f32> = sample_l2(x)?
        .into_iter()
        .map(|norm| if norm > 0.0 { (1.0 / norm) as f32 } else { 0.0 })
        .collect();
    scale_samples(x, &factors)
}

/// sign(x)/‖sign(x)‖₂ of each sample with sign(0) = 0: the direction z of the paper's section 4.
/// A zero sample stays zero.
///
/// # Errors
/// If `x` has no sample dimension.
pub fn direction_of_sign(x: &Tensor) -> Result<Tensor> {
    rows("direction_of_sign", x)?;
    on_torch!(direction_of_sign(x));
    let sign = |value: f32| {
        if value > 0.0 {
            1.0
        } else if value < 0.0 {
            -1.0
        } else {
            0.0
        }
    };
    normalised(&super::map(x.clone(), sign))
}

/// `x[n] + factors[n]·v[n]`.
///
/// # Errors
/// If shapes or lengths differ.
pub fn perturb(x: &Tensor, v: &Tensor, factors: &[f32]) -> Result<Tensor> {
    let _running = crate::meter::operation("perturb");
    super::add(scale_samples(v, factors)?, x)
}

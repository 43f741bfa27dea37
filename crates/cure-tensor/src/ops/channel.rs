//! Per-channel statistics and per-channel linear combinations of channel-major activations
//! (`[C, …]`): all that batch normalisation, in any mode and to any order, is made of.

use super::machine::vectorised;
use super::parallel::{map, over_pieces};
use crate::buffer::Buffer;
use crate::{Numbers, Result, Tensor, TensorError};

/// Lanes of the partial sums: one AVX-512 register, fixed on every machine so that all agree.
const LANES: usize = 16;
/// Length of the runs that are summed in `f32` before they are added up in `f64`.
const RUN: usize = 4096;

/// Σ f(a, b) over two slices of one length, as partial sums in a fixed pattern.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    let mut total = 0.0f64;
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        let (a_blocks, a_rest) = a.as_chunks::<LANES>();
        let (b_blocks, b_rest) = b.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for (a, b) in a_blocks.iter().zip(b_blocks) {
            for lane in 0..LANES {
                lanes[lane] += f(a[lane], b[lane]);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f(a, b)).sum();
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest);
    }
    total
}

fn channels(operation: &'static str, x: &Tensor) -> Result<(usize, usize)> {
    match x.shape() {
        [channels, rest @ ..] => Ok((*channels, rest.iter().product())),
        [] => Err(TensorError::shape(operation, "[C, …]", x.shape())),
    }
}

/// Mean and biased variance of each channel, in `f64`; two passes over memory still in cache.
///
/// # Shapes
/// `x`: `[C, …]`; the results have `C` entries.
///
/// # Errors
/// If `x` has no channel dimension.
pub fn channel_moments(x: &Tensor) -> Result<(Numbers, Numbers)> {
    let _running = crate::meter::operation("channel_moments");
    let (count, length) = channels("channel_moments", x)?;
    on_torch!(channel_moments(x));
    let values = x.cpu();
    let moments = |channel: usize| {
        let row = &values[channel * length..(channel + 1) * length];
        let mean = vectorised(|| sum(row, row, |x, _| x)) / length as f64;
        let centre = mean as f32;
        let squares =
            vectorised(|| sum(row, row, |x, _| (x - centre) * (x - centre))) / length as f64;
        // The centre was rounded to f32; the second moment about the true mean is a little less.
        (mean, (squares - (mean - f64::from(centre)).powi(2)).max(0.0))
    };
    let (means, variances) = map((0..count).collect(), moments).into_iter().unzip();
    Ok((Numbers::new(means), Numbers::new(variances)))
}

/// What is summed over each channel: (a − centre)·b, with 0 for the centre and 1 for b where there is
/// none. The centre is subtracted before the product: a mean that is large beside the deviation costs
/// no digits.
#[derive(Clone, Copy)]
pub struct ChannelSum<'a> {
    a: &'a Tensor,
    centre: Option<&'a Numbers>,
    b: Option<&'a Tensor>,
}

impl<'a> ChannelSum<'a> {
    /// Of a, `[C, …]`.
    pub fn of(a: &'a Tensor) -> Self {
        Self { a, centre: None, b: None }
    }

    /// With a − centre for a, the centre rounded to single precision; it has `C` entries.
    pub fn about(self, centre: &'a Numbers) -> Self {
        Self { centre: Some(centre), ..self }
    }

    /// Of the product with b, of the shape of a.
    pub fn times(self, b: &'a Tensor) -> Self {
        Self { b: Some(b), ..self }
    }

    /// a, the centre and b.
    #[cfg(feature = "libtorch")]
    pub(crate) fn parts(&self) -> (&'a Tensor, Option<&'a Numbers>, Option<&'a Tensor>) {
        (self.a, self.centre, self.b)
    }

    fn check(&self, shape: &[usize], count: usize) -> Result<()> {
        let operation = "channel_sums";
        let mut tensors = [Some(self.a), self.b].into_iter().flatten();
        if let Some(other) = tensors.find(|tensor| tensor.shape() != shape) {
            return Err(TensorError::shape(operation, format!("{shape:?}"), other.shape()));
        }
        self.centre.map_or(Ok(()), |centre| centre.check(operation, count))
    }
}

/// Several sums over each channel, in one way through memory: what they read is read once. Each has the
/// bits that it has alone.
///
/// # Shapes
/// All tensors `[C, …]`, alike; centres and results have `C` entries.
///
/// # Errors
/// If the shapes differ.
pub fn channel_sums<const N: usize>(sums: [ChannelSum<'_>; N]) -> Result<[Numbers; N]> {
    let _running = crate::meter::operation("channel_sums");
    let Some(first) = sums.first() else {
        return Ok(std::array::from_fn(|_| Numbers::new(vec![])));
    };
    let (count, length) = channels("channel_sums", first.a)?;
    for sum in &sums {
        sum.check(first.a.shape(), count)?;
    }
    on_torch!(channel_sums(&sums));
    let centres: [Vec<f32>; N] =
        std::array::from_fn(|sum| sums[sum].centre.map(Numbers::single).unwrap_or_default());
    let one = |channel: usize| {
        let mut totals = [0.0; N];
        for start in (0..length).step_by(RUN) {
            let run = channel * length + start..channel * length + (start + RUN).min(length);
            for ((total, one), centres) in totals.iter_mut().zip(&sums).zip(&centres) {
                let left = &one.a.cpu()[run.clone()];
                let centre = centres.get(channel).copied().unwrap_or(0.0);
                *total += match one.b {
                    None => vectorised(|| sum(left, left, |a, _| a - centre)),
                    Some(b) => {
                        let right = &b.cpu()[run.clone()];
                        vectorised(|| sum(left, right, |a, b| (a - centre) * b))
                    }
                };
            }
        }
        totals
    };
    let rows: Vec<[f64; N]> = map((0..count).collect(), one);
    Ok(std::array::from_fn(|sum| Numbers::new(rows.iter().map(|row| row[sum]).collect())))
}

/// `Σᵢ cᵢ[channel]·tᵢ + constant[channel]`, all rounded to single precision first; without a constant it is 0.
///
/// # Shapes
/// Each tensor `[C, …]`, alike; coefficients and the constant have `C` entries each.
///
/// # Errors
/// If there is no term, or shapes or lengths differ.
pub fn channel_combination(
    terms: &[(&Tensor, &Numbers)],
    constant: Option<&Numbers>,
) -> Result<Tensor> {
    let _running = crate::meter::operation("channel_combination");
    let operation = "channel_combination";
    let Some((first, _)) = terms.first() else {
        return Err(TensorError::shape(operation, "at least one term", &[]));
    };
    let (count, length) = channels(operation, first)?;
    for (tensor, coefficients) in terms {
        if tensor.shape() != first.shape() {
            return Err(TensorError::shape(
                operation,
                format!("{:?}", first.shape()),
                tensor.shape(),
            ));
        }
        coefficients.check(operation, count)?;
    }
    constant.map_or(Ok(()), |constant| constant.check(operation, count))?;
    on_torch!(channel_combination(terms, constant));
    let coefficients: Vec<Vec<f32>> = terms.iter().map(|(_, c)| c.single()).collect();
    let terms: Vec<(&Tensor, &[f32])> =
        terms.iter().zip(&coefficients).map(|(&(tensor, _), c)| (tensor, c.as_slice())).collect();
    let constant = constant.map_or_else(|| vec![0.0; count], Numbers::single);
    let mut output = Buffer::stale(first.len());
    over_pieces(&mut output, |offset, piece| {
        let mut done = 0;
        while done < piece.len() {
            let channel = (offset + done) / length;
            let end = ((channel + 1) * length - offset).min(piece.len());
            let out = &mut piece[done..end];
            let at = offset + done..offset + end;
            combine(out, at, &terms, channel, constant[channel]);
            done = end;
        }
    });
    Ok(Tensor::trusted(first.shape(), output))
}

fn combine(
    out: &mut [f32],
    at: std::ops::Range<usize>,
    terms: &[(&Tensor, &[f32])],
    channel: usize,
    constant: f32,
) {
    match terms {
        [(a, ca)] => {
            let (a, ca) = (&a.cpu()[at], ca[channel]);
            for (out, &a) in out.iter_mut().zip(a) {
                *out = ca * a + constant;
            }
        }
        [(a, ca), (b, cb)] => {
            let (a, b) = (&a.cpu()[at.clone()], &b.cpu()[at]);
            let (ca, cb) = (ca[channel], cb[channel]);
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = ca * a + cb * b + constant;
            }
        }
        _ => {
            out.fill(constant);
            for (tensor, coefficients) in terms {
                let coefficient = coefficients[channel];
                for (out, &value) in out.iter_mut().zip(&tensor.cpu()[at.clone()]) {
                    *out += coefficient * value;
                }
            }
        }
    }
}

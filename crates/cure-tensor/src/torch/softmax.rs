use tch::Kind;

use super::doubles::numbers;
use super::{Made, error, made, upload};
use crate::ops::CrossEntropy;
use crate::{Result, Tensor};

/// p of each row, in f64.
fn probabilities(logits: &Tensor) -> Made {
    logits.torch()?.f_softmax(-1, Kind::Double)
}

pub(crate) fn softmax(logits: &Tensor) -> Result<Tensor> {
    let found = || probabilities(logits)?.f_to_kind(Kind::Float);
    made("softmax", found())
}

/// Labels are checked by the caller.
pub(crate) fn cross_entropy(logits: &Tensor, labels: &[usize]) -> Result<CrossEntropy> {
    let found = || -> Made<[tch::Tensor; 3]> {
        let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
        let labels = upload(&labels)?.f_view([-1, 1])?;
        let logits = logits.torch()?;
        let losses =
            logits.f_log_softmax(-1, Kind::Double)?.f_gather(1, &labels, false)?.f_neg()?;
        let p = logits.f_softmax(-1, Kind::Double)?;
        // 1 − p_y as the sum of the others: exact where p_y rounds to 1.
        let others = p.f_scatter(1, &labels, &labels.f_zeros_like()?.f_to_kind(Kind::Double)?)?;
        let own = others.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?.f_neg()?;
        let residual = others.f_scatter(1, &labels, &own)?.f_to_kind(Kind::Float)?;
        Ok([losses, residual, p.f_to_kind(Kind::Float)?])
    };
    let operation = "cross_entropy";
    let [losses, residual, p] = found().map_err(|cause| error(operation, &cause))?;
    Ok(CrossEntropy {
        losses: numbers(operation, losses.f_view(-1))?,
        residual: made(operation, Ok(residual))?,
        probabilities: made(operation, Ok(p))?,
    })
}

pub(crate) fn softmax_covariance(probabilities: &Tensor, v: &Tensor) -> Result<Tensor> {
    let found = || {
        let p = probabilities.torch()?.f_to_kind(Kind::Double)?;
        let v = v.torch()?.f_to_kind(Kind::Double)?;
        // As on the host: no term with the likeliest class's probability, which may round to 1.
        let likeliest = p.f_argmax(1, true)?;
        let v = v.f_sub(&v.f_gather(1, &likeliest, false)?)?;
        let mean = p.f_mul(&v)?.f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
        p.f_mul(&v.f_sub(&mean)?)?.f_to_kind(Kind::Float)
    };
    made("softmax_covariance", found())
}

//! Softmax, cross-entropy and its two derivatives with respect to the logits. Logits are
//! sample-major, `[N, K]`, and few: plain loops in `f64`, rounded once.

use crate::{Numbers, Result, Tensor, TensorError};

/// The cross-entropy of a batch and what its derivatives need.
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    /// ℓ of each sample, in nats.
    pub losses: Numbers,
    /// p − y, the gradient of each sample's ℓ with respect to its logits: `[N, K]`.
    pub residual: Tensor,
    /// p, the class probabilities: `[N, K]`.
    pub probabilities: Tensor,
}

fn probabilities_into(logits: &[f32], out: &mut [f64]) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (out, &logit) in out.iter_mut().zip(logits) {
        *out = f64::from(logit - most).exp();
        total += *out;
    }
    out.iter_mut().for_each(|p| *p /= total);
    f64::from(most) + total.ln()
}

/// exp(oₖ)/Σ exp(oⱼ) of each row.
///
/// # Errors
/// If `logits` is not `[N, K]`.
pub fn softmax(logits: &Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("softmax");
    let [n, k] = logits.dims("softmax", "[N, K]")?;
    on_torch!(softmax(logits));
    let mut output = Vec::with_capacity(n * k);
    let mut row = vec![0.0; k];
    for logits in logits.cpu().chunks_exact(k.max(1)) {
        probabilities_into(logits, &mut row);
        output.extend(row.iter().map(|&p| p as f32));
    }
    Tensor::new(&[n, k], output)
}

/// ℓ = −log softmax(o)_y of each sample, with p − y and p.
///
/// # Shapes
/// `logits`: `[N, K]`; `labels`: `N` entries below `K`.
///
/// # Errors
/// If the shapes differ or a label is not below `K`.
pub fn cross_entropy(logits: &Tensor, labels: &[usize]) -> Result<CrossEntropy> {
    let _running = crate::meter::operation("cross_entropy");
    let [n, k] = logits.dims("cross_entropy", "[N, K]")?;
    if labels.len() != n {
        return Err(TensorError::shape("cross_entropy", format!("[{n}] labels"), &[labels.len()]));
    }
    if let Some(label) = labels.iter().find(|&&label| label >= k) {
        return Err(TensorError::Argument {
            operation: "cross_entropy",
            argument: "label",
            value: label.to_string(),
            accepted: format!("0..{k}"),
        });
    }
    on_torch!(cross_entropy(logits, labels));
    let (mut losses, mut row) = (Vec::with_capacity(n), vec![0.0; k]);
    let (mut residual, mut probabilities) = (Vec::with_capacity(n * k), Vec::with_capacity(n * k));
    for (logits, &label) in logits.cpu().chunks_exact(k).zip(labels) {
        let log_sum = probabilities_into(logits, &mut row);
        losses.push(log_sum - f64::from(logits[label]));
        probabilities.extend(row.iter().map(|&p| p as f32));
        // 1 − p_y as the sum of the others: exact where p_y rounds to 1.
        let others: f64 =
            row.iter().enumerate().filter(|&(class, _)| class != label).map(|(_, p)| p).sum();
        residual.extend(
            row.iter()
                .enumerate()
                .map(|(class, &p)| if class == label { -others as f32 } else { p as f32 }),
        );
    }
    Ok(CrossEntropy {
        losses: Numbers::new(losses),
        residual: Tensor::new(&[n, k], residual)?,
        probabilities: Tensor::new(&[n, k], probabilities)?,
    })
}

/// (diag p − ppᵀ)·v of each row: the Hessian of the cross-entropy with respect to the logits
/// applied to `v`.
///
/// # Shapes
/// Both `[N, K]`.
///
/// # Errors
/// If the shapes differ.
pub fn softmax_covariance(probabilities: &Tensor, v: &Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("softmax_covariance");
    let [n, k] = probabilities.dims("softmax_covariance", "[N, K]")?;
    if v.shape() != [n, k] {
        return Err(TensorError::shape("softmax_covariance", format!("[{n}, {k}]"), v.shape()));
    }
    on_torch!(softmax_covariance(probabilities, v));
    let mut output = Vec::with_capacity(n * k);
    for (p, v) in probabilities.cpu().chunks_exact(k.max(1)).zip(v.cpu().chunks_exact(k.max(1))) {
        // The covariance does not see a constant added to v. Taking away the likeliest class's
        // entry leaves no term with its probability, which rounds to 1 where the network is sure.
        let likeliest = (0..k).fold(0, |best, class| if p[class] > p[best] { class } else { best });
        let reference = f64::from(v[likeliest]);
        let v = v.iter().map(|&v| f64::from(v) - reference);
        let mean: f64 = p.iter().zip(v.clone()).map(|(&p, v)| f64::from(p) * v).sum();
        output.extend(p.iter().zip(v).map(|(&p, v)| (f64::from(p) * (v - mean)) as f32));
    }
    Tensor::new(&[n, k], output)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A network this sure has a probability that single precision calls 1; neither derivative of
    /// the cross-entropy may lose the label's entry for it.
    #[test]
    fn derivatives_are_exact_where_the_network_is_sure() {
        let (logits, v) = ([20.0f64, 0.0, -1.0], [1.0f32, 0.3, -0.5]);
        let total: f64 = logits.iter().map(|o| o.exp()).sum();
        let p = logits.map(|o| o.exp() / total);
        let logits = Tensor::new(&[1, 3], logits.map(|o| o as f32).to_vec()).unwrap();
        let found = cross_entropy(&logits, &[0]).unwrap();
        let direction = Tensor::new(&[1, 3], v.to_vec()).unwrap();
        let covariance = softmax_covariance(&found.probabilities, &direction).unwrap();
        for class in 0..3 {
            // As sums over the other classes nothing cancels.
            let others = || (0..3).filter(|&other| other != class);
            let residual = if class == 0 { -others().map(|o| p[o]).sum::<f64>() } else { p[class] };
            let product: f64 = others().map(|o| p[class] * p[o] * f64::from(v[class] - v[o])).sum();
            let close = |found: f32, expected: f64| {
                let error = (f64::from(found) - expected).abs();
                assert!(error < 1e-6 * expected.abs(), "{found:e} for {expected:e}");
            };
            close(found.residual.host()[class], residual);
            close(covariance.host()[class], product);
        }
    }
}

//! Derivatives against each other, against differences and against a Hessian that is known in closed form.

use cure_geometry::{Exact, Losses, curvature_profile};
use cure_network::{Architecture, Classifier, Network, Normalization};
use cure_tensor::{Tensor, ops};
use cure_training::{CureOptions, Direction, EpochValues, Objective, SampleStreams};

use super::planted::ALL;
use super::{Finding, apart, dot, noises};
use crate::failure::{Blame, Outcome};

const SAMPLES: usize = 4;
const LABELS: [usize; SAMPLES] = [3, 0, 7, 5];
const INPUT: [usize; 3] = [3, 16, 16];

fn images(seed: usize) -> Outcome<Tensor> {
    Tensor::new(&[SAMPLES, 3, 16, 16], noises(seed, SAMPLES * 3 * 256)).failed()
}

/// Noise about 0.
fn direction(seed: usize) -> Outcome<Tensor> {
    Ok(ops::map(images(seed)?, |value| value - 0.5))
}

fn network(name: &str) -> Outcome<Network> {
    let architecture = Architecture::named(name, 10, INPUT).failed()?;
    let normalization = Normalization::parse("cifar10", 3).failed()?;
    Network::random(architecture, normalization, 11).failed()
}

/// ⟨u, Jv⟩ = ⟨Jᵀu, v⟩, of every architecture that has something of its own, and Jv as the central difference of logits.
pub(super) fn jacobians() -> Outcome<Finding> {
    const STEP: f32 = 1e-3;
    let (mut transposed, mut differences): (f64, f64) = (0.0, 0.0);
    for name in ["cnn+gelu", "resnet8", "resnet8-conv", "preact18", "wrn-10-1"] {
        let network = network(name)?;
        let network = network.frozen().failed()?;
        let (x, v) = (images(1)?, direction(3)?);
        let pass = Classifier::linearize(&network, &x).failed()?;
        let jv = pass.pushforward(&v).failed()?;
        // Along Jv itself, so that the product is as large as it can be.
        let back = pass.pullback(&jv).failed()?;
        let square = dot(&jv.host(), &jv.host());
        if square.is_nan() || square <= 0.0 {
            return Ok(Finding { holds: false, words: format!("Jv of {name} is {square}") });
        }
        transposed = transposed.max(apart(dot(&back.host(), &v.host()), square, square));
        let at = |step: f32| {
            let moved = ops::axpy(step, &v, x.clone()).failed()?;
            network.logits(&moved).failed()
        };
        let between = ops::axpy(-1.0, &at(-STEP)?, at(STEP)?).failed()?;
        let off = ops::axpy(-1.0, &jv, ops::scale(0.5 / STEP, between)).failed()?;
        differences = differences.max((dot(&off.host(), &off.host()) / square).sqrt());
    }
    // A step of a piecewise linear network crosses a few of its pieces.
    Ok(Finding {
        holds: transposed <= 1e-4 && differences <= 1e-1,
        words: format!(
            "⟨u, Jv⟩ and ⟨Jᵀu, v⟩: {transposed:.1e} apart; Jv and differences of logits: {differences:.1e}"
        ),
    })
}

/// ⟨Hv, w⟩ = ⟨v, Hw⟩ on a smooth network, and Hv as the central difference of gradients.
pub(super) fn hessians() -> Outcome<Finding> {
    const STEP: f32 = 2e-3;
    let network = network("cnn+softplus=5")?;
    let network = network.frozen().failed()?;
    let (x, v, w) = (images(1)?, direction(2)?, direction(3)?);
    let pass = Classifier::linearize(&network, &x).failed()?;
    let (hv, hw) =
        (pass.hessian_vector(&LABELS, &v).failed()?, pass.hessian_vector(&LABELS, &w).failed()?);
    let size = (dot(&hv.host(), &hv.host()) * dot(&w.host(), &w.host())).sqrt();
    let symmetric = apart(dot(&hv.host(), &w.host()), dot(&v.host(), &hw.host()), size);
    let gradient = |step: f32| -> Outcome<Tensor> {
        let at = ops::axpy(step, &v, x.clone()).failed()?;
        let pass = Classifier::linearize(&network, &at).failed()?;
        let loss = ops::cross_entropy(pass.logits(), &LABELS).failed()?;
        pass.pullback(&loss.residual).failed()
    };
    let (after, before) = (gradient(STEP)?, gradient(-STEP)?);
    let difference = ops::scale(0.5 / STEP, ops::axpy(-1.0, &before, after).failed()?);
    let off = ops::axpy(-1.0, &hv, difference).failed()?;
    let share = (dot(&off.host(), &off.host()) / dot(&hv.host(), &hv.host())).sqrt();
    // Differences of f32 gradients are good to three digits.
    let [symmetric_to, near_to] = [1e-5, 5e-3];
    Ok(Finding {
        holds: symmetric <= symmetric_to && share <= near_to,
        words: format!(
            "⟨Hv, w⟩ and ⟨v, Hw⟩: {symmetric:.1e} apart; Hv and differences of gradients: {share:.1e}"
        ),
    })
}

/// The whole spectrum of a linear network's loss: H = Wᵀ(diag p − ppᵀ)W, whose eigenvalues that are not 0 are those of
/// the small matrix A = S·WWᵀ with S = diag p − ppᵀ. Its trace and the trace of its square are sums.
pub(super) fn curvature() -> Outcome<Finding> {
    let network = super::planted::linear(&ALL)?;
    let frozen = network.frozen().failed()?;
    let image = Tensor::new(&[1, 1, 8, 8], noises(5, 64)).failed()?;
    let losses = Losses::new(&frozen, image.clone(), vec![3], &[1.0], 1).failed()?;
    let mut operator = Exact::new(&losses);
    let found = curvature_profile(&mut operator, &[0], |_, _| true).failed()?;
    let Some(Some(profile)) = found.into_iter().next() else {
        return Ok(Finding { holds: false, words: "no profile was found".into() });
    };
    let logits = frozen.logits(&image).failed()?;
    let p: Vec<f64> = {
        let row: Vec<f64> = logits.host().iter().map(|&z| f64::from(z)).collect();
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|z| (z - most).exp()).sum();
        row.iter().map(|z| (z - most).exp() / sum).collect()
    };
    let weights = network.tensors()[0].host().into_owned();
    let rows: Vec<&[f32]> = weights.chunks_exact(64).collect();
    let k = rows.len();
    let s = |i: usize, j: usize| if i == j { p[i] - p[i] * p[j] } else { -p[i] * p[j] };
    let a: Vec<Vec<f64>> = (0..k)
        .map(|i| (0..k).map(|j| (0..k).map(|m| s(i, m) * dot(rows[m], rows[j])).sum()).collect())
        .collect();
    let trace: f64 = (0..k).map(|i| a[i][i]).sum();
    let square: f64 = (0..k).map(|i| (0..k).map(|j| a[i][j] * a[j][i]).sum::<f64>()).sum();
    let found_trace: f64 = profile.eigenvalues.iter().sum();
    let found_square: f64 = profile.eigenvalues.iter().map(|value| value * value).sum();
    let error = apart(found_trace, trace, trace).max(apart(found_square, square, square));
    Ok(Finding::near("trace and Frobenius norm of Wᵀ(diag p − ppᵀ)W", error, 1e-5))
}

/// The parameters' gradient of ℓ + γ·L_r against central differences in θ. z is drawn and does not depend on θ,
/// so that what is constant in the gradient is constant in the differences.
pub(super) fn cure() -> Outcome<Finding> {
    const AT: EpochValues = EpochValues { h: 0.5, gamma: 300.0 };
    const DISTANCE: f64 = 4e-3;
    let network = network("cnn+softplus=5")?;
    let options = CureOptions { direction: Direction::Gaussian, ..CureOptions::default() };
    let objective = Objective::Cure(options);
    let indices: Vec<usize> = (0..SAMPLES).collect();
    let images = images(1)?;
    let step = |network: &Network| {
        let streams = SampleStreams { seed: 0, epoch: 0, indices: &indices };
        objective.step(&mut network.clone(), &images, &LABELS, &AT, &streams).failed()
    };
    let found = step(&network)?;
    let shares = [found.loss, AT.gamma * found.regularizer].map(|sum| sum / SAMPLES as f64);
    let gradients = found.gradients;
    // Half along the gradient, half along a direction that has nothing to do with it: what is missing in the gradient is
    // then missing in the product.
    let mut directions = Vec::new();
    let mut product = 0.0;
    for (position, spec) in network.parameters().iter().enumerate() {
        let Some(gradient) = &gradients.tensors()[position] else {
            if spec.role.is_trained() {
                return Ok(Finding {
                    holds: false,
                    words: format!("{} has no gradient", spec.name),
                });
            }
            directions.push(None);
            continue;
        };
        let size = dot(&gradient.host(), &gradient.host()).sqrt();
        let noise: Vec<f32> = noises(position, gradient.len()).iter().map(|x| x - 0.5).collect();
        let noise = Tensor::new(gradient.shape(), noise).failed()?;
        let share = (size / dot(&noise.host(), &noise.host()).sqrt().max(1e-12)) as f32;
        let direction = ops::axpy(share, &noise, gradient.clone()).failed()?;
        product += dot(&direction.host(), &gradient.host());
        directions.push(Some(direction));
    }
    let length = gradients.norm();
    let value = |distance: f64| -> Outcome<f64> {
        let mut moved = network.clone();
        for (position, direction) in directions.iter().enumerate() {
            let Some(direction) = direction else { continue };
            let from = moved.tensors()[position].clone();
            let to = ops::axpy((distance / length) as f32, direction, from).failed()?;
            moved.set_tensor(position, to).failed()?;
        }
        Ok(step(&moved)?.objective / SAMPLES as f64)
    };
    let difference = |distance: f64| -> Outcome<f64> {
        Ok((value(distance)? - value(-distance)?) / (2.0 * distance))
    };
    let expected = product / length;
    // Richardson's combination of two.
    let derivative = (4.0 * difference(DISTANCE)? - difference(2.0 * DISTANCE)?) / 3.0;
    let [loss, regularizer] = shares;
    let what =
        format!("of ℓ = {loss:.2} and γ·L_r = {regularizer:.2}, by products and by differences");
    Ok(Finding::near(&what, apart(derivative, expected, expected), 1e-3))
}

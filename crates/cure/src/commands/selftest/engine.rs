//! The engine's heaviest operations against naive sums, and that neither threads nor repetition change a bit.

use cure_data::{DataSpec, Split};
use cure_network::{Architecture, Classifier, Network, Normalization};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Epilogue, Kernel, Window};
use cure_training::{EpochValues, Objective, Optimizer, OptimizerOptions, SampleStreams};

use super::{Finding, noises};
use crate::failure::{Blame, Outcome};

/// Channels in and out, side, kernel, stride and padding: 3×3 of stride 1 and 2, which have ways of their own, and
/// others.
const SHAPES: [[usize; 6]; 5] = [
    [8, 16, 12, 3, 1, 1],
    [8, 16, 12, 3, 2, 1],
    [6, 5, 9, 1, 2, 0],
    [3, 7, 11, 5, 1, 2],
    [16, 16, 8, 3, 1, 1],
];
const SAMPLES: usize = 3;

pub(super) fn convolutions() -> Outcome<Finding> {
    let mut worst: f64 = 0.0;
    for (seed, &[inner, outer, side, size, stride, padding]) in SHAPES.iter().enumerate() {
        let x = noises(3 * seed, inner * SAMPLES * side * side);
        let w = noises(3 * seed + 1, outer * inner * size * size);
        let (window, plain) = (
            Window::new(stride, padding),
            naive(&x, &w, [inner, outer, side, size, stride, padding]),
        );
        let images = Tensor::new(&[inner, SAMPLES, side, side], x.clone()).failed()?;
        let kernel = Kernel::new(Tensor::new(&[outer, inner, size, size], w).failed()?);
        let found = ops::convolution(&images, &kernel, window, Epilogue::default()).failed()?;
        worst = worst.max(difference(&found.host(), &plain));
        // Its two transposes by what they are: ⟨g, w ⋆ x⟩ = ⟨x, Wᵀg⟩ = ⟨w, ∂⟩.
        let g = noises(3 * seed + 2, found.len());
        let product: f64 = g.iter().zip(&plain).map(|(&g, &y)| f64::from(g) * y).sum();
        let g = Tensor::new(found.shape(), g).failed()?;
        let back =
            ops::convolution_input_gradient(&g, &kernel, window, [side, side], Epilogue::default())
                .failed()?;
        let weights =
            ops::convolution_weight_gradient(&[(&images, &g)], kernel.shape(), window).failed()?;
        let of_images = super::dot(&x, &back.host());
        let of_weights = super::dot(&noises(3 * seed + 1, weights.len()), &weights.host());
        for other in [of_images, of_weights] {
            worst = worst.max(super::apart(other, product, product));
        }
    }
    Ok(Finding::near("naive sums in f64", worst, 1e-5))
}

/// The largest difference as a share of the largest value.
fn difference(found: &[f32], expected: &[f64]) -> f64 {
    let size = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let most = found.iter().zip(expected).map(|(&a, &b)| (f64::from(a) - b).abs());
    // NaN must not be lost.
    most.fold(0.0, |most, apart| if apart <= most { most } else { apart }) / size
}

fn naive(
    x: &[f32],
    w: &[f32],
    [inner, outer, side, size, stride, padding]: [usize; 6],
) -> Vec<f64> {
    let out = (side + 2 * padding - size) / stride + 1;
    let mut sums = vec![0.0; outer * SAMPLES * out * out];
    for (place, sum) in sums.iter_mut().enumerate() {
        let [column, row] = [place % out, place / out % out];
        let [sample, channel] = [place / (out * out) % SAMPLES, place / (out * out * SAMPLES)];
        for from in 0..inner {
            for tap in 0..size * size {
                let (down, along) = (row * stride + tap / size, column * stride + tap % size);
                let inside = |at: usize| (padding..side + padding).contains(&at);
                if inside(down) && inside(along) {
                    let pixel = ((from * SAMPLES + sample) * side + down - padding) * side + along
                        - padding;
                    let weight = (channel * inner + from) * size * size + tap;
                    *sum += f64::from(x[pixel]) * f64::from(w[weight]);
                }
            }
        }
    }
    sums
}

fn small() -> Outcome<Network> {
    let architecture = Architecture::named("cnn", 10, [1, 8, 8]).failed()?;
    Network::random(architecture, Normalization::none(1), 7).failed()
}

pub(super) fn threads() -> Outcome<Finding> {
    if cure_tensor::device().is_torch() {
        let words =
            "libtorch does not promise the same bits for any number of threads: not looked at";
        return Ok(Finding { holds: true, words: words.into() });
    }
    let network = small()?;
    let network = network.frozen().failed()?;
    let images = Tensor::new(&[24, 1, 8, 8], noises(1, 24 * 64)).failed()?;
    let logits = |threads: usize| -> Outcome<Vec<f32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().failed()?;
        Ok(pool.install(|| network.logits(&images)).failed()?.into_vec())
    };
    let (one, three) = (logits(1)?, logits(3)?);
    let different = one.iter().zip(&three).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    Ok(Finding {
        holds: different == 0,
        words: format!("one thread and three: {different} of {} logits with other bits", one.len()),
    })
}

/// A few steps on digits, twice: the same bits where they are promised, and a lower loss anyway.
pub(super) fn training() -> Outcome<Finding> {
    let digits: DataSpec = "digits".parse().failed()?;
    let digits = digits.load(Split::Train).failed()?;
    let steps = || -> Outcome<(Vec<f64>, Vec<Tensor>)> {
        let mut network = small()?;
        let mut optimizer = Optimizer::new(OptimizerOptions::default(), &network).failed()?;
        let mut losses = Vec::new();
        for step in 0..12 {
            let rows: Vec<usize> = (0..64).map(|row| 64 * (step % 4) + row).collect();
            let batch = digits.batch(&rows).failed()?;
            let streams = SampleStreams { seed: 0, epoch: 0, indices: &batch.indices };
            let at = EpochValues { h: 0.0, gamma: 0.0 };
            let found = Objective::default()
                .step(&mut network, &batch.images, &batch.labels, &at, &streams)
                .failed()?;
            losses.push(found.loss / 64.0);
            optimizer.step(&mut network, &found.gradients, 3e-3).failed()?;
        }
        Ok((losses, network.tensors().to_vec()))
    };
    let ((losses, weights), (_, again)) = (steps()?, steps()?);
    let same = weights.iter().zip(&again).all(|(a, b)| a == b);
    let [first, last] = [losses[0], losses[losses.len() - 1]];
    let is_promised = !cure_tensor::device().is_torch();
    Ok(Finding {
        holds: last < 0.9 * first && (same || !is_promised),
        words: format!(
            "loss {first:.2} to {last:.2} in {} steps, {} when repeated",
            losses.len(),
            if same { "the same bits" } else { "other bits" }
        ),
    })
}

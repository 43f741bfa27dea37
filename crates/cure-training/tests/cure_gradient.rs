//! The gradient of CURE's objective against central differences in θ, and what must not change it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;

use common::smooth::network;
use cure_network::weights::read;
use cure_network::{Architecture, Family, Network, Normalization, Scale, Shortcut};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};
use cure_training::{
    BatchNormMode, CureOptions, Direction, EpochValues, Objective, SampleStreams, StepOutcome,
    derivatives,
};

const AT: EpochValues = EpochValues { h: 0.5, gamma: 0.7 };
const INDICES: [usize; 4] = [11, 3, 8, 40];

fn images(count: usize) -> Tensor {
    let values = (0..count * 108).map(|i| 0.5 + 0.5 * ((i * i) as f32 * 0.37).sin()).collect();
    Tensor::new(&[count, 3, 6, 6], values).unwrap()
}

fn labels(count: usize) -> Vec<usize> {
    (0..count).map(|i| (3 * i + 1) % 5).collect()
}

fn step(
    options: &CureOptions,
    network: &Network,
    images: &Tensor,
    at: &EpochValues,
) -> StepOutcome {
    let count = images.shape()[0];
    let indices: Vec<usize> = (0..count).map(|i| INDICES[i % INDICES.len()]).collect();
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
    let mut network = network.clone();
    Objective::Cure(options.clone())
        .step(&mut network, images, &labels(count), at, &streams)
        .unwrap()
}

/// γ·mean L_r + mean ℓ, computed in `f64` from what a step reports.
fn value(options: &CureOptions, network: &Network) -> f64 {
    let outcome = step(options, network, &images(4), &AT);
    (outcome.loss + AT.gamma * outcome.regularizer) / 4.0
}

/// Compares the gradient along a few directions of parameter space with central differences.
/// z is held constant in the gradient; a direction that does not depend on θ makes that exact.
fn check(options: &CureOptions, tolerance: f64) {
    let network = network();
    let gradients = step(options, &network, &images(4), &AT).gradients;
    for (position, spec) in network.parameters().iter().enumerate() {
        let Some(gradient) = &gradients.tensors()[position] else {
            assert!(!spec.role.is_trained());
            continue;
        };
        // Along the gradient itself the derivative is its norm: the largest signal there is.
        let norm = gradient.host().iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
        assert!(norm > 0.0, "{} has a zero gradient", spec.name);
        let moved = |distance: f64| {
            let mut network = network.clone();
            let shifted =
                ops::axpy((distance / norm) as f32, gradient, network.tensors()[position].clone());
            network.set_tensor(position, shifted.unwrap()).unwrap();
            value(options, &network)
        };
        let distance = 2e-3;
        // Richardson's combination of two central differences.
        let difference = |distance: f64| (moved(distance) - moved(-distance)) / (2.0 * distance);
        let derivative = (4.0 * difference(distance) - difference(2.0 * distance)) / 3.0;
        let error = (derivative - norm).abs() / norm.max(1e-2);
        assert!(error < tolerance, "{}: {derivative} by differences, {norm} exact", spec.name);
    }
}

#[test]
fn matches_central_differences_in_every_mode() {
    for squared in [true, false] {
        for scale in [Scale::Pixel, Scale::Normalized] {
            for mode in [BatchNormMode::Eval, BatchNormMode::Train] {
                for loss_mode in [BatchNormMode::Eval, BatchNormMode::Train] {
                    let options = CureOptions {
                        direction: Direction::Gaussian,
                        scale,
                        squared,
                        loss_mode,
                        regularizer_mode: mode,
                        direction_mode: BatchNormMode::Eval,
                        ..CureOptions::default()
                    };
                    check(&options, 2e-2);
                }
            }
        }
    }
}

/// A batch whose gradients are found in parts has the gradient of the whole.
#[test]
fn parts_add_up_to_the_whole() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let (network, count) = (network(), 21);
    let options = CureOptions { loss_mode: BatchNormMode::Eval, ..CureOptions::default() };
    assert!(network.frozen().unwrap().parts(count).len() > 1);
    let indices: Vec<usize> = (0..count).collect();
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
    let (images, labels) = (images(count), labels(count));
    let whole = derivatives(&options, &network, &images, &labels, AT.h, &streams).unwrap();
    let expected =
        whole.loss_gradient.add_scaled(AT.gamma as f32, &whole.regularizer_gradient).unwrap();
    let found = Objective::Cure(options)
        .step(&mut network.clone(), &images, &labels, &AT, &streams)
        .unwrap();
    let difference = found.gradients.add_scaled(-1.0, &expected).unwrap();
    assert!(difference.norm() < 1e-5 * expected.norm(), "{}", difference.norm());
    assert!((found.regularizer - whole.terms.values.iter().sum::<f64>()).abs() < 1e-9);
    assert!((found.loss - whole.losses.iter().sum::<f64>()).abs() < 1e-9);
}

/// What is made again is made the same, in every mode of BatchNorm.
#[test]
fn recomputation_changes_no_bit() {
    for mode in [BatchNormMode::Eval, BatchNormMode::Train] {
        let step = |recompute| {
            let options =
                CureOptions { regularizer_mode: mode, recompute, ..CureOptions::default() };
            let mut network = network();
            let streams = SampleStreams { seed: 5, epoch: 2, indices: &INDICES };
            let outcome = Objective::Cure(options)
                .step(&mut network, &images(4), &labels(4), &AT, &streams)
                .unwrap();
            (outcome.gradients, outcome.loss, outcome.regularizer, network.state())
        };
        let (kept, loss, regularizer, state) = step(false);
        let (made_again, other_loss, other_regularizer, other_state) = step(true);
        assert_eq!((loss, regularizer), (other_loss, other_regularizer));
        assert_eq!(state, other_state);
        assert!(kept.norm() > 0.0);
        assert_eq!(kept.tensors(), made_again.tensors());
    }
}

/// Against PyTorch's double backward, sign direction and all (see `golden/`).
#[test]
fn matches_double_backward() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/resnet8_conv_relu.safetensors");
    let golden: Vec<(String, Tensor)> = read(Path::new(path)).unwrap().tensors;
    let get = |name: &str| {
        golden.iter().find(|(key, _)| key == name).map(|(_, tensor)| tensor.clone()).unwrap()
    };
    let state: Vec<(String, Tensor)> = golden
        .iter()
        .filter_map(|(name, tensor)| {
            Some((name.strip_prefix("weights/")?.to_owned(), tensor.clone()))
        })
        .collect();
    let family = Family::Residual {
        widths: vec![4, 8, 16],
        blocks: vec![1; 3],
        shortcut: Shortcut::Convolution,
    };
    let architecture =
        Architecture { family, activation: Activation::Relu, classes: 10, input: [3, 8, 8] };
    let statistics = "0.4914,0.4822,0.4465/0.2470,0.2435,0.2616";
    let normalization = Normalization::parse(statistics, 3).unwrap();
    let network = Network::from_state(architecture, normalization, &state).unwrap();
    let labels: Vec<usize> = get("labels").host().iter().map(|&label| label as usize).collect();
    for (squared, name) in [(true, "squared"), (false, "unsquared")] {
        let options =
            CureOptions { squared, loss_mode: BatchNormMode::Eval, ..CureOptions::default() };
        let indices = [0, 1, 2, 3, 4];
        let gradients = |gamma: f64| {
            let at = EpochValues { h: 0.1, gamma };
            let streams = SampleStreams { seed: 0, epoch: 0, indices: &indices };
            Objective::Cure(options.clone())
                .step(&mut network.clone(), &get("images"), &labels, &at, &streams)
                .unwrap()
        };
        let (of_loss, of_sum) = (gradients(0.0), gradients(1.0));
        let values = get(&format!("regularizer_{name}"));
        let expected: f64 = values.host().iter().map(|&value| f64::from(value)).sum();
        assert!((of_sum.regularizer - expected).abs() < 1e-4 * expected);
        let regularizer = of_sum.gradients.add_scaled(-1.0, &of_loss.gradients).unwrap();
        for (spec, gradient) in network.parameters().iter().zip(regularizer.tensors()) {
            let Some(gradient) = gradient else { continue };
            let expected = get(&format!("regularizer_gradient_{name}/{}", spec.name));
            let norm = |tensor: &Tensor| {
                tensor.host().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
            };
            let error = norm(&ops::subtract(gradient, &expected).unwrap()) / norm(&expected);
            // The difference of two gradients costs digits where the loss's is larger.
            assert!(error < 1e-3, "{name} {}: {error:e}", spec.name);
            assert!(norm(gradient) > 0.0);
        }
    }
}

#[test]
fn doubling_the_batch_changes_nothing() {
    let options = CureOptions {
        loss_mode: BatchNormMode::Eval,
        direction: Direction::Gaussian,
        ..CureOptions::default()
    };
    let network = network();
    let once = images(4);
    let twice = ops::concatenate(&[&once, &once]).unwrap();
    // The labels repeat with period 5, not 4: give the doubled batch those of the single one.
    let indices: Vec<usize> = INDICES.iter().chain(&INDICES).copied().collect();
    let labels: Vec<usize> = labels(4).into_iter().cycle().take(8).collect();
    let run = |images: &Tensor, count: usize| {
        let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices[..count] };
        Objective::Cure(options.clone())
            .step(&mut network.clone(), images, &labels[..count], &AT, &streams)
            .unwrap()
    };
    let (single, double) = (run(&once, 4), run(&twice, 8));
    assert!((single.loss - double.loss / 2.0).abs() < 1e-6);
    assert!((single.regularizer - double.regularizer / 2.0).abs() < 1e-6 * single.regularizer);
    let difference = double.gradients.add_scaled(-1.0, &single.gradients).unwrap();
    assert!(difference.norm() < 1e-5 * single.gradients.norm());
    assert!(single.regularizer > 0.0);
}

/// Pixels in [0, 255] are pixels in [0, 1] with h 255 times as long and L_r in 1/255 units.
#[test]
fn scales_agree_after_conversion() {
    let network = network();
    let images = images(4);
    for squared in [true, false] {
        let options = |scale| CureOptions { squared, scale, ..CureOptions::default() };
        let unit = step(&options(Scale::Pixel), &network, &images, &AT);
        let at = EpochValues {
            h: AT.h * 255.0,
            gamma: AT.gamma * if squared { 255.0 * 255.0 } else { 255.0 },
        };
        let wide = step(&options(Scale::Pixel255), &network, &images, &at);
        let sum = |outcome: &StepOutcome, gamma: f64| outcome.loss + gamma * outcome.regularizer;
        let (a, b) = (sum(&unit, AT.gamma), sum(&wide, at.gamma));
        assert!((a - b).abs() < 1e-5 * a, "{a} and {b}");
        let difference = wide.gradients.add_scaled(-1.0, &unit.gradients).unwrap();
        assert!(difference.norm() < 1e-4 * unit.gradients.norm());
    }
}

/// A random direction belongs to the sample, not to its place in the batch.
#[test]
fn random_directions_do_not_depend_on_the_batch() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let options = CureOptions { direction: Direction::Gaussian, ..CureOptions::default() };
    let network = network();
    let terms = |positions: &[usize]| {
        let images = ops::select(&images(4), positions).unwrap();
        let labels: Vec<usize> = positions.iter().map(|&p| labels(4)[p]).collect();
        let indices: Vec<usize> = positions.iter().map(|&p| INDICES[p]).collect();
        let streams = SampleStreams { seed: 1, epoch: 0, indices: &indices };
        cure_training::regularizer(&options, &network, &images, &labels, 0.5, &streams).unwrap().0
    };
    let (all, some) = (terms(&[0, 1, 2, 3]), terms(&[2, 0]));
    assert_eq!(ops::select(&all.perturbed, &[2, 0]).unwrap(), some.perturbed);
    assert_eq!([all.values[2], all.values[0]], some.values[..]);
}

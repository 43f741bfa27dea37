//! Ten steps of each optimiser against PyTorch's (see `golden/`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use cure_network::{Architecture, Family, Network, Normalization};
use cure_tensor::Tensor;
use cure_training::{Optimizer, OptimizerOptions};
use safetensors::SafeTensors;

fn golden() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/optimizers.safetensors");
    std::fs::read(path).unwrap()
}

fn rows(file: &SafeTensors<'_>, name: &str) -> Vec<Vec<f32>> {
    let values: Vec<f32> = file
        .tensor(name)
        .unwrap()
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    values.chunks_exact(7).map(<[f32]>::to_vec).collect()
}

/// A single linear layer: for the seed (1, 0) the gradient of its first row is the image.
fn linear(first_row: &[f32]) -> Network {
    let family = Family::Perceptron { hidden: Vec::new() };
    let activation = cure_tensor::ops::Activation::Relu;
    let architecture = Architecture { family, activation, classes: 2, input: [7, 1, 1] };
    let mut network = Network::random(architecture, Normalization::none(7), 0).unwrap();
    let weight = [first_row, &[0.0; 7]].concat();
    network.set_tensor(0, Tensor::new(&[2, 7], weight).unwrap()).unwrap();
    network
}

/// The largest difference of a parameter from PyTorch's after any of the ten steps.
fn largest_difference(
    name: &str,
    options: OptimizerOptions,
    learning_rate: f64,
    save_and_restore: bool,
) -> f32 {
    let bytes = golden();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut network = linear(&rows(&file, "initial")[0]);
    let mut optimizer = Optimizer::new(options, &network).unwrap();
    let mut largest = 0f32;
    for (gradient, expected) in rows(&file, "gradients").into_iter().zip(rows(&file, name)) {
        let frozen = network.frozen().unwrap();
        let pass = frozen.linearize(&Tensor::new(&[1, 7, 1, 1], gradient).unwrap()).unwrap();
        let seed = Tensor::new(&[1, 2], vec![1.0, 0.0]).unwrap();
        let gradients = pass.parameter_gradient(&seed).unwrap();
        optimizer.step(&mut network, &gradients, learning_rate).unwrap();
        for (found, expected) in network.tensors()[0].host().iter().zip(&expected) {
            largest = largest.max((found - expected).abs());
        }
        if save_and_restore {
            let (steps, state) = (optimizer.steps(), optimizer.state(&network));
            optimizer = Optimizer::from_state(options, &network, steps, &state).unwrap();
        }
    }
    largest
}

fn sgd(momentum: f64, nesterov: bool, weight_decay: f64) -> OptimizerOptions {
    OptimizerOptions::Sgd { momentum, nesterov, weight_decay }
}

#[test]
fn every_optimiser_follows_pytorch() {
    let adam =
        |weight_decay| OptimizerOptions::Adam { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay };
    assert_eq!(adam(0.0), OptimizerOptions::default());
    for (name, options, rate) in [
        ("adam", adam(0.0), 8e-4),
        ("adam_weight_decay", adam(0.1), 1e-2),
        ("sgd", sgd(0.0, false, 0.0), 0.1),
        ("sgd_momentum", sgd(0.9, false, 0.0), 0.1),
        ("sgd_momentum_weight_decay", sgd(0.9, false, 5e-2), 0.1),
        ("sgd_nesterov_weight_decay", sgd(0.9, true, 5e-2), 0.1),
    ] {
        for restored in [false, true] {
            let difference = largest_difference(name, options, rate, restored);
            eprintln!("{name}: {difference:e}");
            assert!(difference <= 1e-6, "{name}: {difference:e}");
        }
    }
    // The comparison tells optimisers apart.
    assert!(largest_difference("sgd_momentum", sgd(0.9, true, 0.0), 0.1, false) > 1e-2);
}

#[test]
fn constants_outside_their_ranges_are_refused() {
    for (options, named) in [
        (sgd(1.0, false, 0.0), "optimizer.momentum is 1"),
        (sgd(0.0, true, 0.0), "above 0 with nesterov"),
        (sgd(0.9, false, -1.0), "optimizer.weight_decay is -1"),
        (sgd(f64::NAN, false, 0.0), "optimizer.momentum is NaN"),
    ] {
        let message = options.check().unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn a_state_of_another_network_is_refused() {
    let network = linear(&[0.0; 7]);
    let options = OptimizerOptions::default();
    let mut state = Optimizer::new(options, &network).unwrap().state(&network);
    state[0].1 = Tensor::zeros(&[2, 6]);
    let misshapen = Optimizer::from_state(options, &network, 1, &state).unwrap_err().to_string();
    assert!(misshapen.contains("is [2, 6], not [2, 7]"), "{misshapen}");
    state.clear();
    let missing = Optimizer::from_state(options, &network, 1, &state).unwrap_err().to_string();
    assert!(missing.contains("is missing"), "{missing}");
}

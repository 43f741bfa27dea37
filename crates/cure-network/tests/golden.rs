//! First and second order against PyTorch's backward and double backward (see `golden/`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashMap;

use cure_network::{
    Architecture, Family, Gradients, Linearization, Network, Normalization, Shortcut,
};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};

struct Golden(HashMap<String, (Vec<usize>, Vec<f32>)>, Vec<usize>);

impl Golden {
    fn read(name: &str) -> Self {
        let path = format!("{}/../../golden/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (mut tensors, mut labels) = (HashMap::new(), Vec::new());
        for (name, view) in file.tensors() {
            if name == "labels" {
                labels = view
                    .data()
                    .chunks_exact(8)
                    .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as usize)
                    .collect();
                continue;
            }
            let values = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect();
            tensors.insert(name, (view.shape().to_vec(), values));
        }
        Self(tensors, labels)
    }

    fn get(&self, name: &str) -> Tensor {
        let (shape, values) = self.0.get(name).unwrap_or_else(|| panic!("no {name}"));
        Tensor::new(shape, values.clone()).unwrap()
    }

    fn network(&self, family: Family, activation: Activation) -> Network {
        let architecture = Architecture { family, activation, classes: 10, input: [3, 8, 8] };
        let normalization =
            Normalization::parse("0.4914,0.4822,0.4465/0.2470,0.2435,0.2616", 3).unwrap();
        let state: Vec<(String, Tensor)> = self
            .0
            .keys()
            .filter_map(|name| {
                let short = name.strip_prefix("weights/")?;
                (!short.ends_with("num_batches_tracked")).then(|| (short.into(), self.get(name)))
            })
            .collect();
        Network::from_state(architecture, normalization, &state).unwrap()
    }

    /// Every trained parameter's gradient within `tolerance` of PyTorch's, relative to its norm,
    /// and not zero.
    fn check(&self, network: &Network, gradients: &Gradients, prefix: &str, tolerance: f64) {
        let mut checked = 0;
        for (spec, gradient) in network.parameters().iter().zip(gradients.tensors()) {
            let Some(gradient) = gradient else {
                assert!(!spec.role.is_trained(), "no gradient for {}", spec.name);
                continue;
            };
            let expected = self.get(&format!("{prefix}/{}", spec.name));
            assert!(norm(&expected) > 0.0, "{prefix}/{} is zero", spec.name);
            close(gradient, &expected, tolerance, &format!("{prefix}/{}", spec.name));
            checked += 1;
        }
        assert!(checked > 10);
    }
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.host().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn close(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let error = norm(&ops::subtract(found, expected).unwrap()) / norm(expected);
    assert!(error <= tolerance, "{what}: relative error {error:e}");
}

fn residual8(shortcut: Shortcut) -> Family {
    Family::Residual { widths: vec![4, 8, 16], blocks: vec![1, 1, 1], shortcut }
}

/// Mean over the batch of the regulariser's gradient at one point, with weight per sample.
fn second(pass: &Linearization<'_>, labels: &[usize], v: &Tensor) -> Gradients {
    let loss = ops::cross_entropy(pass.logits(), labels).unwrap();
    let adjoint = pass.adjoint(&loss.residual).unwrap();
    let tangent = pass.tangent(v).unwrap();
    let mu = ops::softmax_covariance(&loss.probabilities, tangent.logits()).unwrap();
    pass.clone().second_order_parameter_gradient(adjoint.clone(), tangent, &mu).unwrap()
}

fn regulariser_gradient(
    here: &Linearization<'_>,
    there: &Linearization<'_>,
    labels: &[usize],
    difference: &Tensor,
    squared: bool,
) -> Gradients {
    let batch = labels.len() as f32;
    let factors: Vec<f32> = ops::sample_l2(difference)
        .unwrap()
        .iter()
        .map(|&norm| if squared { 2.0 / batch } else { 1.0 / (norm as f32 * batch) })
        .collect();
    let v = ops::scale_samples(difference, &factors).unwrap();
    second(there, labels, &v).add_scaled(-1.0, &second(here, labels, &v)).unwrap()
}

fn eval_mode(file: &str, family: Family, activation: Activation) {
    let golden = Golden::read(file);
    let network = golden.network(family, activation);
    let frozen = network.frozen().unwrap();
    let (images, labels) = (golden.get("images"), &golden.1);
    let batch = labels.len() as f32;

    let here = frozen.linearize(&images).unwrap();
    close(here.logits(), &golden.get("logits"), 1e-5, "logits");
    let loss = ops::cross_entropy(here.logits(), labels).unwrap();
    for (found, expected) in loss.losses.to_vec().iter().zip(golden.get("loss").host().iter()) {
        assert!((found - f64::from(*expected)).abs() < 1e-5);
    }
    let g = here.pullback(&loss.residual).unwrap();
    close(&g, &golden.get("input_gradient"), 1e-4, "input gradient");
    let z = ops::direction_of_sign(&g).unwrap();
    close(&z, &golden.get("direction"), 1e-6, "direction");
    let moved = ops::perturb(&images, &z, &vec![0.1; labels.len()]).unwrap();
    let there = frozen.linearize(&moved).unwrap();
    let loss_there = ops::cross_entropy(there.logits(), labels).unwrap();
    let g_there = there.pullback(&loss_there.residual).unwrap();
    close(&g_there, &golden.get("perturbed_gradient"), 1e-4, "perturbed gradient");

    let mean = ops::scale(1.0 / batch, loss.residual.clone());
    golden.check(&network, &here.clone().parameter_gradient(&mean).unwrap(), "loss_gradient", 1e-4);
    let difference = ops::subtract(&g_there, &g).unwrap();
    for (squared, name) in [(true, "squared"), (false, "unsquared")] {
        let gradients = regulariser_gradient(&here, &there, labels, &difference, squared);
        golden.check(&network, &gradients, &format!("regularizer_gradient_{name}"), 1e-4);
    }
    let v = golden.get("v");
    close(&here.hessian_vector(labels, &v).unwrap(), &golden.get("hessian_vector"), 1e-4, "Hv");
    let along = ops::scale(1.0 / batch, v.clone());
    golden.check(&network, &second(&here, labels, &along), "directional_gradient", 1e-4);
    close(&here.pushforward(&v).unwrap(), &golden.get("pushforward"), 1e-5, "Jv");
    close(&here.pullback(&golden.get("u")).unwrap(), &golden.get("pullback"), 1e-4, "Jᵀu");
    // The logits-only path forgets values as it goes; it must not matter.
    use cure_network::Classifier as _;
    assert_eq!(&frozen.logits(&images).unwrap(), here.logits());
}

#[test]
fn residual_network_with_convolution_shortcuts() {
    eval_mode("resnet8_conv_relu", residual8(Shortcut::Convolution), Activation::Relu);
}

#[test]
fn residual_network_with_option_a_shortcuts() {
    eval_mode("resnet8_option_a_relu", residual8(Shortcut::Subsample), Activation::Relu);
}

#[test]
fn smooth_activations() {
    for (file, activation) in [
        ("resnet8_conv_softplus", Activation::Softplus { beta: 10.0 }),
        ("resnet8_conv_silu", Activation::Silu),
        ("resnet8_conv_gelu", Activation::Gelu),
    ] {
        eval_mode(file, residual8(Shortcut::Convolution), activation);
    }
}

#[test]
fn preactivation_network() {
    let family = Family::PreActivation { widths: vec![4, 8, 16], blocks: vec![1, 1, 1] };
    eval_mode("preact_relu", family, Activation::Relu);
}

#[test]
fn batch_statistics_to_second_order() {
    let golden = Golden::read("resnet8_train_mode");
    let mut network = golden.network(residual8(Shortcut::Convolution), Activation::Relu);
    let (images, labels) = (golden.get("images"), golden.1.clone());
    let batch = labels.len() as f32;
    let training = network.training().unwrap();
    let here = training.linearize(&images).unwrap();
    close(here.logits(), &golden.get("logits"), 1e-5, "logits");
    let loss = ops::cross_entropy(here.logits(), &labels).unwrap();
    let g = here.pullback(&loss.residual).unwrap();
    close(&g, &golden.get("input_gradient"), 1e-4, "input gradient");
    let mean = ops::scale(1.0 / batch, loss.residual.clone());
    golden.check(&network, &here.clone().parameter_gradient(&mean).unwrap(), "loss_gradient", 1e-4);

    let moved = ops::perturb(&images, &golden.get("direction"), &vec![0.1; labels.len()]).unwrap();
    let there = training.linearize(&moved).unwrap();
    let loss_there = ops::cross_entropy(there.logits(), &labels).unwrap();
    let g_there = there.pullback(&loss_there.residual).unwrap();
    close(&g_there, &golden.get("perturbed_gradient"), 1e-4, "perturbed gradient");
    let difference = ops::subtract(&g_there, &g).unwrap();
    for (squared, name) in [(true, "squared"), (false, "unsquared")] {
        let gradients = regulariser_gradient(&here, &there, &labels, &difference, squared);
        golden.check(&network, &gradients, &format!("regularizer_gradient_{name}"), 1e-4);
    }

    network.update_running_statistics(&here.batch_statistics()).unwrap();
    for (name, tensor) in network.state() {
        if name.contains("running") {
            close(&tensor, &golden.get(&format!("running_after/{name}")), 1e-5, &name);
        }
    }
}

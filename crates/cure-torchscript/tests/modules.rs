//! Modules traced here and now, read back as anybody's: derivatives against differences, and what is refused.
#![cfg(feature = "libtorch")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::PathBuf;

use cure_network::{Classifier, Normalization};
use cure_tensor::{Tensor, ops};
use cure_torchscript::{Script, ScriptError};
use tch::{CModule, Kind};

const INPUT: [usize; 3] = [2, 3, 3];
const LABELS: [usize; 4] = [0, 2, 1, 2];

/// Numbers without structure in [-1, 1].
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((seed * 7919 + i) as f64 * 0.618_033_988_7).fract() as f32 * 2.0 - 1.0)
        .collect()
}

fn weights(seed: usize, shape: [i64; 2]) -> tch::Tensor {
    tch::Tensor::from_slice(&numbers(seed, (shape[0] * shape[1]) as usize)).view(shape)
}

fn pixels(seed: usize) -> Tensor {
    let values = numbers(seed, 4 * 18).iter().map(|value| 0.5 + 0.4 * value).collect();
    Tensor::new(&[4, 2, 3, 3], values).unwrap()
}

type Layer = fn(&tch::Tensor) -> tch::Tensor;

/// A module in a file: two linear layers with `middle` between them, after `first`.
fn traced(name: &str, first: Layer, middle: Layer) -> PathBuf {
    let (one, two) = (weights(1, [7, 18]), weights(2, [3, 7]));
    saved(name, |image| {
        let hidden = first(image).flatten(1, -1).matmul(&one.tr());
        middle(&hidden).matmul(&two.tr())
    })
}

/// A module in a file that gives what `network` gives.
fn saved(name: &str, network: impl Fn(&tch::Tensor) -> tch::Tensor) -> PathBuf {
    let mut network = |inputs: &[tch::Tensor]| vec![network(&inputs[0])];
    let images = tch::Tensor::ones([2, 2, 3, 3], (Kind::Float, tch::Device::Cpu)) * 0.5;
    let module = CModule::create_by_tracing("Net", "forward", &[images], &mut network).unwrap();
    let path = std::env::temp_dir().join(format!("cure-{}-{name}.ts", std::process::id()));
    module.save(&path).unwrap();
    path
}

fn load(path: &PathBuf) -> Result<Script, ScriptError> {
    let loaded = Script::load(path, None, INPUT);
    std::fs::remove_file(path).unwrap();
    loaded
}

fn same(x: &tch::Tensor) -> tch::Tensor {
    x.shallow_clone()
}

fn close(found: &Tensor, expected: &Tensor, tolerance: f64) {
    let size = ops::sample_l2(expected).unwrap();
    let off = ops::sample_l2(&ops::subtract(found, expected).unwrap()).unwrap();
    for (off, size) in off.iter().zip(size) {
        assert!(*off <= tolerance * size, "{off} of {size}");
    }
}

/// (f(x + hv) − f(x − hv))/2h.
fn difference(x: &Tensor, v: &Tensor, of: impl Fn(&Tensor) -> Tensor) -> Tensor {
    const H: f32 = 2e-2;
    let at = |h: f32| of(&ops::axpy(h, v, x.clone()).unwrap());
    ops::scale(0.5 / H, ops::subtract(&at(H), &at(-H)).unwrap())
}

fn residual(network: &Script, x: &Tensor) -> Tensor {
    let here = Classifier::linearize(network, x).unwrap();
    let loss = ops::cross_entropy(here.logits(), &LABELS).unwrap();
    here.pullback(&loss.residual).unwrap()
}

fn check_derivatives(network: &Script, tolerance: f64) {
    assert_eq!((network.classes(), network.input_shape()), (3, INPUT));
    let (x, v) = (pixels(3), Tensor::new(&[4, 2, 3, 3], numbers(4, 72)).unwrap());
    let u = Tensor::new(&[4, 3], numbers(5, 12)).unwrap();
    let here = Classifier::linearize(network, &x).unwrap();
    close(here.logits(), &network.logits(&x).unwrap(), 1e-6);
    let pushed = here.pushforward(&v).unwrap();
    close(&pushed, &difference(&x, &v, |x| network.logits(x).unwrap()), tolerance);
    // ⟨u, J v⟩ = ⟨Jᵀu, v⟩.
    let left = ops::sample_dot(&u, &pushed).unwrap();
    let right = ops::sample_dot(&here.pullback(&u).unwrap(), &v).unwrap();
    for (left, right) in left.iter().zip(right) {
        assert!((left - right).abs() < tolerance * (1.0 + right.abs()), "{left} {right}");
    }
    let product = here.hessian_vector(&LABELS, &v).unwrap();
    close(&product, &difference(&x, &v, |x| residual(network, x)), tolerance);
}

#[test]
fn derivatives_are_those_of_the_module() {
    let network = load(&traced("softplus", same, |x| x.softplus())).unwrap();
    assert!(network.is_exact());
    check_derivatives(&network, 5e-3);
}

#[test]
fn what_has_no_second_derivative_is_taken_by_differences() {
    let network = load(&traced("hardsigmoid", same, |x| (x * 0.1).hardsigmoid())).unwrap();
    assert!(!network.is_exact());
    // Differences beside differences, of other steps, in f32.
    check_derivatives(&network, 2e-2);
}

/// What rounds pixels, or is cut off from them, has no gradient there; it is measured all the same.
#[test]
fn modules_without_a_gradient_say_so() {
    let without: [(&str, Layer); 3] = [
        ("rounded", |x| (x * 255.0).round() / 255.0),
        // `to_kind` would write the device of here into the module.
        ("bytes", |x| {
            let bytes = (x * 255.0).to_dtype(Kind::Uint8, false, false);
            bytes.to_dtype(Kind::Float, false, false) / 255.0
        }),
        ("detached", |x| x.detach()),
    ];
    for (name, first) in without {
        let network = load(&traced(name, first, |x| x.softplus())).unwrap();
        // Rounding has the derivative 0 for autograd; the others have none.
        assert_eq!(network.has_gradient(), name == "rounded", "{name}");
        let here = Classifier::linearize(&network, &pixels(1)).unwrap();
        let zero = Tensor::zeros(&[4, 2, 3, 3]);
        assert_eq!(here.pullback(&Tensor::full(&[4, 3], 1.0)).unwrap(), zero);
        assert_eq!(here.pushforward(&pixels(2)).unwrap(), Tensor::zeros(&[4, 3]));
        assert_eq!(here.hessian_vector(&LABELS, &pixels(2)).unwrap(), zero);
    }
    assert!(load(&traced("smooth", same, |x| x.softplus())).unwrap().has_gradient());
}

#[test]
fn the_normalisation_comes_first() {
    let path = traced("plain", same, |x| x.softplus());
    let plain = Script::load(&path, None, INPUT).unwrap();
    let normalization = Normalization { mean: vec![0.5, 0.25], std: vec![0.5, 2.0] };
    let network = Script::load(&path, Some(normalization), INPUT).unwrap();
    std::fs::remove_file(&path).unwrap();
    let x = pixels(6);
    let values = x.host();
    let by_hand = values.chunks(9).enumerate().flat_map(|(plane, values)| {
        let (mean, std) = [(0.5, 0.5), (0.25, 2.0)][plane % 2];
        values.iter().map(move |value| (value - mean) / std).collect::<Vec<f32>>()
    });
    let by_hand = Tensor::new(x.shape(), by_hand.collect()).unwrap();
    close(&network.logits(&x).unwrap(), &plain.logits(&by_hand).unwrap(), 1e-6);
    let refused = Script::load(&path, Some(Normalization::none(3)), INPUT);
    assert!(matches!(refused, Err(ScriptError::Normalization(_))));
}

#[test]
fn modules_that_were_not_made_for_evaluation_are_refused() {
    let over_the_batch = |x: &tch::Tensor| x - x.mean_dim([0i64].as_slice(), true, Kind::Float);
    let refused = |name, first: fn(&tch::Tensor) -> tch::Tensor, middle| {
        let error = load(&traced(name, first, middle)).err().unwrap();
        assert!(matches!(error, ScriptError::NotEvaluating { .. }), "{error}");
        error.to_string()
    };
    let batch = refused("batch", over_the_batch, same);
    assert!(batch.contains("other images") && batch.contains(".eval()"), "{batch}");
    let random = refused("dropout", same, |x| x.dropout(0.5, true));
    assert!(random.contains("every call"), "{random}");
}

#[test]
fn files_and_outputs_that_do_not_fit_are_refused() {
    let path = std::env::temp_dir().join(format!("cure-{}-none.ts", std::process::id()));
    std::fs::write(&path, "no module").unwrap();
    assert!(matches!(load(&path).err().unwrap(), ScriptError::Unreadable { .. }));
    assert!(matches!(Script::load(&path, None, INPUT), Err(ScriptError::Unreadable { .. })));

    let path = traced("shape", same, same);
    let error = Script::load(&path, None, [3, 32, 32]).err().unwrap();
    assert!(matches!(error, ScriptError::Images { .. }), "{error}");
    std::fs::remove_file(&path).unwrap();

    // Logits for several images, a row for one.
    let weights = weights(1, [3, 18]);
    let path = saved("squeezed", |image| image.flatten(1, -1).matmul(&weights.tr()).squeeze());
    let network = load(&path);
    let error = network.err().unwrap().to_string();
    assert!(error.contains("for one alone a tensor [3]"), "{error}");

    let network = load(&traced("shapes", same, |x| x.softplus())).unwrap();
    assert!(network.logits(&Tensor::zeros(&[1, 2, 3, 4])).is_err());
    let here = Classifier::linearize(&network, &pixels(1)).unwrap();
    assert!(here.pullback(&Tensor::zeros(&[4, 2])).is_err());
    assert!(here.pushforward(&Tensor::zeros(&[4, 3])).is_err());
    assert!(
        here.hessian_vector(&[0, 1, 2, 3], &pixels(2)).unwrap_err().to_string().contains("labels")
    );
}

//! Operators on networks: against each other, against f64, and at their edges.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{images, norm, perceptron, predicted, random};
use cure_geometry::{
    Columns, Difference, Exact, Factor, FiniteDifference, GeometryError, Hessian, LanczosOptions,
    Losses, Profile, curvature_profile, extremes,
};
use cure_network::Scale;
use cure_tensor::ops::Activation;

const GO: fn(usize, usize) -> bool = |_, _| true;
const SOFT: Activation = Activation::Softplus { beta: 3.0 };

fn off(a: &[f64], b: &[f64]) -> f64 {
    let difference: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    norm(&difference) / norm(b)
}

/// ∇ℓ of a two-layer Softplus network, written out in f64.
fn gradient(state: &[(String, Vec<f64>)], x: &[f64], label: usize) -> Vec<f64> {
    let get = |name: &str| &state.iter().find(|(key, _)| key == name).unwrap().1;
    let (w1, b1, w2, b2) = (get("fc1.weight"), get("fc1.bias"), get("fc2.weight"), get("fc2.bias"));
    let seen: Vec<f64> = x.iter().map(|x| (x - f64::from(0.4f32)) / f64::from(0.3f32)).collect();
    let (hidden, classes) = (b1.len(), b2.len());
    let before: Vec<f64> =
        (0..hidden).map(|i| b1[i] + common::dot(&w1[i * 20..][..20], &seen)).collect();
    let after: Vec<f64> = before.iter().map(|a| (3.0 * a).exp().ln_1p() / 3.0).collect();
    let logits: Vec<f64> =
        (0..classes).map(|k| b2[k] + common::dot(&w2[k * hidden..][..hidden], &after)).collect();
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    let residual: Vec<f64> = logits
        .iter()
        .enumerate()
        .map(|(k, logit)| logit.exp() / sum - f64::from(u8::from(k == label)))
        .collect();
    let mut g = vec![0.0; 20];
    for i in 0..hidden {
        let back: f64 = (0..classes).map(|k| w2[k * hidden + i] * residual[k]).sum();
        let slope = back / (1.0 + (-3.0 * before[i]).exp());
        for (g, w) in g.iter_mut().zip(&w1[i * 20..][..20]) {
            *g += slope * w / f64::from(0.3f32);
        }
    }
    g
}

#[test]
fn exact_products_against_central_differences_in_f64() {
    let network = perceptron(&[9], SOFT, 4, 1);
    let state: Vec<(String, Vec<f64>)> = network
        .state()
        .into_iter()
        .map(|(key, tensor)| (key, tensor.host().iter().map(|&v| f64::from(v)).collect()))
        .collect();
    let frozen = network.frozen().unwrap();
    let (batch, labels) = (images(3), vec![2, 0, 3]);
    let losses = Losses::new(&frozen, batch.clone(), labels.clone(), &[1.0], 2).unwrap();
    let mut hessian = Exact::new(&losses);
    for row in 0..3 {
        let x: Vec<f64> = batch.host()[row * 20..][..20].iter().map(|&v| f64::from(v)).collect();
        assert!(
            off(&losses.gradients().unwrap().gradients[row], &gradient(&state, &x, labels[row]))
                < 1e-5
        );
        let v = random(5 + row as u64, 20);
        let found = hessian.apply(&[row], std::slice::from_ref(&v)).unwrap().remove(0);
        let step = 1e-5;
        let there = |side: f64| {
            let point: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + side * step * v).collect();
            gradient(&state, &point, labels[row])
        };
        let expected: Vec<f64> =
            there(1.0).iter().zip(there(-1.0)).map(|(a, b)| (a - b) / (2.0 * step)).collect();
        assert!(off(&found, &expected) < 1e-5, "{}", off(&found, &expected));
    }
}

/// On a smooth network the forward difference is off by O(h) and the central one by O(h²).
#[test]
fn finite_differences_tend_to_exact() {
    let network = perceptron(&[9, 7], SOFT, 4, 2);
    let frozen = network.frozen().unwrap();
    let losses = Losses::new(&frozen, images(2), vec![1, 3], &[1.0], 8).unwrap();
    let v = [random(1, 20), random(2, 20)];
    let exact = Exact::new(&losses).apply(&[0, 1], &v).unwrap();
    let error = |difference, h| {
        let mut hessian = FiniteDifference::new(&losses, difference, h).unwrap();
        let found = hessian.apply(&[0, 1], &v).unwrap();
        found.iter().zip(&exact).map(|(found, exact)| off(found, exact)).fold(0.0, f64::max)
    };
    let forward = [0.4, 0.2, 0.1].map(|h| error(Difference::Forward, h));
    let central = [0.4, 0.2, 0.1].map(|h| error(Difference::Central, h));
    for pair in forward.windows(2) {
        assert!((1.6..2.4).contains(&(pair[0] / pair[1])), "{forward:?}");
    }
    for pair in central.windows(2) {
        assert!((3.0..5.0).contains(&(pair[0] / pair[1])), "{central:?}");
    }
    assert!(central[2] < 0.01 && error(Difference::Forward, 0.003) < 0.01, "{central:?}");
    // In proportion to v, and nothing for nothing.
    let mut hessian = FiniteDifference::new(&losses, Difference::Forward, 0.1).unwrap();
    let twice: Vec<f64> = v[0].iter().map(|v| 2.0 * v).collect();
    let found = hessian.apply(&[0, 0, 0], &[v[0].clone(), twice, vec![0.0; 20]]).unwrap();
    assert!(
        found[1].iter().zip(&found[0]).all(|(b, a)| (b - 2.0 * a).abs() < 1e-6 * b.abs().max(1e-3))
    );
    assert_eq!(found[2], vec![0.0; 20]);
}

/// With steps that cross kinks a difference is neither linear nor symmetric; the symmetric part of its
/// matrix is, has the eigenvalues of the curvature profile, and Lanczos' method converges to them.
#[test]
fn columns_are_the_matrix_of_the_profile() {
    let network = perceptron(&[30, 20], Activation::Relu, 4, 3);
    let frozen = network.frozen().unwrap();
    let losses = Losses::new(&frozen, images(2), vec![0, 1], &[1.0], 8).unwrap();
    let difference = || FiniteDifference::new(&losses, Difference::Forward, 0.5).unwrap();
    let profiles = curvature_profile(&mut difference(), &[0, 1], GO).unwrap();
    let mut columns = Columns::new(difference());
    let options = LanczosOptions { largest: 3, smallest: 2, tolerance: 1e-9, ..Default::default() };
    let found = extremes(&mut columns, &[0, 1], &[4, 5], &options, GO).unwrap();
    for (found, profile) in found.iter().zip(&profiles) {
        let (found, profile) = (found.as_ref().unwrap(), profile.as_ref().unwrap());
        assert!(profile.asymmetry > 0.1 && found.has_converged && found.asymmetry < 1e-9);
        let ends =
            profile.eigenvalues.iter().take(3).chain(profile.eigenvalues.iter().rev().take(2));
        for (pair, expected) in found.largest.iter().chain(&found.smallest).zip(ends) {
            assert!((pair.value - expected).abs() < 1e-8 * profile.frobenius, "{expected}");
        }
    }
    // The difference itself has another idea of its largest curvature, and does not converge.
    let found = extremes(&mut difference(), &[0, 1], &[4, 5], &options, GO).unwrap();
    assert!(found.iter().flatten().all(|found| !found.has_converged));
    assert!(columns.apply(&[2], &[vec![0.0; 20]]).is_err());
}

#[test]
fn the_factor_is_the_whole_hessian_of_a_relu_network() {
    let classes = 4;
    let network = perceptron(&[30, 20], Activation::Relu, classes, 3);
    let frozen = network.frozen().unwrap();
    let losses = Losses::new(&frozen, images(5), vec![0, 1, 2, 3, 1], &[1.0], 2).unwrap();
    let mut factor = Factor::new(&losses).unwrap();
    let mut exact = Exact::new(&losses);
    let rows = [0, 4, 2, 2];
    let v: Vec<Vec<f64>> = (0..4).map(|i| random(i, 20)).collect();
    let (found, expected) = (factor.apply(&rows, &v).unwrap(), exact.apply(&rows, &v).unwrap());
    for (found, expected) in found.iter().zip(&expected) {
        assert!(off(found, expected) < 1e-5, "{}", off(found, expected));
    }
    let all: Vec<usize> = (0..5).collect();
    let full = curvature_profile(&mut exact, &all, GO).unwrap();
    for row in 0..5 {
        let (full, short): (&Profile, _) =
            (full[row].as_ref().unwrap(), factor.profile(row).unwrap());
        let largest = full.eigenvalues[0];
        assert!(largest > 0.0 && full.asymmetry < 1e-5);
        assert_eq!(short.eigenvalues.len(), 20);
        for (at, (full, short)) in full.eigenvalues.iter().zip(&short.eigenvalues).enumerate() {
            assert!((full - short).abs() < 1e-5 * largest, "{at}: {full} {short}");
            assert_eq!(*short == 0.0, at >= classes - 1, "{at}: {short}");
        }
        assert!((full.frobenius / short.frobenius - 1.0).abs() < 1e-5);
        for (value, vector) in factor.eigenpairs(row).unwrap() {
            assert!((norm(&vector) - 1.0).abs() < 1e-9);
            let product = factor.apply(&[row], std::slice::from_ref(&vector)).unwrap().remove(0);
            let expected: Vec<f64> = vector.iter().map(|v| value * v).collect();
            assert!(off(&product, &expected) < 1e-6);
        }
        let options = LanczosOptions { largest: classes, ..Default::default() };
        let found = extremes(&mut exact, &[row], &[row], &options, GO).unwrap().remove(0).unwrap();
        for (pair, expected) in found.largest.iter().zip(&short.eigenvalues) {
            assert!((pair.value - expected).abs() < 1e-4 * largest, "{} {expected}", pair.value);
            assert!(pair.residual < 1e-3 * largest);
        }
    }
    let smooth = perceptron(&[9], SOFT, classes, 3).frozen().unwrap();
    let losses = Losses::new(&smooth, images(1), vec![0], &[1.0], 2).unwrap();
    assert!(matches!(Factor::new(&losses), Err(GeometryError::Curved { classes: 4 })));
}

#[test]
fn batches_do_not_matter() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let network = perceptron(&[30, 20], Activation::Relu, 4, 4);
    let frozen = network.frozen().unwrap();
    let rows = [0, 1, 2, 3, 4, 5, 6, 6, 6, 1];
    let v: Vec<Vec<f64>> = (0..10).map(|i| random(i, 20)).collect();
    let of = |batch: usize| {
        let losses = Losses::new(&frozen, images(7), vec![1; 7], &[1.0], batch).unwrap();
        let mut finite = FiniteDifference::new(&losses, Difference::Forward, 0.3).unwrap();
        let mut central = FiniteDifference::new(&losses, Difference::Central, 0.3).unwrap();
        [
            finite.apply(&rows, &v).unwrap(),
            central.apply(&rows, &v).unwrap(),
            Exact::new(&losses).apply(&rows, &v).unwrap(),
            Factor::new(&losses).unwrap().apply(&rows, &v).unwrap(),
        ]
    };
    let all = of(64);
    assert!(of(1) == all && of(3) == all);
}

/// In a scale whose unit is s pixels H is s² times as large and h is 1/s times as long.
#[test]
fn scales() {
    let network = perceptron(&[30, 20], Activation::Relu, 4, 5);
    let frozen = network.frozen().unwrap();
    let v = vec![random(1, 20)];
    let of = |scale: Scale, h: f64| {
        let units = scale.units(network.normalization());
        let losses = Losses::new(&frozen, images(1), vec![2], &units, 4).unwrap();
        let gradient = losses.gradients().unwrap().gradients.remove(0);
        let mut finite = FiniteDifference::new(&losses, Difference::Forward, h).unwrap();
        let products = [
            finite.apply(&[0], &v).unwrap().remove(0),
            Exact::new(&losses).apply(&[0], &v).unwrap().remove(0),
        ];
        (gradient, products)
    };
    let (gradient, products) = of(Scale::Pixel, 0.6);
    for (scale, unit) in [(Scale::Pixel255, 1.0 / 255.0), (Scale::Normalized, f64::from(0.3f32))] {
        let (other, scaled) = of(scale, 0.6 / unit);
        let expected: Vec<f64> = gradient.iter().map(|g| unit * g).collect();
        assert!(off(&other, &expected) < 1e-6);
        for (product, scaled) in products.iter().zip(&scaled) {
            let expected: Vec<f64> = product.iter().map(|p| unit * unit * p).collect();
            assert!(off(scaled, &expected) < 1e-4, "{scale:?} {}", off(scaled, &expected));
        }
    }
}

#[test]
fn what_is_refused() {
    let network = perceptron(&[5], Activation::Relu, 4, 6);
    let frozen = network.frozen().unwrap();
    let labels = predicted(&frozen, &images(2));
    let losses = Losses::new(&frozen, images(2), labels.clone(), &[1.0], 4).unwrap();
    for h in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let error = FiniteDifference::new(&losses, Difference::Forward, h).err().unwrap();
        assert!(error.to_string().starts_with("h is "), "{error}");
    }
    let error = FiniteDifference::new(&losses, Difference::Forward, 1e-6).err().unwrap();
    assert!(error.to_string().contains("single precision"), "{error}");
    assert!(Losses::new(&frozen, images(2), labels.clone(), &[0.0], 4).is_err());
    assert!(Losses::new(&frozen, images(2), labels.clone(), &[1.0], 0).is_err());
    assert!(Losses::new(&frozen, images(2), vec![0], &[1.0], 4).is_err());
    assert!(Losses::new(&frozen, images(2), vec![0, 4], &[1.0], 4).is_err());
    let mut exact = Exact::new(&losses);
    assert!(exact.apply(&[2], &[vec![0.0; 20]]).is_err());
    assert!(exact.apply(&[0], &[vec![0.0; 19]]).is_err());
    assert!(exact.apply(&[0], &[]).is_err());
}

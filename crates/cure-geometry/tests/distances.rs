//! Bounds, sections and boundaries where they are known.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Ball, images, norm, perceptron, predicted};
use cure_attacks::AttackSpec;
use cure_geometry::{
    Boundary, BoundaryOptions, BoundsOptions, BoundsRow, Exact, Losses, Standing, Violation,
    boundary, bounds, planes, section,
};
use cure_network::{Classifier, Network};
use cure_tensor::Tensor;
use cure_tensor::ops::Activation;

const GO: fn(usize, usize) -> bool = |_, _| true;

fn deepfool() -> AttackSpec {
    "deepfool:norm=l2,overshoot=0.001".parse().unwrap()
}

fn rows(classifier: &dyn Classifier, images: Tensor, labels: Vec<usize>) -> Vec<BoundsRow> {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let losses = Losses::new(classifier, images, labels, &[1.0], 3).unwrap();
    let mut hessian = Exact::new(&losses);
    bounds(&losses, &mut hessian, &indices, &deepfool(), &BoundsOptions::default(), GO).unwrap()
}

/// Two classes and linear logits: the gradient is along the only curvature, and both bounds are the
/// model's minimum; the distance is margin/‖w‖ and ℓ reaches log 2 exactly there.
#[test]
fn a_linear_classifier() {
    let network = perceptron(&[], Activation::Relu, 2, 1);
    let frozen = network.frozen().unwrap();
    let labels = predicted(&frozen, &images(6));
    let state = network.state();
    let weight = state.iter().find(|(key, _)| key == "fc1.weight").unwrap().1.host().into_owned();
    let w: Vec<f64> =
        (0..20).map(|i| f64::from(weight[i] - weight[20 + i]) / f64::from(0.3f32)).collect();
    let logits = frozen.logits(&images(6)).unwrap();
    for (row, found) in rows(&frozen, images(6), labels).into_iter().enumerate() {
        let margin = f64::from((logits.host()[2 * row] - logits.host()[2 * row + 1]).abs());
        let exact = margin / norm(&w);
        assert_eq!(found.standing, Standing::Bounded);
        assert!((found.along.unwrap() / found.gradient - 1.0).abs() < 1e-4);
        let theorem = found.bounds.unwrap();
        assert!((theorem.lower / theorem.upper - 1.0).abs() < 1e-4);
        assert!((found.model.unwrap() / theorem.lower - 1.0).abs() < 1e-3, "{found:?}");
        let p = 1.0 / (1.0 + margin.exp());
        assert!((found.gradient / (p * norm(&w)) - 1.0).abs() < 1e-4);
        assert!((found.curvature.unwrap() / (p * (1.0 - p) * norm(&w).powi(2)) - 1.0).abs() < 1e-3);
        assert!((found.measured.unwrap() / exact - 1.0).abs() < 1e-3);
        assert!((found.crossing.unwrap() / exact - 1.0).abs() < 1e-3);
    }
}

#[test]
fn samples_that_the_theorem_does_not_speak_of() {
    let standings = |classifier: &dyn Classifier, labels: Vec<usize>| -> Vec<Standing> {
        rows(classifier, images(labels.len()), labels).iter().map(|row| row.standing).collect()
    };
    let network = perceptron(&[30, 20], Activation::Relu, 4, 3);
    let frozen = network.frozen().unwrap();
    let right = predicted(&frozen, &images(4));
    let wrong = right.iter().map(|label| (label + 1) % 4).collect();
    assert_eq!(standings(&frozen, wrong), [Standing::Misclassified; 4]);
    // Random weights are sure of nothing: the right class has less than half.
    assert_eq!(standings(&frozen, right.clone()), [Standing::OverThreshold; 4]);

    let still = scaled(&network, 0.0);
    let frozen = still.frozen().unwrap();
    let found = rows(&frozen, images(2), vec![0, 0]);
    for row in found {
        assert_eq!((row.standing, row.measured, row.bounds), (Standing::NoGradient, None, None));
    }

    // Logits beyond what f32 holds.
    let wild = scaled(&network, 1e18);
    let frozen = wild.frozen().unwrap();
    let found = rows(&frozen, images(2), vec![0, 0]);
    assert!(found.iter().all(|row| row.standing == Standing::NotFinite), "{found:?}");

    // Just outside of a small ball the loss bends down, even along its gradient.
    let ball = Ball { radius: 0.1 };
    let found = rows(&ball, along_a_pixel(&[0.12]), vec![1]);
    assert_eq!(found[0].standing, Standing::Concave, "{found:?}");
    assert!(found[0].curvature.unwrap() < 0.0 && found[0].bounds.is_none());
}

fn scaled(network: &Network, factor: f32) -> Network {
    let mut network = network.clone();
    for position in 0..network.parameters().len() {
        let tensor = network.tensors()[position].clone();
        network.set_tensor(position, cure_tensor::ops::scale(factor, tensor)).unwrap();
    }
    network
}

/// Whatever the reasons, each violation is what it says.
#[test]
fn violations_say_why() {
    let ball = Ball { radius: 0.4 };
    let points = along_a_pixel(&[0.05, 0.1, 0.2, 0.3]);
    let found = rows(&ball, points, vec![0; 4]);
    for row in &found {
        assert_eq!(row.standing, Standing::Bounded);
        let (theorem, measured) = (row.bounds.unwrap(), row.measured.unwrap());
        match row.violation {
            None => assert!(theorem.lower * 0.999 <= measured && measured <= theorem.upper * 1.001),
            Some(Violation::RisesFaster) => assert!(measured < theorem.lower),
            Some(Violation::RisesSlower) => {
                assert!(measured > theorem.upper && row.crossing.unwrap() > theorem.upper);
            }
            Some(Violation::BoundaryBeyondThreshold) => {
                assert!(measured > theorem.upper && row.crossing.unwrap() <= theorem.upper * 1.001);
            }
        }
    }
    // Deep inside the logistic loss rises faster than any parabola.
    assert!(found.iter().any(|row| row.violation == Some(Violation::RisesFaster)), "{found:?}");
}

/// Two rivals that share what is left: ℓ is over log 2 before either is the likelier class, and an image
/// just within has its boundary beyond what the theorem bounds.
#[test]
fn three_classes_pass_the_threshold_first() {
    let mut network = perceptron(&[], Activation::Relu, 3, 1);
    let image = images(1);
    let logit: f32 = image.host().iter().map(|x| 0.1 * (x - 0.4) / 0.3).sum();
    // 52 % for the label, 24 % for each of the others.
    let bias = logit + (2.0f32 * 0.52 / 0.48).ln();
    let weights = (0..60).map(|i| if i < 20 { 0.0 } else { 0.1 }).collect();
    network.set_tensor(0, Tensor::new(&[3, 20], weights).unwrap()).unwrap();
    network.set_tensor(1, Tensor::new(&[3], vec![bias, 0.0, 0.0]).unwrap()).unwrap();
    let frozen = network.frozen().unwrap();
    let found = rows(&frozen, image, vec![0]).remove(0);
    assert_eq!(found.standing, Standing::Bounded);
    assert_eq!(found.violation, Some(Violation::BoundaryBeyondThreshold), "{found:?}");
    assert!(found.crossing.unwrap() < found.measured.unwrap() / 5.0, "{found:?}");
}

/// Attacks step beyond the boundary; what is measured ends there.
#[test]
fn an_overshoot_is_not_measured() {
    let network = perceptron(&[], Activation::Relu, 2, 1);
    let frozen = network.frozen().unwrap();
    let labels = predicted(&frozen, &images(4));
    let measured = |overshoot: f64| -> Vec<[f64; 2]> {
        let attack = format!("deepfool:norm=l2,overshoot={overshoot}").parse().unwrap();
        let losses = Losses::new(&frozen, images(4), labels.clone(), &[1.0], 3).unwrap();
        let (mut hessian, options) = (Exact::new(&losses), BoundsOptions::default());
        let found = bounds(&losses, &mut hessian, &[0, 1, 2, 3], &attack, &options, GO).unwrap();
        found.iter().map(|row| [row.measured.unwrap(), row.attacked.unwrap()]).collect()
    };
    for (near, far) in measured(0.001).into_iter().zip(measured(0.2)) {
        assert!((near[0] / far[0] - 1.0).abs() < 1e-3, "{near:?} {far:?}");
        assert!(far[1] > 1.15 * far[0] && near[1] >= near[0], "{near:?} {far:?}");
    }
}

/// Points at these distances from the middle, along the first pixel.
fn along_a_pixel(distances: &[f64]) -> Tensor {
    let image = |&distance: &f64| {
        let mut image = vec![0.5; 20];
        image[0] += distance as f32;
        image
    };
    Tensor::new(&[distances.len(), 1, 4, 5], distances.iter().flat_map(image).collect()).unwrap()
}

fn boundaries(classifier: &dyn Classifier, images: Tensor, labels: Vec<usize>) -> Vec<Boundary> {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let losses = Losses::new(classifier, images, labels, &[1.0], 7).unwrap();
    let planes = planes(&losses, &indices, &deepfool(), 0).unwrap();
    let options = BoundaryOptions { width: 0.3, ..Default::default() };
    planes
        .iter()
        .map(|plane| boundary(&losses, plane.as_ref().unwrap(), &options).unwrap())
        .collect()
}

/// The ball's boundary bends around a point inside with 1/radius, and away from one outside.
#[test]
fn boundaries_of_a_ball_and_of_a_plane() {
    let ball = Ball { radius: 0.4 };
    for (images, label, sign) in
        [(along_a_pixel(&[0.2]), 0, -1.0), (along_a_pixel(&[0.49]), 1, 1.0)]
    {
        let found = boundaries(&ball, images, vec![label]).remove(0);
        let expected = sign / 0.4;
        assert!((found.curvature.unwrap() / expected - 1.0).abs() < 0.05, "{found:?}");
        assert!(found.residual.unwrap() < found.flatness.unwrap());
        assert!(found.curve.iter().all(|(_, a)| a.is_some()));
    }
    // Far beside the middle x + b·v is outside of the ball: there is no boundary to come to.
    let losses = Losses::new(&ball, along_a_pixel(&[0.2]), vec![0], &[1.0], 7).unwrap();
    let plane = planes(&losses, &[0], &deepfool(), 0).unwrap().remove(0).unwrap();
    let options = BoundaryOptions { width: 2.0, ..Default::default() };
    let found = boundary(&losses, &plane, &options).unwrap();
    for (b, a) in found.curve {
        assert_eq!(a.is_some(), 0.04 + b * b < 0.16, "{b}");
    }
    let network = perceptron(&[], Activation::Relu, 2, 1);
    let frozen = network.frozen().unwrap();
    let labels = predicted(&frozen, &images(3));
    for found in boundaries(&frozen, images(3), labels) {
        let distance = found.curve[20].1.unwrap();
        assert!(found.flatness.unwrap() < 1e-3 * distance, "{found:?}");
    }
}

#[test]
fn sections_show_the_plane() {
    let ball = Ball { radius: 0.4 };
    let losses = Losses::new(&ball, along_a_pixel(&[0.2]), vec![0], &[1.0], 7).unwrap();
    let plane = planes(&losses, &[5], &deepfool(), 0).unwrap().remove(0).unwrap();
    assert!((norm(&plane.r) - 1.0).abs() < 1e-9 && (norm(&plane.v) - 1.0).abs() < 1e-9);
    assert!(common::dot(&plane.r, &plane.v).abs() < 1e-9);
    // The first step, along a tangent, goes beyond the sphere.
    assert!((plane.r[0] - 1.0).abs() < 1e-3 && (plane.distance - 0.3).abs() < 2e-3);
    let found = section(&losses, &plane, 0.5, 21, GO).unwrap();
    assert_eq!((found.axis.len(), found.losses.len(), found.classes.len()), (21, 441, 441));
    assert_eq!((found.axis[0], found.axis[10], found.axis[20]), (-0.5, 0.0, 0.5));
    for (line, &b) in found.axis.iter().enumerate() {
        for (column, &a) in found.axis.iter().enumerate() {
            let square = (0.2 + a).powi(2) + b * b;
            let logit = 20.0 * (0.16 - square);
            let at = 21 * line + column;
            assert!((found.losses[at] - (-logit).exp().ln_1p()).abs() < 0.05, "{a} {b}");
            if (square - 0.16).abs() > 0.01 {
                assert_eq!(found.classes[at], usize::from(square > 0.16), "{a} {b}");
            }
        }
    }
    // Beyond 0.3 to the right the first pixel is over 1.
    assert!(found.outside >= 21 * 4, "{}", found.outside);
    // v is of the seed and the sample, not of the network.
    let other = Ball { radius: 0.35 };
    let again = Losses::new(&other, along_a_pixel(&[0.2]), vec![0], &[1.0], 7).unwrap();
    let again = planes(&again, &[5], &deepfool(), 0).unwrap().remove(0).unwrap();
    assert!((common::dot(&plane.v, &again.v) - 1.0).abs() < 1e-6);
    assert!(section(&losses, &plane, 0.0, 21, GO).is_err());
    assert!(section(&losses, &plane, 0.5, 2, GO).is_err());

    // Where the label is no longer the prediction there is no plane.
    let outside = Losses::new(&ball, along_a_pixel(&[0.45]), vec![0], &[1.0], 7).unwrap();
    assert_eq!(planes(&outside, &[5], &deepfool(), 0).unwrap(), [None]);
}

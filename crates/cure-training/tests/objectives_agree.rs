//! Objectives that must agree with one another, and weights that move.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::smooth::{AT, COUNT, difference, images, network, objective, points, step};
use common::{result, resume, short, start};
use cure_network::Network;
use cure_tensor::{Tensor, ops};
use cure_training::{
    CureOptions, EpochValues, Objective, SampleStreams, StepOutcome, TrainingConfig,
};

/// The perturbed loss is one more point of CURE: without it nothing changes, and its gradient is
/// that of adversarial training at CURE's second point.
#[test]
fn cure_with_the_perturbed_loss() {
    let network = network();
    let same = |a: &StepOutcome, b: &StepOutcome| {
        assert_eq!(a.gradients.tensors(), b.gradients.tensors());
        assert_eq!((a.objective, a.loss, a.regularizer), (b.objective, b.loss, b.regularizer));
    };
    for modes in ["", "loss_mode=eval,", "loss_mode=train,regularizer_mode=train,"] {
        let plain =
            step(&objective(&format!("cure:{modes}recompute=false")), &network, COUNT, None);
        let weighed = objective(&format!("cure:{modes}alpha=1,beta=0"));
        same(&step(&weighed, &network, COUNT, None), &plain);
    }
    let options =
        CureOptions { loss_mode: cure_training::BatchNormMode::Eval, ..Default::default() };
    let with = |alpha: f64, beta: f64| {
        let options = CureOptions { alpha, beta, ..options.clone() };
        step(&Objective::Cure(options), &network, COUNT, Some(&points(COUNT)))
    };
    let adversarial =
        step(&objective("pgd-at:eps=0.1,loss_mode=eval"), &network, COUNT, Some(&points(COUNT)));
    let both = with(1.0, 0.0).gradients.add_scaled(0.8, &adversarial.gradients).unwrap();
    assert!(difference(&with(1.0, 0.8).gradients, &both) < 1e-5);
    let without_clean = with(0.0, 1.0);
    assert_eq!(without_clean.loss, adversarial.loss);
    assert_eq!(without_clean.correct, adversarial.correct);
}

/// With ∇ℓ(x) held the gradient of the squared L_r is that of ⟨v, ∇ℓ(x + hz)⟩, v = 2Δg, by
/// differences in θ.
#[test]
fn cure_with_the_first_gradient_held() {
    let (network, there) = (network(), points(COUNT));
    let labels: Vec<usize> = (0..COUNT).map(|i| (3 * i + 1) % 5).collect();
    let gradient = |network: &Network, points: &Tensor| {
        let frozen = network.frozen().unwrap();
        let pass = frozen.linearize(points).unwrap();
        let residual = ops::cross_entropy(pass.logits(), &labels).unwrap().residual;
        pass.pullback(&residual).unwrap()
    };
    let fixed = gradient(&network, &images(COUNT));
    let v = ops::subtract(&gradient(&network, &there), &fixed).unwrap();
    let value = |network: &Network| {
        let products = ops::sample_dot(&v, &gradient(network, &there)).unwrap();
        2.0 * AT.gamma * products.iter().sum::<f64>() / COUNT as f64
    };
    let held = objective("cure:squared=true,held=true,loss_mode=eval");
    let found = step(&held, &network, COUNT, Some(&there)).gradients;
    let loss = step(&objective("standard:loss_mode=eval"), &network, COUNT, None).gradients;
    let found = found.add_scaled(-1.0, &loss).unwrap();
    let moved = |distance: f64| {
        let mut network = network.clone();
        for (position, gradient) in found.tensors().iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let factor = (distance / found.norm()) as f32;
            let weight = ops::axpy(factor, gradient, network.tensors()[position].clone()).unwrap();
            network.set_tensor(position, weight).unwrap();
        }
        value(&network)
    };
    let derivative = (moved(1e-3) - moved(-1e-3)) / 2e-3;
    assert!((derivative / found.norm() - 1.0).abs() < 5e-3, "{derivative} {}", found.norm());
}

/// CURE's second point for the sign direction with h = ε√d is FGSM's, where no pixel leaves [0, 1].
#[test]
fn the_second_point_of_cure_is_that_of_fgsm() {
    let (network, epsilon) = (network(), 0.05);
    let at = EpochValues { h: epsilon * 108f64.sqrt(), gamma: 0.0 };
    let indices = [0, 1, 2, 3];
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
    let run = |spec: &str| {
        objective(spec)
            .step(&mut network.clone(), &images(4), &[1, 4, 2, 0], &at, &streams)
            .unwrap()
    };
    let cure = run("cure:alpha=0,beta=1,loss_mode=eval");
    let fgsm = run("fgsm-at:eps=0.05,loss_mode=eval");
    assert!((cure.loss / fgsm.loss - 1.0).abs() < 1e-5, "{} {}", cure.loss, fgsm.loss);
    assert!(difference(&cure.gradients, &fgsm.gradients) < 1e-4);
}

#[test]
fn objectives_that_another_one_contains() {
    let network = network();
    let run = |spec: &str| step(&objective(spec), &network, COUNT, None);
    let standard = run("standard");
    for spec in ["trades:eps=0.1,beta=0", "standard:smoothing=0"] {
        let other = run(spec);
        assert_eq!(other.gradients.tensors(), standard.gradients.tensors(), "{spec}");
        assert_eq!(other.objective, standard.objective, "{spec}");
    }
    for spec in ["gradient-penalty:lambda=0", "llr:eps=0.1,lambda=0,mu=0"] {
        assert!(difference(&run(spec).gradients, &standard.gradients) < 1e-6, "{spec}");
    }
    let fgsm = run("fgsm-at:eps=0.1");
    for spec in ["gradalign:eps=0.1,lambda=0", "elle:eps=0.1,lambda=0"] {
        assert!(difference(&run(spec).gradients, &fgsm.gradients) < 1e-6, "{spec}");
    }
    // In a tiny ball everything is linear.
    for spec in ["elle:eps=1e-5", "llr:eps=1e-5", "gradalign:eps=1e-5"] {
        let distance = run(spec).regularizer;
        assert!(distance.abs() < 1e-5, "{spec}: {distance}");
    }
    // Without noise worth the name N-FGSM is FGSM; one step of ε from the image is too.
    for spec in ["pgd-at:eps=0.1,steps=1,step=0.1,random_start=false", "n-fgsm:eps=0.1,noise=1e-5"]
    {
        let other = run(spec);
        assert!(difference(&other.gradients, &fgsm.gradients) < 1e-3, "{spec}");
    }
    // The first replay is at the images, and the second where FGSM would be.
    let free = objective("free:eps=0.1");
    let first = step(&free, &network, COUNT, None);
    assert_eq!(first.gradients.tensors(), standard.gradients.tensors());
    let second = step(&free, &network, COUNT, first.next.as_ref());
    let trained = run("fgsm-at:eps=0.1,attack_mode=train");
    assert_eq!(second.gradients.tensors(), trained.gradients.tensors());
}

/// A share of the samples is trained on as it is: which ones is drawn by sample, so the batch does
/// not matter, and the rest stands where the attack takes it without the others.
#[test]
fn mixed_batches_are_clean_and_attacked_samples_together() {
    let network = network();
    let on = |spec: &str, rows: &[usize]| {
        let labels: Vec<usize> = rows.iter().map(|row| row % 5).collect();
        let streams = SampleStreams { seed: 5, epoch: 2, indices: rows };
        let chosen = ops::select(&images(16), rows).unwrap();
        objective(spec).step(&mut network.clone(), &chosen, &labels, &AT, &streams).unwrap().loss
    };
    let all: Vec<usize> = (0..16).collect();
    let standard = |rows: &[usize]| on("standard:loss_mode=eval", rows);
    for base in [
        "pgd-at:eps=0.1,steps=2",
        "fgsm-at:eps=0.1",
        "fgsm-rs:eps=0.1",
        "n-fgsm:eps=0.1",
        "deepfool:steps=5",
    ] {
        let base = format!("{base},loss_mode=eval");
        assert_eq!(on(&format!("{base},clean=0"), &all), on(&base, &all), "{base}");
        let mixed = format!("{base},clean=0.5");
        let (mut clean, mut expected) = (0, 0.0);
        for row in all.chunks(1) {
            let (found, plain, attacked) = (on(&mixed, row), standard(row), on(&base, row));
            assert!(found == plain || found == attacked, "{mixed}, {row:?}");
            clean += usize::from(found == plain);
            expected += found;
        }
        // DeepFool leaves what is misclassified where it is.
        let at_rest = base.starts_with("deepfool");
        assert!(at_rest || (4..=12).contains(&clean), "{mixed}: {clean} clean");
        let whole = on(&mixed, &all);
        assert!((whole / expected - 1.0).abs() < 1e-5, "{mixed}: {whole} for {expected}");
        let nearly_all = on(&format!("{base},clean=0.999999"), &all);
        assert!((nearly_all / standard(&all) - 1.0).abs() < 1e-6, "{base}");
        let text = format!("{base},clean=1");
        let refusal = text.parse::<Objective>().unwrap_err().to_string();
        assert!(refusal.contains("clean is 1; accepted is 0 or more and below 1"), "{refusal}");
    }
}

/// The weights that adversarial weight perturbation looks at have a higher loss, and lie where it
/// says.
#[test]
fn weight_perturbation_goes_up() {
    let (network, points) = (network(), points(COUNT));
    for base in ["pgd-at:eps=0.1", "trades:eps=0.1"] {
        let plain = step(&objective(base), &network, COUNT, Some(&points));
        let perturbed = objective(&format!("{base},awp=0.01"));
        let found = step(&perturbed, &network, COUNT, Some(&points));
        assert!(found.objective > plain.objective, "{base}");
        // The same by hand.
        let mut moved = network.clone();
        for (position, gradient) in plain.gradients.tensors().iter().enumerate() {
            let weight = &network.tensors()[position];
            let Some(gradient) = gradient.as_ref().filter(|_| weight.shape().len() > 1) else {
                continue;
            };
            let norm =
                |t: &Tensor| t.host().iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let factor = 0.01 * norm(weight) / norm(gradient);
            let weight = ops::axpy(factor as f32, gradient, weight.clone()).unwrap();
            moved.set_tensor(position, weight).unwrap();
        }
        let expected = step(&objective(base), &moved, COUNT, Some(&points));
        assert_eq!(found.gradients.tensors(), expected.gradients.tensors());
    }
}

/// A run steps on each batch as often as free training replays it, and resumes to the same weights.
#[test]
fn free_training_replays_each_batch() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainingConfig {
        objective: objective("free:eps=0.1,replays=3"),
        validation: None,
        epochs: 1,
        ..short()
    };
    let [whole, halves] = ["whole", "halves"].map(|name| root.path().join(name));
    start(&whole, &config, None).unwrap();
    start(&halves, &config, Some(2)).unwrap();
    resume(&halves, None).unwrap();
    assert!(result(&whole) == result(&halves));
    let row: cure_training::EpochRow = serde_json::from_str(&result(&whole).2[0]).unwrap();
    assert_eq!(row.images_seen, 3 * 270);
}

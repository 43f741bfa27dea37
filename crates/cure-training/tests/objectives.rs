//! Every objective: its gradient against central differences in θ, its descent on the digits, its bits for
//! any number of threads, and what it must agree with.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::digits;
use cure_network::{Architecture, Family, Gradients, Network, Normalization, Shortcut};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};
use cure_training::{
    CureOptions, EpochValues, Objective, Optimizer, OptimizerOptions, SampleStreams, StepOutcome,
    objectives,
};

const AT: EpochValues = EpochValues { h: 0.5, gamma: 0.7 };
const COUNT: usize = 4;

/// Every objective, in every form whose gradient differs.
const SPECS: [&str; 26] = [
    "standard",
    "standard:smoothing=0.2",
    "standard:loss_mode=eval",
    "cure:alpha=0.6,beta=0.8",
    "cure:alpha=0.6,beta=0.8,loss_mode=eval,squared=true",
    "cure:alpha=0.5,beta=0.5,noise=1,regularizer_mode=train,loss_mode=eval,smoothing=0.1",
    "cure:alpha=0,beta=1,noise=2",
    "pgd-at:eps=0.1,steps=3",
    "fgsm-at:eps=0.1,attack_mode=train",
    "fgsm-rs:eps=0.1,loss_mode=eval",
    "n-fgsm:eps=0.1,smoothing=0.1",
    "free:eps=0.1",
    "deepfool",
    "trades:eps=0.1,steps=2",
    "trades:eps=0.1,steps=2,smoothing=0.1,loss_mode=eval",
    "mart:eps=0.1,steps=2",
    "mart:eps=0.1,steps=2,smoothing=0.1,loss_mode=eval",
    "gradient-penalty:lambda=0.3",
    "gradient-penalty:lambda=0.3,squared=false,loss_mode=eval",
    "gradient-penalty:lambda=0.3,regularizer_mode=train",
    "gradalign:eps=0.1,lambda=2",
    "gradalign:eps=0.1,lambda=2,regularizer_mode=train,smoothing=0.1",
    "llr:eps=0.1",
    "llr:eps=0.1,loss_mode=eval,smoothing=0.1",
    "elle:eps=0.1,lambda=100",
    "elle:eps=0.1,lambda=100,regularizer_mode=train,noise=1",
];

fn objective(spec: &str) -> Objective {
    spec.parse().unwrap()
}

/// Smooth, with running statistics and scales that are not the identity, so that folding matters.
fn network() -> Network {
    let family = Family::Residual {
        widths: vec![3, 4],
        blocks: vec![1, 1],
        shortcut: Shortcut::Convolution,
    };
    let activation = Activation::Softplus { beta: 2.0 };
    let architecture = Architecture { family, activation, classes: 5, input: [3, 6, 6] };
    let normalization = Normalization::parse("0.4,0.5,0.6/0.2,0.25,0.3", 3).unwrap();
    let mut network = Network::random(architecture, normalization, 3).unwrap();
    for position in 0..network.parameters().len() {
        let tensor = network.tensors()[position].clone();
        if tensor.shape().len() == 1 {
            let mut values = tensor.host().into_owned();
            for (i, value) in values.iter_mut().enumerate() {
                *value += 0.1 * ((i + position) as f32).sin();
            }
            network.set_tensor(position, Tensor::new(tensor.shape(), values).unwrap()).unwrap();
        }
    }
    network
}

fn images(count: usize) -> Tensor {
    let values = (0..count * 108).map(|i| 0.5 + 0.4 * ((i * i) as f32 * 0.37).sin()).collect();
    Tensor::new(&[count, 3, 6, 6], values).unwrap()
}

/// What stands for the points that an attack found.
fn points(count: usize) -> Tensor {
    let moves = (0..count * 108).map(|i| 0.1 * ((i * i) as f32 * 0.73).cos()).collect();
    ops::add(Tensor::new(&[count, 3, 6, 6], moves).unwrap(), &images(count)).unwrap()
}

fn step(
    objective: &Objective,
    network: &Network,
    count: usize,
    points: Option<&Tensor>,
) -> StepOutcome {
    let labels: Vec<usize> = (0..count).map(|i| (3 * i + 1) % 5).collect();
    let indices: Vec<usize> = (0..count).map(|i| (7 * i + 11) % 53).collect();
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
    let network = &mut network.clone();
    objective.step_at(network, &images(count), &labels, &AT, &streams, points).unwrap()
}

fn difference(a: &Gradients, b: &Gradients) -> f64 {
    a.clone().add_scaled(-1.0, b).unwrap().norm() / b.norm()
}

/// Along each parameter tensor's own gradient the derivative is its norm: the largest signal there is.
#[test]
fn gradients_are_exact_with_the_points_held() {
    let (network, points) = (network(), points(COUNT));
    for spec in SPECS {
        let objective = objective(spec);
        let found = step(&objective, &network, COUNT, Some(&points));
        let mut compared = 0;
        for (position, parameter) in network.parameters().iter().enumerate() {
            let Some(gradient) = &found.gradients.tensors()[position] else {
                assert!(!parameter.role.is_trained(), "{spec}: {} has none", parameter.name);
                continue;
            };
            let values = gradient.host();
            let norm = values.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
            let value = |distance: f64| {
                let mut network = network.clone();
                let weight = network.tensors()[position].clone();
                let moved = ops::axpy((distance / norm) as f32, gradient, weight).unwrap();
                network.set_tensor(position, moved).unwrap();
                step(&objective, &network, COUNT, Some(&points)).objective / COUNT as f64
            };
            // Richardson's combination of two central differences.
            let difference =
                |distance: f64| (value(distance) - value(-distance)) / (2.0 * distance);
            let derivative = (4.0 * difference(2e-3) - difference(4e-3)) / 3.0;
            let error = (derivative - norm).abs() / norm.max(1e-2);
            assert!(error < 2e-2, "{spec}, {}: {derivative} for {norm}", parameter.name);
            compared += usize::from(norm > 0.0);
        }
        assert!(compared > 15, "{spec}: only {compared} parameters have a gradient");
    }
}

/// With the points that it finds itself, each objective is found and lowered.
#[test]
fn each_lowers_its_own_loss_on_the_digits() {
    let (training, _) = digits();
    let batch = training.batch(&(0..64).collect::<Vec<_>>()).unwrap();
    for entry in objectives() {
        let needs_eps = entry.parameters.iter().any(|row| row.name == "eps");
        let spec = entry.name.to_owned() + if needs_eps { ":eps=0.1" } else { "" };
        let objective = objective(&spec);
        let mut network = common::residual(2);
        let mut optimizer = Optimizer::new(OptimizerOptions::default(), &network).unwrap();
        let streams = SampleStreams { seed: 1, epoch: 0, indices: &batch.indices };
        let at = EpochValues { h: 0.3, gamma: 0.1 };
        let (mut values, mut points): (Vec<f64>, Option<Tensor>) = (Vec::new(), None);
        for step in 0..12 {
            if step % objective.replays() == 0 {
                points = None;
            }
            let (images, labels) = (&batch.images, &batch.labels);
            let outcome = objective
                .step_at(&mut network, images, labels, &at, &streams, points.as_ref())
                .unwrap();
            assert!(outcome.gradients.is_finite() && outcome.objective.is_finite(), "{spec}");
            optimizer.step(&mut network, &outcome.gradients, 0.01).unwrap();
            values.push(outcome.objective);
            points = outcome.next;
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (first, last) = (mean(&values[..3]), mean(&values[9..]));
        assert!(last < 0.95 * first, "{spec}: {values:?}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // More than one part, and a last one that is smaller.
    let (network, count) = (network(), 21);
    for spec in SPECS {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| step(&objective(spec), &network, count, None))
        };
        let (one, two) = (on(1), on(2));
        assert_eq!(one.gradients.tensors(), two.gradients.tensors(), "{spec}");
        assert_eq!((one.objective, one.correct), (two.objective, two.correct), "{spec}");
        assert_eq!(one.next, two.next, "{spec}");
    }
}

/// The perturbed loss is one more point of CURE: without it nothing changes, and its gradient is that of
/// adversarial training at CURE's second point.
#[test]
fn cure_with_the_perturbed_loss() {
    let network = network();
    let same = |a: &StepOutcome, b: &StepOutcome| {
        assert_eq!(a.gradients.tensors(), b.gradients.tensors());
        assert_eq!((a.objective, a.loss, a.regularizer), (b.objective, b.loss, b.regularizer));
    };
    for modes in ["", "loss_mode=eval,", "loss_mode=train,regularizer_mode=train,"] {
        let plain = step(&objective(&format!("cure:{modes}")), &network, COUNT, None);
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

/// The weights that adversarial weight perturbation looks at have a higher loss, and lie where it says.
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

/// A sample's points do not depend on the batch that it is in.
#[test]
fn random_starts_belong_to_samples() {
    let network = network();
    let run = |rows: &[usize], spec: &str| {
        let labels: Vec<usize> = rows.iter().map(|row| row % 5).collect();
        let streams = SampleStreams { seed: 5, epoch: 2, indices: rows };
        let chosen = ops::select(&images(4), rows).unwrap();
        let outcome =
            objective(spec).step(&mut network.clone(), &chosen, &labels, &AT, &streams).unwrap();
        outcome.objective
    };
    for spec in SPECS {
        if spec.contains("train") || !spec.contains("loss_mode=eval") {
            continue;
        }
        let whole = run(&[0, 1, 2, 3], spec);
        let apart = run(&[3, 0], spec) + run(&[2, 1], spec);
        assert!((whole - apart).abs() < 1e-4 * whole.abs(), "{spec}: {whole} {apart}");
    }
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    let (network, points) = (network(), points(3));
    let streams = SampleStreams { seed: 0, epoch: 0, indices: &[0, 1] };
    for (labels, points) in [(&[0, 1, 2][..], None), (&[0, 1], Some(&points)), (&[0, 9], None)] {
        for spec in ["standard", "pgd-at:eps=0.1"] {
            let found = objective(spec).step_at(
                &mut network.clone(),
                &images(2),
                labels,
                &AT,
                &streams,
                points,
            );
            assert!(found.is_err(), "{spec} {labels:?}");
        }
    }
}

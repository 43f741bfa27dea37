//! Every objective: its gradient against central differences in θ, its descent on the digits, and
//! its bits for any number of threads.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::digits;
use common::smooth::{AT, COUNT, SPECS, images, network, objective, points, step};
use cure_network::{Classifier, Network};
use cure_tensor::{Tensor, ops};
use cure_training::{EpochValues, Optimizer, OptimizerOptions, SampleStreams, objectives};
use rand::{RngExt, SeedableRng};

/// Along each parameter tensor's own gradient the derivative is its norm: the largest signal there
/// is. A gradient with entries missing passes that, but not along a direction that has nothing to
/// do with it.
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
            let norm = ops::sample_l2(&row(gradient)).unwrap()[0];
            let value = |direction: &Tensor, distance: f64| {
                let mut network = network.clone();
                let weight = network.tensors()[position].clone();
                let moved = ops::axpy(distance as f32, direction, weight).unwrap();
                network.set_tensor(position, moved).unwrap();
                step(&objective, &network, COUNT, Some(&points)).objective / COUNT as f64
            };
            let own = ops::scale((1.0 / norm.max(1e-30)) as f32, gradient.clone());
            for direction in [own, unit(gradient.shape(), position)] {
                // Richardson's combination of two central differences.
                let difference = |distance: f64| {
                    (value(&direction, distance) - value(&direction, -distance)) / (2.0 * distance)
                };
                let derivative = (4.0 * difference(2e-3) - difference(4e-3)) / 3.0;
                let expected = ops::sample_dot(&row(&direction), &row(gradient)).unwrap()[0];
                let error = (derivative - expected).abs() / norm.max(1e-2);
                assert!(error < 1e-2, "{spec}, {}: {derivative} {expected}", parameter.name);
            }
            compared += usize::from(norm > 0.0);
        }
        assert!(compared > 15, "{spec}: only {compared} parameters have a gradient");
    }
}

/// All entries as those of one sample.
fn row(tensor: &Tensor) -> Tensor {
    Tensor::new(&[1, tensor.len()], tensor.host().into_owned()).unwrap()
}

/// A direction of length 1, another one for each tensor.
fn unit(shape: &[usize], seed: usize) -> Tensor {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed as u64);
    let values = (0..shape.iter().product()).map(|_| random.random::<f32>() - 0.5).collect();
    let direction = Tensor::new(shape, values).unwrap();
    let norm = ops::sample_l2(&row(&direction)).unwrap()[0];
    ops::scale((1.0 / norm) as f32, direction)
}

/// A network that has learned its samples has input gradients of any shortness: directions and
/// their derivatives must survive, exact where there is a direction to speak of.
#[test]
fn gradients_shorter_than_single_precision_divides_by() {
    let (images, weight) = (images(COUNT), network().parameters().len() - 2);
    assert_eq!(network().parameters()[weight].name, "linear.weight");
    let labels: Vec<usize> = {
        let logits = network().frozen().unwrap().logits(&images).unwrap();
        let most = |row: &[f32]| (0..5).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        logits.host().chunks(5).map(most).collect()
    };
    let longest = |network: &Network| {
        let frozen = network.frozen().unwrap();
        let pass = frozen.linearize(&images).unwrap();
        let residual = ops::cross_entropy(pass.logits(), &labels).unwrap().residual;
        let lengths = ops::sample_l2(&pass.pullback(&residual).unwrap()).unwrap();
        lengths.into_iter().fold(0.0, f64::max)
    };
    // Of a surer network, by its last weights.
    let with_gradients_below = |most: f64| {
        let mut network = network();
        while longest(&network) > most {
            let sharper = ops::scale(1.05, network.tensors()[weight].clone());
            network.set_tensor(weight, sharper).unwrap();
        }
        network
    };
    let step = |spec: &str, network: &Network| {
        let streams = SampleStreams { seed: 5, epoch: 2, indices: &[11, 18, 25, 32] };
        let at = Some(&images);
        objective(spec).step_at(&mut network.clone(), &images, &labels, &AT, &streams, at).unwrap()
    };
    for network in [1e-25, 1e-41].map(with_gradients_below) {
        for spec in [
            "gradalign:eps=0.1",
            "gradient-penalty:squared=false",
            "cure",
            "cure:direction=gradient,held=true",
        ] {
            let found = step(spec, &network);
            assert!(found.gradients.is_finite() && found.objective.is_finite(), "{spec}");
        }
    }
    let network = with_gradients_below(1e-25);
    let spec = "gradalign:eps=0.1,lambda=2,loss_mode=eval";
    let found = step(spec, &network);
    let norm = found.gradients.norm();
    assert!(found.regularizer > 1e-3 && norm > 1e-3, "{} {norm}", found.regularizer);
    let value = |distance: f64| {
        let mut network = network.clone();
        for (position, gradient) in found.gradients.tensors().iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let weight = network.tensors()[position].clone();
            let moved = ops::axpy((distance / norm) as f32, gradient, weight).unwrap();
            network.set_tensor(position, moved).unwrap();
        }
        step(spec, &network).objective / COUNT as f64
    };
    let derivative = (value(1e-3) - value(-1e-3)) / 2e-3;
    assert!((derivative / norm - 1.0).abs() < 1e-2, "{derivative} for {norm}");
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

/// Running statistics move in the objectives that say so, and in no other.
#[test]
fn running_statistics_move_where_a_pass_has_the_batch_s() {
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &[0, 1, 2, 3] };
    for spec in SPECS.into_iter().chain([
        "cure:alpha=0,beta=1,held=true",
        "cure:alpha=0,beta=1,held=true,regularizer_mode=train",
        "pgd-at:eps=0.1,loss_mode=eval,attack_mode=train",
        "free:eps=0.1,loss_mode=eval",
    ]) {
        let (mut moved, objective) = (network(), objective(spec));
        objective.step(&mut moved, &images(4), &[1, 4, 2, 0], &AT, &streams).unwrap();
        assert_eq!(moved.state() != network().state(), objective.moves_statistics(), "{spec}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits with any number of threads are a promise of the CPU engine"
        );
    }
    // More than one part, and a last one that is smaller.
    let (network, count) = (network(), 21);
    for spec in SPECS.into_iter().chain(["cure:beta=1,held=true,loss_mode=eval"]) {
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
    // Wherever a pass is in eval mode its samples stand alone; the loss's is not, by default.
    for spec in [
        "pgd-at:eps=0.1,steps=3",
        "pgd-at:eps=0.5,steps=3,norm=l2",
        "fgsm-at:eps=0.1",
        "fgsm-rs:eps=0.1",
        "n-fgsm:eps=0.1,smoothing=0.1",
        "deepfool:steps=2",
        "free:eps=0.1",
        "trades:eps=0.1,steps=2",
        "mart:eps=0.1,steps=2",
        "gradient-penalty:squared=false",
        "gradalign:eps=0.1,lambda=2",
        "llr:eps=0.1",
        "elle:eps=0.1,lambda=100",
        "elle:eps=0.1,lambda=100,noise=1",
        "cure:alpha=0.5,beta=0.5,noise=1",
        "cure:direction=gaussian,beta=0.5",
        "cure:alpha=0,beta=1,noise=2,held=true",
    ] {
        let separator = if spec.contains(':') { ',' } else { ':' };
        let spec = &format!("{spec}{separator}loss_mode=eval");
        let whole = run(&[0, 1, 2, 3], spec);
        let apart = run(&[3, 0], spec) + run(&[2, 1], spec);
        assert!((whole - apart).abs() < 1e-5 * whole.abs(), "{spec}: {whole} {apart}");
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

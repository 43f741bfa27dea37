//! Where objectives look: in their ball, up what they say they climb, from starts of their own.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::smooth::{difference, images, network, objective, step};
use cure_attacks::{Climb, Epsilon, Norm, Streams};
use cure_network::Network;
use cure_tensor::{Tensor, ops};
use cure_training::{EpochValues, SampleStreams};

const COUNT: usize = 8;
const EPS: f64 = 0.03;
/// CURE's step of EPS in each of 108 pixels.
const H: f64 = EPS * 10.392_304_845_413_264;

fn labels() -> Vec<usize> {
    (0..COUNT).map(|i| (3 * i + 1) % 5).collect()
}

fn indices() -> Vec<usize> {
    (0..COUNT).map(|i| (7 * i + 11) % 53).collect()
}

fn points_of(spec: &str, epoch: u64, labels: &[usize]) -> Tensor {
    points_at(spec, epoch, labels, H)
}

fn points_at(spec: &str, epoch: u64, labels: &[usize], h: f64) -> Tensor {
    let (indices, at) = (indices(), EpochValues { h, gamma: 0.0 });
    let streams = SampleStreams { seed: 5, epoch, indices: &indices };
    objective(spec).points(&network(), &images(COUNT), labels, &at, &streams).unwrap().unwrap()
}

fn points(spec: &str) -> Tensor {
    points_of(spec, 2, &labels())
}

/// What was added to the images, in the norm, sample by sample.
fn lengths(points: &Tensor, norm: Norm) -> Vec<f64> {
    let change = ops::subtract(points, &images(COUNT)).unwrap();
    change.host().chunks(108).map(|row| norm.of(row.iter().map(|&v| f64::from(v)))).collect()
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn logits(network: &Network, points: &Tensor) -> Tensor {
    network.frozen().unwrap().linearize(points).unwrap().logits().clone()
}

fn losses(points: &Tensor) -> Vec<f64> {
    ops::cross_entropy(&logits(&network(), points), &labels()).unwrap().losses.to_vec()
}

/// KL(p(x) ‖ p(x′)) of each sample.
fn divergences(points: &Tensor) -> Vec<f64> {
    let [p, q] = [&images(COUNT), points].map(|at| ops::softmax(&logits(&network(), at)).unwrap());
    let (p, q) = (p.host().into_owned(), q.host().into_owned());
    let of_row = |(p, q): (&[f32], &[f32])| {
        let terms = p.iter().zip(q).map(|(&p, &q)| (f64::from(p), f64::from(q)));
        terms.map(|(p, q)| p * (p / q).ln()).sum::<f64>()
    };
    p.chunks(5).zip(q.chunks(5)).map(of_row).collect()
}

fn gradient(points: &Tensor) -> Tensor {
    let frozen = network().frozen().unwrap();
    let pass = frozen.linearize(points).unwrap();
    pass.pullback(&ops::cross_entropy(pass.logits(), &labels()).unwrap().residual).unwrap()
}

#[test]
fn attacks_climb_and_stay_in_the_ball() {
    for method in ["pgd-at", "fgsm-at", "fgsm-rs", "trades", "mart", "elle"] {
        for (norm, eps) in [(Norm::Linf, EPS), (Norm::L2, 0.3), (Norm::L1, 2.0)] {
            let points = points(&format!("{method}:eps={eps},norm={norm}"));
            let lengths = lengths(&points, norm);
            assert!(most(&lengths) < eps * (1.0 + 1e-4), "{method} {norm}: {lengths:?}");
            // No step is wasted: the ends are at the edge, or far out where a start was random.
            assert!(most(&lengths) > 0.8 * eps, "{method} {norm}: {lengths:?}");
            let (there, here) = (losses(&points), losses(&images(COUNT)));
            if method != "trades" {
                for (there, here) in there.iter().zip(&here) {
                    assert!(there > here, "{method} {norm}: {there} {here}");
                }
            }
        }
    }
}

/// Each of the two is higher where it was climbed than where the other one was, from the same
/// starts.
#[test]
fn trades_climbs_its_divergence_and_mart_the_loss() {
    let sum = |values: Vec<f64>| values.iter().sum::<f64>();
    let [trades, mart] = ["trades:eps=0.1", "mart:eps=0.1"].map(points);
    let (of_trades, of_mart) = (divergences(&trades), divergences(&mart));
    assert!(of_trades.iter().all(|&divergence| divergence > 1e-3), "{of_trades:?}");
    assert!(sum(of_trades) > sum(of_mart));
    assert!(sum(losses(&mart)) > sum(losses(&trades)));
}

#[test]
fn starts_are_random_and_as_far_as_they_should_be() {
    for method in ["trades", "mart"] {
        // A step that moves next to nothing leaves the start.
        let start = points(&format!("{method}:eps={EPS},steps=1,step=0.000001"));
        let most = most(&lengths(&start, Norm::Linf));
        assert!(most > 0.0009 && most < 0.001 + 3e-6, "{method}: {most}");
    }
    let random = points(&format!("fgsm-rs:eps={EPS}"));
    let change = ops::subtract(&random, &images(COUNT)).unwrap();
    let at_the_edge = change.host().iter().filter(|v| v.abs() > 0.9999 * EPS as f32).count();
    assert!(at_the_edge > change.len() / 2 && at_the_edge < change.len(), "{at_the_edge}");

    let most_of_noise = most(&lengths(&points(&format!("n-fgsm:eps={EPS}")), Norm::Linf));
    assert!(most_of_noise > 2.0 * EPS && most_of_noise < 3.0 * EPS + 1e-6, "{most_of_noise}");

    for method in ["pgd-at", "fgsm-rs", "n-fgsm", "trades", "mart", "elle:noise=1"] {
        let separator = if method.contains(':') { ',' } else { ':' };
        let spec = format!("{method}{separator}eps={EPS}");
        let [first, second] = [0, 1].map(|epoch| points_of(&spec, epoch, &labels()));
        assert_ne!(first, second, "{method}");
        assert_eq!(first, points_of(&spec, 0, &labels()), "{method}");
    }
}

#[test]
fn deepfool_ends_where_the_label_is_lost() {
    let classes = |points: &Tensor| -> Vec<usize> {
        let logits = logits(&network(), points);
        let most = |row: &[f32]| (0..5).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        logits.host().chunks(5).map(most).collect()
    };
    // Half of the samples are right, the others wrong before any attack.
    let found = classes(&images(COUNT));
    let labels: Vec<usize> = found.iter().enumerate().map(|(i, &c)| (c + i % 2) % 5).collect();
    let points = points_of("deepfool", 0, &labels);
    let lengths = lengths(&points, Norm::L2);
    for (sample, class) in classes(&points).into_iter().enumerate() {
        assert_ne!(class, labels[sample], "{sample}");
        assert_eq!(lengths[sample] > 0.0, sample % 2 == 0, "{lengths:?}");
    }
}

/// Steps up |E| end higher than the random start that they begin at.
#[test]
fn llr_climbs_the_distance_from_linear() {
    let (indices, eps) = (indices(), Epsilon::new(0.1).unwrap());
    let climb =
        Climb { norm: Norm::Linf, epsilon: Some(eps), step: eps, steps: 1, start: Some(eps) };
    let start = climb.start(&images(COUNT), &Streams::new(5, &indices), 2).unwrap();
    let distance =
        |spec: &str, points| step(&objective(spec), &network(), COUNT, points).regularizer;
    let at_start = distance("llr:eps=0.1", Some(&start));
    // Small steps go up; two of half the radius, the default, go far.
    for (spec, growth) in [("llr:eps=0.1,step=0.002", 1.1), ("llr:eps=0.1", 1.5)] {
        let at_end = distance(spec, None);
        assert!(at_end > growth * at_start, "{spec}: {at_end} {at_start}");
    }
}

/// CURE with noise k is N-FGSM with noise k where h = ε√d, γ = 0 and no pixel leaves [0, 1].
#[test]
fn cure_with_noise_is_n_fgsm() {
    let cure = |noise: f64| points(&format!("cure:beta=1,noise={noise},regularizer_mode=train"));
    for noise in [0.5, 1.0, 1.5] {
        let most = most(&lengths(&cure(noise), Norm::Linf)) - EPS;
        assert!(most > 0.95 * noise * EPS && most < noise * EPS + 1e-6, "{noise}: {most}");
    }
    let points = cure(1.0);
    // Of noise within ε and a step of ε the step has the sign of the sum: taken back it leaves x +
    // η.
    let change = ops::subtract(&points, &images(COUNT)).unwrap();
    let back = |change: &f32| -change.signum() * EPS as f32;
    let back = Tensor::new(points.shape(), change.host().iter().map(back).collect()).unwrap();
    let noisy = ops::add(back, &points).unwrap();
    let eps = Epsilon::new(EPS).unwrap();
    let climb = Climb { norm: Norm::Linf, epsilon: None, step: eps, steps: 1, start: None };
    let expected = climb.step(&images(COUNT), &noisy, &gradient(&noisy)).unwrap();
    let off = ops::subtract(&points, &expected).unwrap();
    let wrong = off.host().iter().filter(|off| off.abs() > 1e-6).count();
    assert!(wrong < points.len() / 200, "{wrong} of {}", points.len());
    // And at one and the same points the objectives agree.
    let indices = indices();
    let run = |spec: &str| {
        let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
        let at = EpochValues { h: H, gamma: 0.0 };
        let (network, images) = (&mut network(), images(COUNT));
        objective(spec).step_at(network, &images, &labels(), &at, &streams, Some(&points)).unwrap()
    };
    let of_cure = run("cure:alpha=0,beta=1,noise=1");
    let of_n_fgsm = run(&format!("n-fgsm:eps={EPS},noise=1,loss_mode=eval"));
    assert!((of_cure.objective / of_n_fgsm.objective - 1.0).abs() < 1e-6);
    assert!(difference(&of_cure.gradients, &of_n_fgsm.gradients) < 1e-5);
}

/// With `cut` it is N-FGSM wherever pixels are: each one is the point without cut, cut.
#[test]
fn cut_keeps_pixels_in_range() {
    let spec = "cure:beta=1,noise=2,regularizer_mode=train";
    let far = |spec: &str| points_at(spec, 0, &labels(), 40.0 * H);
    let (free, cut) = (far(spec), far(&format!("{spec},cut=true")));
    let outside = free.host().iter().filter(|pixel| !(0.0..=1.0).contains(*pixel)).count();
    assert!(outside > 0);
    for (free, cut) in free.host().iter().zip(cut.host().iter()) {
        assert_eq!(free.clamp(0.0, 1.0), *cut);
    }
    assert_eq!(points(spec), points(&format!("{spec},cut=true")));
}

/// What is found apart is what a step is made at.
#[test]
fn a_step_is_made_at_those_points() {
    for spec in ["pgd-at:eps=0.1", "trades:eps=0.1", "mart:eps=0.1", "elle:eps=0.1", "deepfool"] {
        let network = network();
        let indices = indices();
        let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
        let at = EpochValues { h: H, gamma: 0.0 };
        let found = objective(spec).points(&network, &images(COUNT), &labels(), &at, &streams);
        let there = step(&objective(spec), &network, COUNT, found.unwrap().as_ref());
        let own = step(&objective(spec), &network, COUNT, None);
        assert_eq!(own.gradients.tensors(), there.gradients.tensors(), "{spec}");
        assert_eq!(own.objective, there.objective, "{spec}");
    }
}

//! Attacks against closed forms.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, Toy, distance, epsilon, exact, linear, network, predict, uniform};
use cure_attacks::{AttackSpec, Epsilon, FgsmOptions, Norm, PgdOptions, Start, Streams, fgsm, pgd};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use proptest::prelude::*;

const INPUT: [usize; 3] = [2, 3, 4];
const LENGTH: usize = 24;

/// FGSM up the usual loss.
fn sign(norm: Norm, epsilon: Epsilon) -> FgsmOptions {
    FgsmOptions::new(norm, epsilon)
}

/// On a linear classifier an attack succeeds exactly when ε exceeds |margin|/‖w‖*, for both
/// classes, with and without random starts.
#[test]
fn success_exactly_when_epsilon_exceeds_the_distance() {
    for seed in 0..20 {
        let w = uniform(seed, &[LENGTH], -1.0, 1.0).into_vec();
        // Far from the border of the box, with a boundary near by.
        let images = uniform(100 + seed, &[6, 2, 3, 4], 0.4, 0.6);
        let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
        let classifier = linear(w.clone(), b, INPUT);
        let labels = predict(&classifier, &images);
        let logits = classifier.logits(&images).unwrap();
        for row in 0..labels.len() {
            let image = Tensor::new(
                &[1, 2, 3, 4],
                images.host()[row * LENGTH..(row + 1) * LENGTH].to_vec(),
            )
            .unwrap();
            let margin = f64::from(logits.host()[2 * row + 1]);
            for norm in [Norm::Linf, Norm::L2] {
                let least = exact(norm, &w, margin);
                for (factor, expected) in [(0.98, false), (1.02, true)] {
                    let epsilon = epsilon(factor * least);
                    let label = &labels[row..=row];
                    let found = fgsm(&classifier, &image, label, &sign(norm, epsilon)).unwrap();
                    assert_eq!(found.solved, [expected], "fgsm {norm} {seed} {row}");
                    for start in [Start::Clean, Start::Ball, Start::Sphere] {
                        let options = PgdOptions { start, ..PgdOptions::new(norm, epsilon) };
                        let indices = [row];
                        let streams = Streams::new(seed, &indices);
                        let found = pgd(&classifier, &image, label, &options, &streams).unwrap();
                        assert_eq!(found.solved, [expected], "pgd {norm} {seed} {row}");
                        assert_eq!(predict(&classifier, &found.images) != label, expected);
                    }
                }
            }
        }
    }
}

/// The update is x + step·sign(g), then the ball, then the box; sign(0) = 0.
#[test]
fn one_step_by_hand() {
    let classifier = linear(vec![1.0, -2.0, 0.0, 3.0], 5.0, [1, 1, 4]);
    let images = Tensor::new(&[1, 1, 1, 4], vec![0.5, 0.5, 0.5, 0.03]).unwrap();
    // Label 1: the loss rises against w.
    let found = fgsm(&classifier, &images, &[1], &sign(Norm::Linf, epsilon(0.0625))).unwrap();
    assert_eq!(found.images.host().to_vec(), [0.4375, 0.5625, 0.5, 0.0]);
    assert_eq!((found.forward, found.backward, &found.solved[..]), (2, 1, &[false][..]));

    let classifier = linear(vec![3.0, 0.0, -4.0, 0.0], 5.0, [1, 1, 4]);
    let found = fgsm(&classifier, &images, &[1], &sign(Norm::L2, epsilon(0.25))).unwrap();
    let expected = [0.35, 0.5, 0.7, 0.03];
    assert!(found.images.host().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
}

/// The iterates on a real network are those of the plain loop that the literature writes down
/// (and Foolbox's `LinfPGD(rel_stepsize=0.25, steps=20, random_start=False)` runs).
#[test]
fn deterministic_iterates_are_those_of_the_plain_loop() {
    let classifier = network();
    for (norm, radius) in [(Norm::Linf, 8.0 / 255.0), (Norm::L2, 0.5)] {
        for seed in 0..8 {
            let clean = uniform(seed, &[1, 1, 8, 8], 0.0, 1.0);
            let labels = predict(&classifier, &clean);
            let spy = Spy::on(&classifier);
            let options = PgdOptions {
                start: Start::Clean,
                early_stop: false,
                ..PgdOptions::new(norm, epsilon(radius))
            };
            pgd(&spy, &clean, &labels, &options, &Streams::new(0, &[0])).unwrap();

            let (radius, step) = (radius as f32, (radius / 4.0) as f32);
            let mut x = clean.host().to_vec();
            for seen in spy.seen.lock().unwrap().iter() {
                let apart = distance(Norm::Linf, seen, &x);
                assert!(apart < 1e-6, "{norm} {seed}: {apart}");
                let point = Tensor::new(&[1, 1, 8, 8], x.clone()).unwrap();
                let at = classifier.linearize(&point).unwrap();
                let entropy = ops::cross_entropy(at.logits(), &labels).unwrap();
                let gradient = at.pullback(&entropy.residual).unwrap();
                let gradient = match norm {
                    Norm::Linf => ops::map(gradient, f32::signum),
                    _ => ops::normalised(&gradient).unwrap(),
                };
                let steps = gradient.host();
                let mut change: Vec<f32> =
                    (0..64).map(|i| x[i] + step * steps[i] - clean.host()[i]).collect();
                match norm {
                    Norm::Linf => {
                        change.iter_mut().for_each(|value| *value = value.clamp(-radius, radius));
                    }
                    _ => {
                        let length = change.iter().map(|value| value * value).sum::<f32>().sqrt();
                        let factor = (radius / length).min(1.0);
                        change.iter_mut().for_each(|value| *value *= factor);
                    }
                }
                x = (0..64).map(|i| (clean.host()[i] + change[i]).clamp(0.0, 1.0)).collect();
            }
            assert_eq!(spy.seen.lock().unwrap().len(), 21);
        }
    }
}

/// Four steps of ε/4 reach the ball's border at the fourth: a success there is one of the last
/// iterate.
#[test]
fn the_last_iterate_counts() {
    let (w, length) = (vec![1.0; LENGTH], LENGTH as f64);
    let images = Tensor::full(&[1, 2, 3, 4], 0.5);
    let epsilon = epsilon(0.1);
    // The margin is 0.9 of what ε can move: three steps move 0.75.
    let classifier = linear(w, -0.5 * length - 0.09 * length, INPUT);
    for (steps, expected) in [(3, false), (4, true)] {
        let options =
            PgdOptions { steps, start: Start::Clean, ..PgdOptions::new(Norm::Linf, epsilon) };
        let found = pgd(&classifier, &images, &[0], &options, &Streams::new(0, &[0])).unwrap();
        assert_eq!(found.solved, [expected], "{steps} steps");
    }
}

/// Three classes and a gradient that always points right: class 1 wins only while the first
/// pixel is in (0.55, 0.65); further on class 0 wins again, yet at a higher loss.
fn window() -> impl Classifier {
    Toy {
        classes: 3,
        input: [1, 1, 1],
        logits: |image: &[f32]| {
            if image[0] > 0.55 && image[0] < 0.65 {
                vec![0.0, 0.1, -10.0]
            } else {
                vec![0.0, -0.01, -0.01]
            }
        },
        pullback: |_: &[f32], _: &[f32]| vec![1.0],
    }
}

#[test]
fn an_example_once_found_is_never_lost() {
    let images = Tensor::full(&[1, 1, 1, 1], 0.5);
    for early_stop in [true, false] {
        let options = PgdOptions {
            steps: 4,
            start: Start::Clean,
            early_stop,
            ..PgdOptions::new(Norm::Linf, epsilon(0.4))
        };
        let found = pgd(&window(), &images, &[0], &options, &Streams::new(0, &[0])).unwrap();
        assert_eq!(found.solved, [true]);
        assert!((found.images.host()[0] - 0.6).abs() < 1e-6, "{:?}", found.images);
        // Iterates 0.5, 0.6 | 0.7, 0.8, 0.9.
        let expected = if early_stop { (2, 1) } else { (5, 4) };
        assert_eq!((found.forward, found.backward), expected);
    }
}

#[test]
fn without_success_the_iterate_of_highest_loss_is_returned() {
    // Loss rises up to 0.7 and falls after it; the class never changes.
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |image: &[f32]| vec![0.0, -1.0 - (image[0] - 0.7).abs()],
        pullback: |_: &[f32], _: &[f32]| vec![1.0],
    };
    let images = Tensor::full(&[1, 1, 1, 1], 0.5);
    let options =
        PgdOptions { steps: 4, start: Start::Clean, ..PgdOptions::new(Norm::Linf, epsilon(0.4)) };
    let found = pgd(&classifier, &images, &[0], &options, &Streams::new(0, &[0])).unwrap();
    assert_eq!(found.solved, [false]);
    assert!((found.images.host()[0] - 0.7).abs() < 1e-6, "{:?}", found.images);
    assert!((found.best_loss[0] - (-1f64).exp().ln_1p()).abs() < 1e-6);
}

/// Samples that are the same image: chance alone decides which restart solves which.
#[test]
fn restarts_differ_and_are_judged_per_sample() {
    // Only random starts in the upper 1.5 % of the ball succeed: steps are too short to help.
    let classifier = linear(vec![1.0], -0.597, [1, 1, 1]);
    let n = 40;
    let images = Tensor::full(&[n, 1, 1, 1], 0.5);
    let (labels, indices) = (vec![0; n], (0..n).collect::<Vec<_>>());
    let streams = Streams::new(3, &indices);
    let solved = |restarts| {
        let options = PgdOptions {
            steps: 1,
            step: epsilon(1e-6),
            restarts,
            ..PgdOptions::new(Norm::Linf, epsilon(0.1))
        };
        pgd(&classifier, &images, &labels, &options, &streams).unwrap().solved
    };
    let runs: Vec<Vec<bool>> = [1, 10, 100, 600].into_iter().map(solved).collect();
    let counts: Vec<usize> =
        runs.iter().map(|run| run.iter().filter(|&&solved| solved).count()).collect();
    // A start succeeds with probability 0.015: 600 of them fail with 1e-4.
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
    assert_eq!(counts[3], n, "{counts:?}");
    for pair in runs.windows(2) {
        assert!(pair[0].iter().zip(&pair[1]).all(|(fewer, more)| !fewer || *more));
    }
}

#[test]
fn solved_samples_leave_the_batch_and_counts_are_true() {
    let w = vec![1.0; LENGTH];
    let classifier = linear(w, -0.5 * LENGTH as f64 - 1.0, INPUT);
    let images = uniform(9, &[16, 2, 3, 4], 0.4, 0.6);
    let labels = vec![0; 16];
    let indices: Vec<usize> = (0..16).collect();
    for early_stop in [true, false] {
        let spy = Spy::on(&classifier);
        let options = PgdOptions {
            restarts: 2,
            steps: 5,
            early_stop,
            ..PgdOptions::new(Norm::Linf, epsilon(0.05))
        };
        let found = pgd(&spy, &images, &labels, &options, &Streams::new(0, &indices)).unwrap();
        assert_eq!(found.forward, spy.seen.lock().unwrap().len() as u64);
        assert_eq!(found.backward, *spy.backward.lock().unwrap());
        assert!(found.solved.contains(&true) && found.solved.contains(&false));
        // Two restarts of six forwards and five backwards.
        assert_eq!(found.forward < 16 * 12, early_stop);
        assert_eq!(found.backward < 16 * 10, early_stop);
    }
}

#[test]
fn early_stop_changes_the_cost_only() {
    let w = uniform(1, &[LENGTH], -1.0, 1.0).into_vec();
    let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
    let classifier = linear(w, b, INPUT);
    let images = uniform(2, &[50, 2, 3, 4], 0.3, 0.7);
    let labels = predict(&classifier, &images);
    let indices: Vec<usize> = (0..50).collect();
    let run = |early_stop| {
        let options = PgdOptions { early_stop, ..PgdOptions::new(Norm::Linf, epsilon(0.05)) };
        pgd(&classifier, &images, &labels, &options, &Streams::new(0, &indices)).unwrap()
    };
    let (stopped, full) = (run(true), run(false));
    assert_eq!(stopped.solved, full.solved);
    for row in 0..50 {
        if !stopped.solved[row] {
            assert_eq!(stopped.best_loss[row], full.best_loss[row]);
        }
    }
}

#[test]
fn no_direction_no_move_and_it_is_said() {
    let images = Tensor::full(&[2, 2, 3, 4], 0.5);
    let constant = linear(vec![0.0; LENGTH], -1.0, INPUT);
    let options = PgdOptions::new(Norm::L2, epsilon(0.5));
    let found = pgd(&constant, &images, &[0, 0], &options, &Streams::new(0, &[0, 1])).unwrap();
    assert_eq!((&found.zero_gradient[..], &found.undecided[..]), (&[true; 2][..], &[true; 2][..]));
    assert!(found.images.is_finite());

    let poisoned = linear(vec![1.0; LENGTH], -100.0, INPUT);
    let poisoned = Toy {
        classes: 2,
        input: INPUT,
        logits: poisoned.logits,
        // The second image's gradient is infinite.
        pullback: |image: &[f32], _: &[f32]| {
            vec![if image[0] > 0.7 { f32::INFINITY } else { 1.0 }; LENGTH]
        },
    };
    let mut pixels = vec![0.2; LENGTH];
    pixels.extend([0.9; LENGTH]);
    let images = Tensor::new(&[2, 2, 3, 4], pixels).unwrap();
    for norm in [Norm::Linf, Norm::L2] {
        let options = PgdOptions { start: Start::Clean, ..PgdOptions::new(norm, epsilon(0.1)) };
        let found = pgd(&poisoned, &images, &[0, 0], &options, &Streams::new(0, &[0, 1])).unwrap();
        assert_eq!(found.non_finite_gradient, [false, true]);
        assert_eq!(found.undecided, [false, true]);
        assert!(found.images.is_finite());
    }
}

proptest! {
    /// Every image the classifier is asked about lies in the ball and in the box.
    #[test]
    fn every_iterate_is_in_ball_and_box(
        seed in any::<u64>(),
        norm in 0usize..3,
        radius in prop_oneof![1e-6f64..1e-3, 1e-3..1.0],
        step in 0.01f64..3.0,
        start in prop_oneof![Just(Start::Clean), Just(Start::Ball), Just(Start::Sphere)],
        momentum in prop_oneof![Just(0.0), Just(0.9)],
        spread in 0f32..=0.5,
    ) {
        let norm = [Norm::Linf, Norm::L2, Norm::L1][norm];
        let w = uniform(seed, &[LENGTH], -1.0, 1.0).into_vec();
        // Never fooled, so that no step is skipped; many pixels at the border of the box.
        let classifier = linear(w, -40.0, INPUT);
        let image = uniform(!seed, &[1, 2, 3, 4], 0.5 - 2.0 * spread, 0.5 + 2.0 * spread);
        let image =
            Tensor::new(image.shape(), image.host().iter().map(|x| x.clamp(0.0, 1.0)).collect())
                .unwrap();
        let spy = Spy::on(&classifier);
        let options = PgdOptions {
            start,
            momentum,
            steps: 6,
            // Shorter steps than 1e-7 are refused.
            step: epsilon((step * radius).clamp(1e-7, 1.0)),
            ..PgdOptions::new(norm, epsilon(radius))
        };
        pgd(&spy, &image, &[0], &options, &Streams::new(seed, &[7])).unwrap();
        let seen = spy.seen.lock().unwrap();
        prop_assert_eq!(seen.len(), 7);
        for point in seen.iter() {
            prop_assert!(point.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            let found = distance(norm, point, &image.host());
            prop_assert!(found <= radius * (1.0 + 1e-6), "{found} is over {radius}");
        }
    }
}

#[test]
fn misuse_is_refused_by_name() {
    let classifier = linear(vec![1.0; LENGTH], 0.0, INPUT);
    let images = Tensor::full(&[2, 2, 3, 4], 0.5);
    let run = |images: &Tensor, labels: &[usize], indices: &[usize]| {
        let spec: AttackSpec = "pgd:eps=8/255".parse().unwrap();
        let run = spec.run(&classifier, images, labels, &Streams::new(0, indices));
        run.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(run(&images, &[0, 1], &[0, 1]), Ok(()));
    let pixels = |value: f32| Tensor::full(&[2, 2, 3, 4], value);
    assert_eq!(run(&pixels(-3e-8), &[0, 1], &[0, 1]), Ok(()));
    for (images, labels, indices, parts) in [
        (&pixels(128.0), &[0, 1][..], &[0, 1][..], &["128", "[0, 1]"][..]),
        (&pixels(f32::NAN), &[0, 1], &[0, 1], &["NaN", "[0, 1]"]),
        (&images, &[0, 2], &[0, 1], &["label 2 of image 1", "0 to 1"]),
        (&images, &[0], &[0, 1], &["1 labels for 2 images"]),
        (&images, &[0, 1], &[0], &["1 indices for 2 images"]),
        (&Tensor::full(&[2, 1, 3, 4], 0.5), &[0, 1], &[0, 1], &["[2, 3, 4]", "[2, 1, 3, 4]"]),
    ] {
        let error = run(images, labels, indices).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let far: AttackSpec = "pgd:norm=l2,eps=8".parse().unwrap();
    let error = far.run(&classifier, &images, &[0, 1], &Streams::new(0, &[0, 1])).unwrap_err();
    assert!(error.to_string().contains("√24 = 4.90"), "{error}");
    let empty = Tensor::zeros(&[0, 2, 3, 4]);
    let spec: AttackSpec = "pgd:eps=8/255".parse().unwrap();
    assert!(spec.run(&classifier, &empty, &[], &Streams::new(0, &[])).unwrap().solved.is_empty());
}

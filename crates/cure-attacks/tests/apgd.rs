//! Auto-PGD against closed forms and against the plain loop of the literature.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{
    Spy, Toy, assert_nothing_but_the_sample_counts, distance, epsilon, exact, linear,
    linear_classes, network, predict, uniform,
};
use cure_attacks::{
    ApgdOptions, ApgdTargetedOptions, Attack, AttackSpec, Loss, Norm, Streams, apgd, apgd_targeted,
};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use proptest::prelude::*;

const NORMS: [Norm; 2] = [Norm::Linf, Norm::L2];

fn image(images: &Tensor, row: usize) -> Tensor {
    ops::select(images, &[row]).unwrap()
}

#[test]
fn success_exactly_when_epsilon_exceeds_the_distance() {
    for (seed, input) in (0..12).zip([[2, 3, 4], [1, 1, 3], [3, 8, 8]].into_iter().cycle()) {
        let length: usize = input.iter().product();
        let w = uniform(seed, &[length], -1.0, 1.0).into_vec();
        let images = uniform(100 + seed, &[4, input[0], input[1], input[2]], 0.45, 0.55);
        let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
        let classifier = linear(w.clone(), b, input);
        let (labels, logits) = (predict(&classifier, &images), classifier.logits(&images).unwrap());
        for row in 0..labels.len() {
            let margin = f64::from(logits.host()[2 * row + 1]);
            for norm in NORMS {
                for (factor, expected) in [(0.98, false), (1.02, true)] {
                    let epsilon = epsilon(factor * exact(norm, &w, margin));
                    for loss in [Loss::CrossEntropy, Loss::CrossEntropyF32] {
                        let options = ApgdOptions { loss, ..ApgdOptions::new(norm, epsilon) };
                        let (point, label) = (image(&images, row), &labels[row..=row]);
                        let streams = Streams::new(seed, &[7]);
                        let found = apgd(&classifier, &point, label, &options, &streams).unwrap();
                        assert_eq!(found.solved, [expected], "{norm} {loss} {seed} {row}");
                        assert_eq!(predict(&classifier, &found.images) != label, expected);
                        assert_eq!(found.undecided, [false]);
                    }
                }
            }
        }
    }
}

/// Five classes: the nearest boundary decides. Targeted APGD finds it though it is not always that
/// of the first target.
#[test]
fn the_nearest_of_several_boundaries_is_found() {
    let input = [2, 3, 4];
    for seed in 0..8 {
        let w: Vec<Vec<f32>> =
            (0..5).map(|class| uniform(seed * 5 + class, &[24], -1.0, 1.0).into_vec()).collect();
        // All logits are the same in the middle of the box.
        let b = w.iter().map(|w| -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>()).collect();
        let classifier = linear_classes(w.clone(), b, input);
        let images = uniform(100 + seed, &[4, 2, 3, 4], 0.45, 0.55);
        let (labels, logits) = (predict(&classifier, &images), classifier.logits(&images).unwrap());
        for row in 0..4 {
            let (label, logits) = (labels[row], &logits.host()[5 * row..5 * row + 5]);
            for norm in NORMS {
                let least = (0..5)
                    .filter(|&class| class != label)
                    .map(|class| {
                        let w: Vec<f32> =
                            w[class].iter().zip(&w[label]).map(|(a, b)| a - b).collect();
                        exact(norm, &w, f64::from(logits[label] - logits[class]))
                    })
                    .fold(f64::INFINITY, f64::min);
                for (factor, expected) in [(0.98, false), (1.02, true)] {
                    let options = ApgdTargetedOptions::new(norm, epsilon(factor * least));
                    let streams = Streams::new(seed, &[7]);
                    let point = image(&images, row);
                    let found =
                        apgd_targeted(&classifier, &point, &[label], &options, &streams).unwrap();
                    assert_eq!(found.solved, [expected], "{norm} {seed} {row} {factor}");
                }
            }
        }
    }
}

/// From the same start the iterates are those of the authors' loop, written down here in single
/// precision.
#[test]
fn iterates_are_those_of_the_plain_loop() {
    let classifier = network();
    for (norm, radius) in [(Norm::Linf, 1e-3f32), (Norm::L2, 4e-3)] {
        let mut halvings = 0;
        for seed in 0..6 {
            let clean = uniform(seed, &[1, 1, 8, 8], 0.1, 0.9);
            let labels = predict(&classifier, &clean);
            let spy = Spy::on(&classifier);
            let options = ApgdOptions::new(norm, epsilon(f64::from(radius)));
            let found = apgd(&spy, &clean, &labels, &options, &Streams::new(seed, &[3])).unwrap();
            assert_eq!(found.solved, [false]);
            let seen = spy.seen.lock().unwrap();
            assert_eq!((seen.len(), found.forward, found.backward), (101, 101, 100));

            let clean = clean.host();
            let project = |x: Vec<f32>| -> Vec<f32> {
                let mut d: Vec<f32> = x.iter().zip(clean.iter()).map(|(x, c)| x - c).collect();
                let size = d.iter().map(|d| d * d).sum::<f32>().sqrt();
                for d in &mut d {
                    *d = match norm {
                        Norm::Linf => d.clamp(-radius, radius),
                        _ => *d * (radius / size).min(1.0),
                    };
                }
                d.iter().zip(clean.iter()).map(|(d, c)| (c + d).clamp(0.0, 1.0)).collect()
            };
            let look = |x: &[f32]| -> (f64, Vec<f32>) {
                let point = Tensor::new(&[1, 1, 8, 8], x.to_vec()).unwrap();
                let at = classifier.linearize(&point).unwrap();
                let entropy = ops::cross_entropy(at.logits(), &labels).unwrap();
                (entropy.losses.to_vec()[0], at.pullback(&entropy.residual).unwrap().into_vec())
            };
            let mut x = seen[0].clone();
            let (mut loss, mut gradient) = look(&x);
            let (mut old, mut best) = (x.clone(), (loss, x.clone(), gradient.clone()));
            let (mut step, mut rises, mut halved, mut checked) = (2.0 * radius, 0, true, loss);
            let (mut window, mut left) = (22i32, 22);
            for i in 0..100 {
                let inertia: Vec<f32> = x.iter().zip(&old).map(|(a, b)| a - b).collect();
                old = x.clone();
                let share = if i > 0 { 0.75 } else { 1.0 };
                let size = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
                let z = project(
                    x.iter()
                        .zip(&gradient)
                        .map(|(x, g)| {
                            x + step * if norm == Norm::L2 { g / size } else { g.signum() }
                        })
                        .collect(),
                );
                x = project(
                    (0..64)
                        .map(|i| x[i] + (z[i] - x[i]) * share + inertia[i] * (1.0 - share))
                        .collect(),
                );
                let apart = distance(Norm::Linf, &x, &seen[i + 1]);
                assert!(apart < 1e-6, "{norm} {seed} {i}: {apart}");
                // Rounding does not add up: the comparison goes on from our point.
                x = seen[i + 1].clone();
                let before = loss;
                (loss, gradient) = look(&x);
                rises += i32::from(loss > before);
                if loss > best.0 {
                    best = (loss, x.clone(), gradient.clone());
                }
                left -= 1;
                if left == 0 {
                    halved = f64::from(rises) <= 0.75 * f64::from(window)
                        || (!halved && checked >= best.0);
                    if halved {
                        step /= 2.0;
                        (x, gradient) = (best.1.clone(), best.2.clone());
                        halvings += 1;
                    }
                    (rises, checked) = (0, best.0);
                    window = (window - 3).max(6);
                    left = window;
                }
            }
            assert!((found.best_loss[0] - best.0).abs() < 1e-12);
        }
        assert!(halvings > 10, "{halvings}");
    }
}

#[test]
fn nothing_but_the_sample_counts() {
    assert_nothing_but_the_sample_counts(&[
        "apgd:eps=0.03,steps=12,restarts=2",
        "apgd:norm=l2,eps=0.2,steps=12,loss=dlr",
        "apgd-t:eps=0.03,steps=8,targets=3",
        "apgd-t:norm=l2,eps=0.2,steps=8,targets=2,restarts=2",
    ]);
}

/// Class 1 wins at starts below the image alone; from there the gradient leads on to higher losses
/// of the right class.
#[test]
fn an_example_once_found_is_never_lost() {
    let toy = Toy {
        classes: 4,
        input: [1, 1, 1],
        logits: |image: &[f32]| {
            let other = image[0] / 100.0 - 0.02;
            vec![0.0, if image[0] < 0.2 { 0.1 } else { other }, other, other]
        },
        pullback: |_: &[f32], _: &[f32]| vec![1.0],
    };
    let images = Tensor::full(&[16, 1, 1, 1], 0.5);
    let indices: Vec<usize> = (0..16).collect();
    for name in ["apgd:", "apgd-t:targets=1,"] {
        for norm in NORMS {
            let run = |eot: usize| {
                let text = format!("{name}norm={norm},eps=0.4,steps=5,eot={eot}");
                let spec: AttackSpec = text.parse().unwrap();
                let streams = Streams::new(0, &indices);
                spec.run(&toy, &images, &[0; 16], &streams).unwrap()
            };
            let (leaving, staying) = (run(1), run(2));
            let solved = leaving.solved.iter().filter(|&&solved| solved).count();
            assert!(solved > 0 && solved < 16, "{name} {norm}");
            assert_eq!(leaving.solved, staying.solved, "{name} {norm}");
            for found in [leaving, staying] {
                let classes = predict(&toy, &found.images);
                assert!(
                    classes
                        .iter()
                        .zip(&found.solved)
                        .all(|(class, &solved)| (*class == 1) == solved)
                );
            }
        }
    }
}

#[test]
fn solved_samples_leave_and_costs_are_true() {
    let input = [1, 2, 2];
    let classifier = linear_classes(
        (0..4).map(|class| uniform(class, &[4], -1.0, 1.0).into_vec()).collect(),
        vec![0.0; 4],
        input,
    );
    let images = uniform(3, &[20, 1, 2, 2], 0.0, 1.0);
    let (labels, indices) = (predict(&classifier, &images), (0..20).collect::<Vec<_>>());
    for (text, most) in [
        ("apgd:eps=0.1,steps=9,restarts=2", 20 * 2 * 10),
        ("apgd-t:eps=0.1,steps=9", 20 * (1 + 3 * 10)),
        ("apgd:eps=0.1,steps=9,eot=3", 20 * 28),
    ] {
        let spy = Spy::on(&classifier);
        let spec: AttackSpec = text.parse().unwrap();
        let found = spec.run(&spy, &images, &labels, &Streams::new(0, &indices)).unwrap();
        assert_eq!(found.forward, spy.seen.lock().unwrap().len() as u64, "{text}");
        assert_eq!(found.backward, *spy.backward.lock().unwrap(), "{text}");
        assert!(found.solved.contains(&true) && found.solved.contains(&false), "{text}");
        let averaged = text.contains("eot");
        assert_eq!(found.forward == most, averaged, "{text}: {}", found.forward);
        assert!(found.forward <= most && found.backward < found.forward, "{text}");
    }
}

/// The start of every restart and target is another point of the ball's border.
#[test]
fn starts_are_on_the_border_and_differ() {
    let classifier = linear_classes(
        (0..4).map(|class| uniform(class, &[64], -0.01, 0.01).into_vec()).collect(),
        vec![9.0, 0.0, 0.0, 0.0],
        [1, 8, 8],
    );
    let clean = uniform(3, &[1, 1, 8, 8], 0.4, 0.6);
    for norm in NORMS {
        let spy = Spy::on(&classifier);
        let options = ApgdTargetedOptions {
            steps: 1,
            restarts: 2,
            ..ApgdTargetedOptions::new(norm, epsilon(0.1))
        };
        apgd_targeted(&spy, &clean, &[0], &options, &Streams::new(0, &[4])).unwrap();
        let seen = spy.seen.lock().unwrap();
        // The clean image, then for three targets and two restarts a start and a step.
        assert_eq!(seen.len(), 13);
        let starts: Vec<&Vec<f32>> = seen.iter().skip(1).step_by(2).collect();
        for (position, start) in starts.iter().enumerate() {
            assert!((distance(norm, start, &clean.host()) - 0.1).abs() < 1e-6);
            assert!(!starts[..position].contains(start));
        }
        if norm == Norm::Linf {
            // Not a corner: the changes are spread evenly.
            let inner = starts.iter().flat_map(|start| start.iter().zip(clean.host().to_vec()));
            let inner = inner.filter(|(a, b)| (*a - b).abs() < 0.05).count();
            assert!((150..235).contains(&inner), "{inner}");
        }
    }
}

/// Two looks of three point down, the third up and further: their sum points up.
#[test]
fn gradients_are_averaged_over_looks() {
    let looks = AtomicUsize::new(0);
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |image: &[f32]| vec![0.0, image[0] - 0.65],
        pullback: |_: &[f32], _: &[f32]| {
            let look = looks.fetch_add(1, Ordering::Relaxed);
            vec![if look % 3 == 2 { 4.0 } else { -1.0 }]
        },
    };
    let images = Tensor::full(&[1, 1, 1, 1], 0.5);
    let solved = |eot| {
        looks.store(0, Ordering::Relaxed);
        let options = ApgdOptions { eot, steps: 1, ..ApgdOptions::new(Norm::Linf, epsilon(0.2)) };
        // A start below the image: one step of 2ε reaches the upper border.
        let indices: Vec<usize> = (0..16).collect();
        let run = |&index: &usize| {
            looks.store(0, Ordering::Relaxed);
            let indices = [index];
            let streams = Streams::new(0, &indices);
            apgd(&classifier, &images, &[0], &options, &streams).unwrap().solved[0]
        };
        indices.iter().filter(|index| run(index)).count()
    };
    // The starts that are solved at once are those above.
    let (alone, averaged) = (solved(1), solved(3));
    assert!(alone > 0 && alone < 16, "{alone}");
    assert_eq!(averaged, 16);
}

#[test]
fn no_gradient_is_never_robust() {
    let toy = |gradient: f32| Toy {
        classes: 4,
        input: [1, 2, 2],
        logits: |image: &[f32]| vec![0.0, image[0] - 2.0, -3.0, -4.0],
        pullback: move |_: &[f32], _: &[f32]| vec![gradient; 4],
    };
    let images = Tensor::full(&[2, 1, 2, 2], 0.5);
    for name in ["apgd", "apgd-t"] {
        for norm in NORMS {
            let spec: AttackSpec = format!("{name}:norm={norm},eps=0.1").parse().unwrap();
            let run = |gradient| {
                let streams = Streams::new(0, &[0, 1]);
                spec.run(&toy(gradient), &images, &[0, 0], &streams).unwrap()
            };
            let (zero, nan, usual) = (run(0.0), run(f32::NAN), run(1.0));
            assert_eq!(
                (&zero.zero_gradient[..], &zero.undecided[..]),
                (&[true; 2][..], &[true; 2][..])
            );
            assert_eq!(
                (&nan.non_finite_gradient[..], &nan.undecided[..]),
                (&[true; 2][..], &[true; 2][..])
            );
            assert!(nan.images.is_finite());
            assert_eq!(usual.undecided, [false; 2]);
        }
    }
}

proptest! {
    #[test]
    fn every_iterate_is_in_ball_and_box(
        seed in any::<u64>(),
        l2 in any::<bool>(),
        targeted in any::<bool>(),
        radius in prop_oneof![1e-6f64..1e-3, 1e-3..1.0],
        spread in 0f32..=0.5,
    ) {
        let norm = if l2 { Norm::L2 } else { Norm::Linf };
        let w = (0..4).map(|class| uniform(seed ^ class, &[24], -1.0, 1.0).into_vec()).collect();
        // Never fooled; many pixels at the border of the box.
        let classifier = linear_classes(w, vec![50.0, 0.0, 0.0, 0.0], [2, 3, 4]);
        let image = uniform(!seed, &[1, 2, 3, 4], 0.5 - 2.0 * spread, 0.5 + 2.0 * spread);
        let image = ops::map(image, |pixel| pixel.clamp(0.0, 1.0));
        let spy = Spy::on(&classifier);
        let name = if targeted { "apgd-t:targets=1," } else { "apgd:" };
        let spec: AttackSpec = format!("{name}norm={norm},eps={radius},steps=20").parse().unwrap();
        spec.run(&spy, &image, &[0], &Streams::new(seed, &[7])).unwrap();
        let seen = spy.seen.lock().unwrap();
        prop_assert_eq!(seen.len(), 21 + usize::from(targeted));
        for point in seen.iter() {
            prop_assert!(point.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            let found = distance(norm, point, &image.host());
            prop_assert!(found <= radius * (1.0 + 1e-6), "{found} is over {radius}");
        }
    }
}

#[test]
fn refusals_name_what_is_accepted() {
    for (text, parts) in [
        ("apgd:eps=8/255,norm=l1", &["norm = `l1`", "linf, l2"][..]),
        ("apgd:eps=8/255,rho=1.5", &["rho = `1.5`", "from 0 to 1"]),
        ("apgd-t:eps=8/255,targets=0", &["targets = `0`", "at least 1"]),
        ("apgd-t:eps=8/255,eot=0", &["eot = `0`", "at least 1"]),
        ("apgd-t:eps=8", &["did you mean 8/255"]),
    ] {
        let error = text.parse::<AttackSpec>().unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
    let options = ApgdTargetedOptions::new(Norm::Linf, epsilon(0.1));
    assert!(options.check(None, Some(4)).is_ok());
    let error = options.check(None, Some(3)).unwrap_err().to_string();
    assert!(error.contains("needs 4 classes, the network has 3; use apgd:loss=ce"), "{error}");
    let options = ApgdOptions { steps: 0, ..ApgdOptions::new(Norm::Linf, epsilon(0.1)) };
    assert!(options.check(None, None).unwrap_err().to_string().contains("steps = `0`"));
    let rarer = "apgd:norm=l2,eps=0.5,loss=dlr,steps=50,restarts=5,rho=0.5,eot=20";
    assert_eq!(rarer.parse::<AttackSpec>().unwrap().to_string(), rarer);
    let rarer = "apgd-t:norm=l2,eps=0.5,targets=3,steps=50,restarts=2,rho=0.5,eot=20";
    assert_eq!(rarer.parse::<AttackSpec>().unwrap().to_string(), rarer);
}

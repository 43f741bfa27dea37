//! The Square attack.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    Spy, Toy, assert_nothing_but_the_sample_counts, distance, epsilon, exact, linear, predict,
    uniform,
};
use cure_attacks::{AttackSpec, Norm, SquareOptions, Streams, square};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use proptest::prelude::*;

const NORMS: [Norm; 2] = [Norm::Linf, Norm::L2];

/// A random search comes near the best perturbation of a linear classifier, never beyond it. (In
/// ℓ2, whose bumps are at least three pixels wide, for few pixels and one channel.)
#[test]
fn success_well_beyond_the_distance_and_never_below_it() {
    for (seed, input) in (0..6).zip([[1, 6, 6], [1, 8, 8], [1, 5, 7]].into_iter().cycle()) {
        for norm in NORMS {
            let length: usize = input.iter().product();
            let w = uniform(seed, &[length], -1.0, 1.0).into_vec();
            let images = uniform(100 + seed, &[5, input[0], input[1], input[2]], 0.45, 0.55);
            let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
            let classifier = linear(w.clone(), b, input);
            let labels = predict(&classifier, &images);
            let logits = classifier.logits(&images).unwrap();
            for row in 0..labels.len() {
                let margin = f64::from(logits.host()[2 * row + 1]);
                for (factor, expected) in [(0.98, false), (1.5, true)] {
                    let epsilon = epsilon(factor * exact(norm, &w, margin));
                    let options = SquareOptions::new(norm, epsilon);
                    let point = ops::select(&images, &[row]).unwrap();
                    let streams = Streams::new(seed, &[7]);
                    let label = &labels[row..=row];
                    let found = square(&classifier, &point, label, &options, &streams).unwrap();
                    assert_eq!(found.solved, [expected], "{norm} {seed} {row}");
                    assert_eq!(predict(&classifier, &found.images) != label, expected);
                    assert_eq!((found.undecided[0], found.backward), (false, 0));
                }
            }
        }
    }
}

#[test]
fn nothing_but_the_sample_counts() {
    assert_nothing_but_the_sample_counts(&[
        "square:eps=0.05,queries=60,restarts=2",
        "square:norm=l2,eps=0.4,queries=60",
    ]);
}

/// Every query is one image, its square drawn for that image; solved images are asked no more.
#[test]
fn each_sample_is_asked_on_its_own_until_solved() {
    let classifier = linear(vec![1.0; 36], -22.0, [1, 6, 6]);
    // Three times the same image, which three stripes of six cannot solve, and a near one.
    let mut values = vec![0.5; 3 * 36];
    values.extend([0.605; 36]);
    let images = Tensor::new(&[4, 1, 6, 6], values).unwrap();
    for norm in NORMS {
        let radius = if norm == Norm::Linf { 0.05 } else { 0.3 };
        let spy = Spy::on(&classifier);
        let options = SquareOptions { queries: 40, ..SquareOptions::new(norm, epsilon(radius)) };
        let streams = Streams::new(1, &[0, 1, 2, 3]);
        let found = square(&spy, &images, &[0; 4], &options, &streams).unwrap();
        assert_eq!(found.solved, [false, false, false, true], "{norm}");
        let seen = spy.seen.lock().unwrap();
        assert_eq!((found.forward, found.backward), (seen.len() as u64, 0));
        let of_last =
            seen.iter().filter(|point| distance(norm, point, &[0.605; 36]) < radius * 1.01);
        assert!(of_last.count() < 41, "{norm}");
        assert!((3 * 41 + 1..4 * 41).contains(&seen.len()), "{}", seen.len());
        // The last queries of the three left.
        let last = &seen[seen.len() - 3..];
        assert!(last[0] != last[1] && last[1] != last[2] && last[0] != last[2]);
    }
}

/// In ℓ∞ every pixel is at ε from the image, and squares reach the last row and column.
#[test]
fn squares_reach_every_pixel() {
    let classifier = linear(vec![1e-3; 36], -9.0, [1, 6, 6]);
    let images = Tensor::full(&[1, 1, 6, 6], 0.5);
    let spy = Spy::on(&classifier);
    let options = SquareOptions { queries: 1200, ..SquareOptions::new(Norm::Linf, epsilon(0.25)) };
    let found = square(&spy, &images, &[0], &options, &Streams::new(1, &[0])).unwrap();
    // The best perturbation is +ε everywhere.
    assert!(found.images.host().iter().all(|&pixel| pixel == 0.75), "{:?}", found.images);
    for point in spy.seen.lock().unwrap().iter() {
        assert!(point.iter().all(|&pixel| pixel == 0.25 || pixel == 0.75));
    }
}

#[test]
fn an_example_once_found_is_never_lost() {
    // Class 1 while the mean is just above the middle, at a lower margin than beyond.
    let classifier = Toy {
        classes: 2,
        input: [1, 4, 4],
        logits: |image: &[f32]| {
            let mean = image.iter().sum::<f32>() / 16.0;
            vec![0.0, if (0.52..0.56).contains(&mean) { 1.0 } else { -1.0 - (mean - 0.54).abs() }]
        },
        pullback: |_: &[f32], _: &[f32]| unreachable!("it needs no gradients"),
    };
    let images = Tensor::full(&[6, 1, 4, 4], 0.5);
    let indices: Vec<usize> = (0..6).collect();
    for norm in NORMS {
        let radius = if norm == Norm::Linf { 0.1 } else { 0.4 };
        let options = SquareOptions {
            queries: 300,
            restarts: 2,
            ..SquareOptions::new(norm, epsilon(radius))
        };
        let streams = Streams::new(0, &indices);
        let found = square(&classifier, &images, &[0; 6], &options, &streams).unwrap();
        assert_eq!(found.solved, [true; 6], "{norm}");
        assert_eq!(predict(&classifier, &found.images), [1; 6], "{norm}");
    }
}

/// Where no query changes the margin the search was blind.
#[test]
fn constant_logits_are_never_robust() {
    let images = uniform(1, &[3, 1, 4, 4], 0.2, 0.8);
    for norm in NORMS {
        let options = SquareOptions { queries: 20, ..SquareOptions::new(norm, epsilon(0.1)) };
        let run = |weight: f32| {
            let classifier = linear(vec![weight; 16], -20.0, [1, 4, 4]);
            square(&classifier, &images, &[0; 3], &options, &Streams::new(0, &[0, 1, 2])).unwrap()
        };
        assert_eq!(run(0.0).undecided, [true; 3]);
        assert_eq!(run(1.0).undecided, [false; 3]);
    }
    let nan = Toy {
        classes: 2,
        input: [1, 4, 4],
        logits: |_: &[f32]| vec![0.0, f32::NAN],
        pullback: |_: &[f32], _: &[f32]| vec![],
    };
    let options = SquareOptions::new(Norm::Linf, epsilon(0.1));
    let found = square(&nan, &images, &[0; 3], &options, &Streams::new(0, &[0, 1, 2])).unwrap();
    assert_eq!((&found.solved[..], &found.non_finite_logits[..]), (&[true; 3][..], &[true; 3][..]));
}

proptest! {
    #[test]
    fn every_candidate_is_in_ball_and_box(
        seed in any::<u64>(),
        l2 in any::<bool>(),
        height in 1usize..9,
        width in 1usize..9,
        radius in prop_oneof![1e-6f64..1e-3, 1e-3..1.0],
        spread in 0f32..=0.5,
    ) {
        let norm = if l2 { Norm::L2 } else { Norm::Linf };
        let length = 2 * height * width;
        let w = uniform(seed, &[length], -1.0, 1.0).into_vec();
        let classifier = linear(w, -150.0, [2, height, width]);
        let image = uniform(!seed, &[1, 2, height, width], 0.5 - 2.0 * spread, 0.5 + 2.0 * spread);
        let image = ops::map(image, |pixel| pixel.clamp(0.0, 1.0));
        let spy = Spy::on(&classifier);
        let options = SquareOptions { queries: 70, ..SquareOptions::new(norm, epsilon(radius)) };
        square(&spy, &image, &[0], &options, &Streams::new(seed, &[7])).unwrap();
        let seen = spy.seen.lock().unwrap();
        prop_assert_eq!(seen.len(), 71);
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
        ("square:eps=8/255,norm=l1", &["norm = `l1`", "linf, l2"][..]),
        ("square:eps=8/255,p-init=0", &["p-init = `0`", "over 0 and up to 1"]),
        ("square:eps=8/255,p-init=2", &["p-init = `2`", "up to 1"]),
        ("square:eps=8/255,queries=0", &["queries = `0`", "at least 1"]),
        ("square:eps=8/255,query=9", &["no parameter `query`"]),
    ] {
        let error = text.parse::<AttackSpec>().unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
    let rarer = "square:norm=l2,eps=0.5,queries=100,restarts=3,p-init=0.3";
    assert_eq!(rarer.parse::<AttackSpec>().unwrap().to_string(), rarer);
}

//! What holds for all minimal-norm attacks.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, Toy, linear, network, predict, uniform};
use cure_attacks::{Adversarial, AttackSpec, Norm, Streams};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

const SPECS: [&str; 14] = [
    "deepfool:norm=l2",
    "deepfool:norm=linf",
    "deepfool:norm=l2,preset=paper",
    "deepfool:norm=linf,preset=paper",
    "deepfool:norm=l2,preset=true-label",
    "deepfool:norm=linf,preset=true-label",
    "fab:norm=linf,steps=8,restarts=2",
    "fab:norm=l2,steps=8,restarts=2",
    "fab:norm=l1,steps=8,restarts=2",
    "fab-t:norm=linf,steps=8,restarts=2,targets=2",
    "fab-t:norm=l2,steps=8,restarts=2,targets=2",
    "ddn:steps=30",
    "ddn:steps=30,quantize=true",
    "cw:steps=40,search-steps=4,initial-const=0.1",
];

fn run(classifier: &dyn Classifier, images: &Tensor, labels: &[usize], spec: &str) -> Adversarial {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let spec: AttackSpec = spec.parse().unwrap();
    spec.run(classifier, images, labels, &Streams::new(0, &indices)).unwrap()
}

fn norm_of(spec: &str) -> Norm {
    spec.parse::<AttackSpec>().unwrap().norm()
}

fn distance(norm: Norm, a: &[f32], b: &[f32]) -> f64 {
    norm.of(a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)))
}

/// On a real network: all points asked about are images, and the nearest misclassified one of them
/// is what is returned.
#[test]
fn the_nearest_point_asked_about_is_returned() {
    let classifier = network();
    for spec in SPECS {
        let norm = norm_of(spec);
        for seed in 0..4 {
            let image = uniform(seed, &[1, 1, 8, 8], 0.0, 1.0);
            let labels = predict(&classifier, &image);
            let spy = Spy::on(&classifier);
            let found = run(&spy, &image, &labels, spec);
            let seen = spy.seen.lock().unwrap();
            assert_eq!(found.forward, seen.len() as u64, "{spec}");
            assert_eq!(found.backward, *spy.backward.lock().unwrap(), "{spec}");
            let mut least = f64::INFINITY;
            for point in seen.iter() {
                let is_image = point.iter().all(|pixel| (0.0..=1.0).contains(pixel));
                // The authors' DeepFool follows gradients outside of the box; they are not judged.
                assert!(is_image || spec.contains("paper"), "{spec}");
                let point = Tensor::new(&[1, 1, 8, 8], point.clone()).unwrap();
                if is_image && predict(&classifier, &point) != labels {
                    least = least.min(distance(norm, &point.host(), &image.host()));
                }
            }
            assert!(found.solved[0], "{spec} {seed}");
            assert_ne!(predict(&classifier, &found.images), labels);
            let apart = distance(norm, &found.images.host(), &image.host());
            assert!((apart - least).abs() < 1e-9, "{spec} {seed}: {apart}, seen {least}");
        }
    }
}

/// The same images, bit for bit.
#[test]
fn results_depend_on_neither_batch_size_nor_order_nor_threads() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let classifier = network();
    let n = 5;
    let images = uniform(11, &[n, 1, 8, 8], 0.0, 1.0);
    let labels = predict(&classifier, &images);
    let with = |rows: &[usize], spec: &AttackSpec| {
        let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
        let images = ops::select(&images, rows).unwrap();
        spec.run(&classifier, &images, &labels, &Streams::new(3, rows)).unwrap().images
    };
    let all: Vec<usize> = (0..n).collect();
    let backwards: Vec<usize> = (0..n).rev().collect();
    for spec in SPECS {
        let spec: AttackSpec = spec.parse().unwrap();
        let reference = with(&all, &spec);
        for batch in [1, 3] {
            for rows in all.chunks(batch) {
                assert_eq!(with(rows, &spec), ops::select(&reference, rows).unwrap(), "{spec}");
            }
        }
        assert_eq!(with(&backwards, &spec), ops::select(&reference, &backwards).unwrap(), "{spec}");
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| with(&all, &spec)), reference, "{spec}");
        }
    }
}

#[test]
fn no_direction_is_said_and_never_robust() {
    let input = [1, 2, 2];
    let images = Tensor::full(&[2, 1, 2, 2], 0.5);
    for spec in SPECS {
        let constant = linear(vec![0.0; 4], -1.0, input);
        let found = run(&constant, &images, &[0, 0], spec);
        assert_eq!(found.undecided, [true; 2], "{spec}");
        assert_eq!((&found.zero_gradient, &found.solved), (&vec![true; 2], &vec![false; 2]));
        assert_eq!(found.images, images, "{spec}");
        let broken = Toy {
            classes: 2,
            input,
            logits: |_: &[f32]| vec![0.0, -1.0],
            pullback: |_: &[f32], _: &[f32]| vec![f32::NAN; 4],
        };
        let found = run(&broken, &images, &[0, 0], spec);
        assert_eq!(found.undecided, [true; 2], "{spec}");
        assert_eq!(found.non_finite_gradient, [true; 2], "{spec}");
        assert_eq!(found.images, images, "{spec}");
    }
}

/// Logits that are not numbers count as misclassified, as everywhere.
#[test]
fn logits_that_are_not_numbers_end_no_run_in_panic() {
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |image: &[f32]| vec![0.0, if image[0] > 0.6 { f32::NAN } else { image[0] - 1.0 }],
        pullback: |_: &[f32], u: &[f32]| vec![u[1]],
    };
    let image = Tensor::full(&[1, 1, 1, 1], 0.5);
    for spec in SPECS {
        let found = run(&classifier, &image, &[0], spec);
        assert_eq!((&found.solved[..], &found.non_finite_logits[..]), (&[true][..], &[true][..]));
        assert!(found.images.host()[0] > 0.6, "{spec}");
    }
}

#[test]
fn what_is_misclassified_already_is_returned_as_it_is() {
    let classifier = network();
    let images = uniform(5, &[3, 1, 8, 8], 0.0, 1.0);
    let mut labels = predict(&classifier, &images);
    labels[1] = (labels[1] + 1) % 10;
    for spec in SPECS {
        let found = run(&classifier, &images, &labels, spec);
        assert!(found.solved[1], "{spec}");
        let row = |tensor: &Tensor, row: usize| ops::select(tensor, &[row]).unwrap();
        assert_eq!(row(&found.images, 1), row(&images, 1), "{spec}");
        // DeepFool in ℓ∞ may circle around a random network's corner for all its steps.
        let moved = row(&found.images, 0) != row(&images, 0);
        assert_eq!(moved, found.solved[0], "{spec}");
        // And costs next to nothing beside the others.
        let alone = run(&classifier, &row(&images, 1), &labels[1..2], spec);
        assert!(alone.forward <= 1 && alone.backward <= 1, "{spec}");
        let none = run(&classifier, &Tensor::zeros(&[0, 1, 8, 8]), &[], spec);
        assert!(none.solved.is_empty());
    }
}

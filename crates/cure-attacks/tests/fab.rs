//! FAB's iterates, restarts and targets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, Toy, epsilon, linear, uniform};
use cure_attacks::{AttackSpec, FabOptions, Norm, Streams, fab};
use cure_network::Classifier;
use cure_tensor::Tensor;

const SHAPE: [usize; 4] = [1, 1, 8, 8];

fn largest(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

fn run_on(classifier: &dyn Classifier, image: &Tensor, labels: &[usize], spec: &str) -> Tensor {
    let spec: AttackSpec = spec.parse().unwrap();
    spec.run(classifier, image, labels, &Streams::new(0, &[0])).unwrap().images
}

/// On a line FAB's iterates are a recursion of one number: t = 0 at the image, 1 at the boundary.
#[test]
fn fab_is_its_recursion() {
    let w = uniform(4, &[64], -1.0, 1.0).into_vec();
    let image = uniform(5, &SHAPE, 0.45, 0.55);
    let dot: f64 = image.host().iter().zip(&w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
    let gap = 0.7;
    let classifier = linear(w.clone(), -dot - gap, [1, 8, 8]);
    for (norm, aim) in [(Norm::L2, None), (Norm::Linf, None), (Norm::L2, Some(1))] {
        let spy = Spy::on(&classifier);
        let options = FabOptions { steps: 12, targets: aim, ..FabOptions::new(norm) };
        fab(&spy, &image, &[0], &options, &Streams::new(0, &[0])).unwrap();
        let seen = spy.seen.lock().unwrap();
        // The image once for its class, then for each step its beginning and its end.
        assert_eq!(seen.len(), 1 + 2 * 12);
        let size = match norm {
            Norm::Linf => w.iter().map(|&w| f64::from(w.abs())).sum::<f64>(),
            _ => w.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>(),
        };
        let check = |point: &[f32], t: f64| {
            for (i, &w) in w.iter().enumerate() {
                let along = if norm == Norm::Linf { f64::from(w.signum()) } else { f64::from(w) };
                let expected = f64::from(image.host()[i]) + t * gap / size * along;
                assert!((f64::from(point[i]) - expected).abs() < 2e-6, "{norm} {t}");
            }
        };
        let mut t = 0.0f64;
        for pair in seen[1..].chunks(2) {
            check(&pair[0], t);
            let (near, far) = ((1.0 - t).abs(), 1.0);
            let alpha = (near / (near + far)).min(0.1);
            t = (1.0 - alpha) * (t + 1.05 * (1.0 - t)) + alpha * 1.05;
            check(&pair[1], t);
            t *= if t > 1.0 { 0.9 } else { 1.0 };
        }
    }
}

/// Restarts begin at ε/2 in the norm, differ between samples and restarts, and end with a success
/// within ε; without an ε they go on.
#[test]
fn fab_restarts() {
    let w = vec![1.0f32; 64];
    let classifier = linear(w, -0.5 * 64.0 - 64.0 * 0.04, [1, 8, 8]);
    let images = Tensor::full(&[2, 1, 8, 8], 0.5);
    // The boundary is 0.04 away in ℓ∞.
    for (radius, restarts) in [(Some(0.03), 3), (Some(0.05), 1), (None, 3)] {
        let spy = Spy::on(&classifier);
        let options = FabOptions {
            epsilon: radius.map(epsilon),
            steps: 4,
            restarts: 3,
            ..FabOptions::new(Norm::Linf)
        };
        fab(&spy, &images, &[0, 0], &options, &Streams::new(0, &[3, 4])).unwrap();
        let seen = spy.seen.lock().unwrap();
        assert_eq!(seen.len(), 2 + restarts * 2 * 8, "{radius:?}");
        let starts: Vec<&Vec<f32>> =
            seen[2..].chunks(16).skip(1).flat_map(|restart| &restart[..2]).collect();
        for (index, start) in starts.iter().enumerate() {
            let apart = largest(start, &[0.5; 64]);
            // Half of ε, or of what was found already.
            let expected = radius.map_or(0.5 * 0.0402, |radius| 0.5 * radius);
            assert!((apart - expected).abs() < 2e-4, "{radius:?} {apart}");
            assert!(starts[..index].iter().all(|other| other != start));
        }
    }
}

/// FAB-T aims at the likeliest wrong classes: with one target at the second largest logit only.
#[test]
fn fab_targets_by_the_clean_logits() {
    let asked = std::sync::Mutex::new(Vec::new());
    let classifier = Toy {
        classes: 4,
        input: [1, 1, 2],
        logits: |_: &[f32]| vec![1.0, 3.0, 2.0, 0.0],
        pullback: |_: &[f32], u: &[f32]| {
            asked.lock().unwrap().push(u.to_vec());
            vec![u[0] - u[2], u[3] + u[2]]
        },
    };
    let image = Tensor::full(&[1, 1, 1, 2], 0.5);
    let targets = |spec: &str| -> Vec<usize> {
        asked.lock().unwrap().clear();
        run_on(&classifier, &image, &[1], spec);
        let asked = asked.lock().unwrap();
        asked.iter().map(|u| u.iter().position(|&u| u == 1.0).unwrap()).collect()
    };
    assert_eq!(targets("fab-t:steps=2,targets=1"), [2, 2]);
    assert_eq!(targets("fab-t:steps=1"), [2, 0, 3]);
    assert_eq!(targets("fab:steps=1"), [2, 0, 3]);
}

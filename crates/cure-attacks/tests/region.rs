//! Masks and radii of single samples.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, Toy, epsilon, linear, predict, uniform};
use cure_attacks::{
    Adversarial, Epsilon, FgsmOptions, Norm, PgdOptions, Region, Start, Streams, fgsm, pgd,
};
use cure_network::Classifier;
use cure_tensor::Tensor;

const INPUT: [usize; 3] = [2, 3, 4];
const LENGTH: usize = 24;
const NORMS: [Norm; 3] = [Norm::Linf, Norm::L2, Norm::L1];
const STARTS: [Start; 3] = [Start::Clean, Start::Ball, Start::Sphere];

fn apart(norm: Norm, a: &[f32], b: &[f32]) -> f64 {
    norm.of(a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)))
}

/// Every third pixel.
fn mask() -> Vec<bool> {
    (0..LENGTH).map(|pixel| pixel % 3 == 0).collect()
}

/// A classifier, images, labels and the length of w that the dual norm measures over `free`.
fn problem(seed: u64) -> (impl Classifier, Tensor, Vec<usize>, Vec<f32>, Vec<f64>) {
    let w = uniform(seed, &[LENGTH], -1.0, 1.0).into_vec();
    let images = uniform(100 + seed, &[6, 2, 3, 4], 0.45, 0.55);
    let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
    let classifier = linear(w.clone(), b, INPUT);
    let labels = predict(&classifier, &images);
    let logits = classifier.logits(&images).unwrap();
    let margins = (0..6).map(|row| f64::from(logits.host()[2 * row + 1]).abs()).collect();
    (classifier, images, labels, w, margins)
}

fn dual(norm: Norm, w: impl Iterator<Item = f64>) -> f64 {
    match norm {
        Norm::Linf => Norm::L1.of(w),
        Norm::L2 => Norm::L2.of(w),
        Norm::L1 => Norm::Linf.of(w),
    }
}

/// PGD from each start, and FGSM, over the batch.
fn attack_all(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    norm: Norm,
    epsilon: Epsilon,
    region: &Region,
) -> Vec<Adversarial> {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let streams = Streams::new(1, &indices);
    let region = Some(region.clone());
    let options = FgsmOptions { region: region.clone(), ..FgsmOptions::new(norm, epsilon) };
    let mut found = vec![fgsm(classifier, images, labels, &options).unwrap()];
    for start in STARTS {
        for momentum in [0.0, 0.9] {
            let region = region.clone();
            let options = PgdOptions { start, momentum, region, ..PgdOptions::new(norm, epsilon) };
            found.push(pgd(classifier, images, labels, &options, &streams).unwrap());
        }
    }
    found
}

#[test]
fn pixels_outside_the_mask_never_change() {
    for seed in 0..5 {
        let (_, images, ..) = problem(seed);
        // Never fooled, so that all steps are taken.
        let w = uniform(seed, &[LENGTH], -1.0, 1.0).into_vec();
        let classifier = linear(w, -40.0, INPUT);
        let spy = Spy::on(&classifier);
        let region = Region::of_pixels(mask());
        for norm in NORMS {
            attack_all(&spy, &images, &[0; 6], norm, epsilon(0.2), &region);
        }
        let clean = images.host();
        let rows: Vec<&[f32]> = clean.chunks_exact(LENGTH).collect();
        let (mut seen, mut moved) = (0, 0);
        for point in spy.seen.lock().unwrap().iter() {
            // Pixels outside the mask tell whose point it is.
            let fixed = |image: &[f32]| -> Vec<f32> {
                image
                    .iter()
                    .zip(mask())
                    .filter(|(_, free)| !free)
                    .map(|(&pixel, _)| pixel)
                    .collect()
            };
            let owner = rows.iter().find(|row| fixed(row) == fixed(point));
            assert!(owner.is_some(), "a pixel outside the mask changed");
            seen += 1;
            moved += usize::from(owner.is_some_and(|owner| *owner != &point[..]));
        }
        assert!(seen > 1000 && moved > seen * 8 / 10, "{moved} of {seen}");
    }
}

/// Success exactly when ε exceeds |margin| over the dual norm of the free part of w.
#[test]
fn a_mask_shortens_the_reach() {
    for seed in 0..10 {
        let (classifier, images, labels, w, margins) = problem(seed);
        let free = |w: &[f32]| -> Vec<f64> {
            w.iter().zip(mask()).map(|(&w, free)| if free { f64::from(w) } else { 0.0 }).collect()
        };
        let region = Region::of_pixels(mask());
        for norm in [Norm::Linf, Norm::L2] {
            let length = dual(norm, free(&w).into_iter());
            for (row, margin) in margins.iter().enumerate() {
                let image = images.host()[row * LENGTH..(row + 1) * LENGTH].to_vec();
                let image = Tensor::new(&[1, 2, 3, 4], image).unwrap();
                for (factor, expected) in [(0.98, false), (1.02, true)] {
                    // Within the box: beyond it the closed form ends.
                    let radius = factor * margin / length;
                    if radius < 0.4 {
                        let label = &labels[row..=row];
                        let radius = epsilon(radius);
                        for found in attack_all(&classifier, &image, label, norm, radius, &region) {
                            assert_eq!(found.solved, [expected], "{norm} {seed} {row}");
                        }
                    }
                }
            }
        }
    }
}

/// All samples of a batch at once, each at its own radius, which is or is not enough for it.
#[test]
fn each_sample_has_its_radius() {
    for seed in 0..10 {
        let (classifier, images, labels, w, margins) = problem(seed);
        for norm in NORMS {
            let length = dual(norm, w.iter().map(|&w| f64::from(w)));
            let factors = [0.98, 1.02, 0.5, 1.5, 0.9, 1.1];
            let radii: Vec<f64> = margins
                .iter()
                .zip(factors)
                .map(|(margin, factor)| factor * margin / length)
                .collect();
            let region = Region::of_radii(radii.iter().map(|&radius| epsilon(radius)).collect());
            for found in attack_all(&classifier, &images, &labels, norm, epsilon(0.01), &region) {
                let (clean, points) = (images.host(), found.images.host());
                let pairs = clean.chunks_exact(LENGTH).zip(points.chunks_exact(LENGTH));
                for ((a, b), radius) in pairs.zip(&radii) {
                    assert!(apart(norm, a, b) <= radius * (1.0 + 1e-6), "{norm} {seed}");
                }
                // A step in ℓ1 follows g/‖g‖₁, which is not the steepest direction.
                if norm != Norm::L1 {
                    let expected: Vec<bool> = factors.iter().map(|&factor| factor > 1.0).collect();
                    assert_eq!(found.solved, expected, "{norm} {seed}");
                }
            }
        }
    }
}

#[test]
fn a_gradient_outside_the_mask_does_not_count() {
    // NaN in the first pixel, which is fixed; in the second image nothing else.
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 2],
        logits: |image: &[f32]| vec![0.0, image[1] - 2.0],
        pullback: |image: &[f32], _: &[f32]| vec![f32::NAN, if image[1] > 0.5 { 0.0 } else { 1.0 }],
    };
    let images = Tensor::new(&[2, 1, 1, 2], vec![0.2, 0.2, 0.2, 0.8]).unwrap();
    let region = Some(Region::of_pixels(vec![false, true]));
    for norm in NORMS {
        let options =
            FgsmOptions { region: region.clone(), ..FgsmOptions::new(norm, epsilon(0.1)) };
        let found = fgsm(&classifier, &images, &[0, 0], &options).unwrap();
        assert_eq!(found.non_finite_gradient, [false, false]);
        assert_eq!(found.undecided, [false, true]);
        let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(close(found.images.host()[1], 0.3) && found.images.is_finite());
    }
}

#[test]
fn misuse_is_refused_by_name() {
    let (classifier, images, labels, ..) = problem(0);
    let indices: Vec<usize> = (0..6).collect();
    for (region, parts) in [
        (Region::of_pixels(vec![true; 5]), &["region", "mask of 5 pixels", "24"][..]),
        (Region::of_pixels(vec![false; LENGTH]), &["region", "marks none"]),
        (Region::of_radii(vec![epsilon(0.1); 5]), &["5 radii for 6 images"]),
        (Region::of_radii(vec![epsilon(8.0); 6]), &["a radius = 8", "8/255"]),
    ] {
        let region = Some(region);
        let options =
            PgdOptions { region: region.clone(), ..PgdOptions::new(Norm::Linf, epsilon(0.1)) };
        let streams = Streams::new(0, &indices);
        let errors = [
            pgd(&classifier, &images, &labels, &options, &streams).unwrap_err().to_string(),
            fgsm(
                &classifier,
                &images,
                &labels,
                &FgsmOptions { region, ..FgsmOptions::new(Norm::Linf, epsilon(0.1)) },
            )
            .unwrap_err()
            .to_string(),
        ];
        for error in errors {
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}

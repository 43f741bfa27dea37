//! Minimal-norm attacks against closed forms, and what holds for all of them.
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
    "fab:norm=linf,steps=20,restarts=2",
    "fab:norm=l2,steps=20,restarts=2",
    "fab:norm=l1,steps=20,restarts=2",
    "fab-t:norm=linf,steps=20,restarts=2,targets=2",
    "fab-t:norm=l2,steps=20,restarts=2,targets=2",
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

/// Linear logits Wx + b whose classes meet about the box's centre.
struct Linear {
    weights: Vec<Vec<f32>>,
    bias: Vec<f64>,
    input: [usize; 3],
}

impl Linear {
    fn random(seed: u64, input: [usize; 3], classes: usize, scale: f32) -> Self {
        let d = input.iter().product();
        let weights: Vec<Vec<f32>> = (0..classes)
            .map(|class| uniform(97 * seed + class as u64, &[d], -scale, scale).into_vec())
            .collect();
        let half = |w: &Vec<f32>| -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
        Self { bias: weights.iter().map(half).collect(), weights, input }
    }

    fn logit(&self, class: usize, image: &[f32]) -> f64 {
        let terms = self.weights[class].iter().zip(image);
        terms.map(|(&w, &x)| f64::from(w) * f64::from(x)).sum::<f64>() + self.bias[class]
    }

    fn classifier(&self) -> impl Classifier + '_ {
        Toy {
            classes: self.bias.len(),
            input: self.input,
            logits: |image: &[f32]| {
                (0..self.bias.len()).map(|class| self.logit(class, image) as f32).collect()
            },
            pullback: |image: &[f32], u: &[f32]| {
                let sum = |i: usize| -> f64 {
                    let terms = self.weights.iter().zip(u);
                    terms.map(|(w, &u)| f64::from(w[i]) * f64::from(u)).sum()
                };
                (0..image.len()).map(|i| sum(i) as f32).collect()
            },
        }
    }

    /// The least distance at which `image` leaves its class; in the box or without one.
    fn exact(&self, norm: Norm, image: &[f32], label: usize, boxed: bool) -> f64 {
        let to = |class: usize| {
            let gap = self.logit(label, image) - self.logit(class, image);
            // |w|, and how far each pixel can go along it.
            let pixels: Vec<(f64, f64)> = (0..image.len())
                .map(|i| {
                    let w = f64::from(self.weights[class][i]) - f64::from(self.weights[label][i]);
                    let x = f64::from(image[i]);
                    let room = if w > 0.0 { 1.0 - x } else { x };
                    (w.abs(), if boxed { room } else { f64::INFINITY })
                })
                .collect();
            shortest(norm, pixels, gap)
        };
        (0..self.bias.len()).filter(|&class| class != label).map(to).fold(f64::INFINITY, f64::min)
    }
}

/// min ‖d‖ so that Σ|w|·d = gap, 0 ≤ d ≤ room; infinite if there is none. By bisection, but for ℓ1.
fn shortest(norm: Norm, mut pixels: Vec<(f64, f64)>, gap: f64) -> f64 {
    if norm == Norm::L1 {
        pixels.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut left, mut spent) = (gap, 0.0);
        for (w, room) in pixels {
            let step = room.min(left / w);
            (left, spent) = (left - w * step, spent + step);
        }
        return if left <= 1e-9 { spent } else { f64::INFINITY };
    }
    let moves = |factor: f64| {
        let speed = move |w: f64| if norm == Norm::Linf { factor } else { factor * w };
        pixels.iter().map(move |&(w, room)| (w, speed(w).min(room)))
    };
    let reached = |factor: f64| moves(factor).map(|(w, step)| w * step).sum::<f64>();
    let (mut low, mut high) = (0.0, 1e9);
    if reached(high) < gap {
        return f64::INFINITY;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        *if reached(middle) < gap { &mut low } else { &mut high } = middle;
    }
    norm.of(moves(high).map(|(_, step)| step))
}

const SHAPES: [[usize; 3]; 3] = [[2, 2, 2], [2, 3, 4], [3, 8, 8]];

/// Runs `specs` on linear classifiers of many widths, numbers of classes and batch sizes; `check`
/// gets specification, found and exact distance of each sample.
fn on_linear_classifiers(
    specs: &[&str],
    seeds: std::ops::Range<u64>,
    scale: f32,
    images: impl Fn(u64, &[usize]) -> Tensor,
    mut check: impl FnMut(&str, f64, f64, f64),
) {
    for seed in seeds {
        for input in SHAPES {
            for classes in [2, 3, 10] {
                let linear = Linear::random(seed, input, classes, scale);
                let classifier = linear.classifier();
                let n = [1, 3, 6][(seed as usize + classes) % 3];
                let images = images(1000 + seed, &[n, input[0], input[1], input[2]]);
                let labels = predict(&classifier, &images);
                let length: usize = input.iter().product();
                for spec in specs {
                    let found = run(&classifier, &images, &labels, spec);
                    for (row, &label) in labels.iter().enumerate() {
                        let range = row * length..(row + 1) * length;
                        let image = &images.host()[range.clone()];
                        let norm = norm_of(spec);
                        let apart = distance(norm, image, &found.images.host()[range]);
                        let boxed = linear.exact(norm, image, label, true);
                        let free = linear.exact(norm, image, label, false);
                        assert_eq!(found.solved[row], boxed.is_finite(), "{spec} {seed} {row}");
                        if boxed.is_finite() {
                            check(spec, apart, boxed, free);
                        }
                    }
                }
            }
        }
    }
}

fn central(seed: u64, shape: &[usize]) -> Tensor {
    uniform(seed, shape, 0.4, 0.6)
}

#[test]
fn deepfool_finds_the_nearest_boundary() {
    // 1e-4 is what two of the programs add to each step.
    for (extra, specs) in [(1e-4, &SPECS[..4]), (0.0, &SPECS[4..6])] {
        on_linear_classifiers(specs, 0..8, 1.0, central, |spec, found, exact, free| {
            assert!((exact - free).abs() < 1e-9, "the box must not matter here");
            assert!(found <= 1.02 * (exact + extra) + 1e-6, "{spec}: {found}, exact {exact}");
            assert!(found >= exact - 1e-6, "{spec}: {found}, exact {exact}");
        });
    }
}

#[test]
fn fab_finds_the_nearest_boundary() {
    let specs = ["fab:norm=linf", "fab:norm=l2", "fab:norm=l1", "fab-t:norm=linf", "fab-t:norm=l2"];
    on_linear_classifiers(&specs, 0..3, 1.0, central, |spec, found, exact, _| {
        assert!(found <= 1.02 * exact + 1e-6, "{spec}: {found}, exact {exact}");
        assert!(found >= exact - 1e-6, "{spec}: {found}, exact {exact}");
    });
}

/// Bright, dark and saturated pixels: the exact answer is the projection in the box.
#[test]
fn fab_finds_the_nearest_boundary_inside_the_box() {
    let specs = ["fab:norm=linf", "fab:norm=l2", "fab:norm=l1", "fab-t:norm=linf", "fab-t:norm=l2"];
    let saturated = |seed: u64, shape: &[usize]| {
        ops::map(uniform(seed, shape, -0.7, 1.7), |x| x.clamp(0.0, 1.0))
    };
    let (mut count, mut bound) = (0, 0);
    on_linear_classifiers(&specs, 0..3, 1.0, saturated, |spec, found, exact, free| {
        (count, bound) = (count + 1, bound + usize::from(exact > 1.1 * free));
        assert!(found <= 1.02 * exact + 1e-6, "{spec}: {found}, exact {exact}, free {free}");
        assert!(found >= exact - 1e-6, "{spec}: {found}, exact {exact}");
    });
    // In most cases the box does matter.
    assert!(2 * bound > count, "{bound} of {count}");
}

#[test]
fn ddn_and_carlini_wagner_find_the_nearest_boundary() {
    // Slopes as sharp as those of a trained network: the cross-entropy sees the nearest class.
    let specs = ["ddn", "cw"];
    on_linear_classifiers(&specs, 0..2, 20.0, central, |spec, found, exact, _| {
        assert!(found <= 1.1 * exact + 1e-4, "{spec}: {found}, exact {exact}");
        assert!(found >= exact - 1e-6, "{spec}: {found}, exact {exact}");
    });
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
    let classifier = network();
    let n = 7;
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
    for spec in SPECS.iter().filter(|spec| !spec.starts_with("cw")) {
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
        assert_ne!(row(&found.images, 0), row(&images, 0), "{spec}");
        // And costs next to nothing beside the others.
        let alone = run(&classifier, &row(&images, 1), &labels[1..2], spec);
        assert!(alone.forward <= 1 && alone.backward <= 1, "{spec}");
        let none = run(&classifier, &Tensor::zeros(&[0, 1, 8, 8]), &[], spec);
        assert!(none.solved.is_empty());
    }
}

//! Minimal-norm attacks on linear classifiers, whose boundaries' distances are known.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Toy, predict, uniform};
use cure_attacks::{Adversarial, AttackSpec, Norm, Streams};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

fn run(classifier: &dyn Classifier, images: &Tensor, labels: &[usize], spec: &str) -> Adversarial {
    let indices: Vec<usize> = (0..labels.len()).collect();
    let spec: AttackSpec = spec.parse().unwrap();
    spec.run(classifier, images, labels, &Streams::new(0, &indices)).unwrap()
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

/// What an attack made of one sample.
struct Case<'a> {
    spec: &'a str,
    classes: usize,
    found: f64,
    exact: f64,
    /// The exact distance if there were no box.
    free: f64,
}

impl Case<'_> {
    /// Nothing is nearer than the exact distance; what was found is, up to a factor and a length.
    fn assert_within(&self, factor: f64, extra: f64) {
        let Self { spec, classes, found, exact, free } = self;
        let case = format!("{spec}, {classes} classes: {found}, exact {exact}, no box {free}");
        assert!(*found >= exact - 1e-6, "{case}");
        assert!(*found <= factor * (exact + extra) + 1e-6, "{case}");
    }
}

/// Runs `specs` on linear classifiers of many widths, numbers of classes and batch sizes.
fn on_linear_classifiers(
    specs: &[&str],
    seeds: std::ops::Range<u64>,
    scale: f32,
    images: impl Fn(u64, &[usize]) -> Tensor,
    mut check: impl FnMut(&Case<'_>),
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
                    let norm = spec.parse::<AttackSpec>().unwrap().norm();
                    for (row, &label) in labels.iter().enumerate() {
                        let range = row * length..(row + 1) * length;
                        let image = &images.host()[range.clone()];
                        let case = Case {
                            spec,
                            classes,
                            found: distance(norm, image, &found.images.host()[range]),
                            exact: linear.exact(norm, image, label, true),
                            free: linear.exact(norm, image, label, false),
                        };
                        assert_eq!(
                            found.solved[row],
                            case.exact.is_finite(),
                            "{spec} {seed} {row}"
                        );
                        if case.exact.is_finite() {
                            check(&case);
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
    for (extra, preset) in [(1e-4, "foolbox"), (1e-4, "paper"), (0.0, "true-label")] {
        let specs = ["l2", "linf"].map(|norm| format!("deepfool:norm={norm},preset={preset}"));
        on_linear_classifiers(&[&specs[0], &specs[1]], 0..8, 1.0, central, |case| {
            assert!((case.exact - case.free).abs() < 1e-9, "the box must not matter here");
            case.assert_within(1.02, extra);
        });
    }
}

const FAB: [&str; 6] = [
    "fab:norm=linf,steps=50",
    "fab:norm=l2,steps=50",
    "fab:norm=l1,steps=50",
    "fab-t:norm=linf,steps=50",
    "fab-t:norm=l2,steps=50",
    "fab-t:norm=l1,steps=50",
];

#[test]
fn fab_finds_the_nearest_boundary() {
    on_linear_classifiers(&FAB, 0..2, 1.0, central, |case| case.assert_within(1.02, 0.0));
}

/// Bright, dark and saturated pixels: the exact answer is the projection in the box.
#[test]
fn fab_finds_the_nearest_boundary_inside_the_box() {
    let saturated = |seed: u64, shape: &[usize]| {
        ops::map(uniform(seed, shape, -0.7, 1.7), |x| x.clamp(0.0, 1.0))
    };
    let (mut count, mut bound) = (0, 0);
    on_linear_classifiers(&FAB, 0..2, 1.0, saturated, |case| {
        // Untargeted, FAB takes the class that would be the nearest if there were no box.
        let factor = if case.spec.starts_with("fab-t") || case.classes == 2 { 1.02 } else { 1.25 };
        case.assert_within(factor, 0.0);
        (count, bound) = (count + 1, bound + usize::from(case.exact > 1.1 * case.free));
    });
    // In most cases the box does matter.
    assert!(2 * bound > count, "{bound} of {count}");
}

#[test]
fn ddn_finds_the_nearest_boundary() {
    let (mut count, mut near) = (0, 0);
    // Slopes so sharp that the cross-entropy mostly sees the nearest class.
    on_linear_classifiers(&["ddn"], 0..12, 60.0, central, |case| {
        // A length that falls by γ each step ends at 0.95¹⁰⁰ of the first.
        if case.exact < 0.02 {
            return;
        }
        // Between many classes the cross-entropy can lead to one that is not the nearest.
        case.assert_within(if case.classes == 2 { 1.06 } else { 2.0 }, 0.0);
        (count, near) = (count + 1, near + usize::from(case.found <= 1.1 * case.exact));
    });
    assert!(count > 100 && 20 * near > 19 * count, "{near} of {count}");
}

#[test]
fn carlini_and_wagner_find_the_nearest_boundary() {
    // 5e-4: the length of Adam's last steps.
    let specs = ["cw:steps=500,search-steps=8,initial-const=0.01"];
    on_linear_classifiers(&specs, 0..1, 20.0, central, |case| case.assert_within(1.1, 5e-4));
}

//! The iterates of minimal-norm attacks against the plain loops that the literature writes down, and
//! what their parameters do.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, epsilon, linear, network, predict, uniform};
use cure_attacks::{AttackSpec, CarliniWagnerOptions, Norm, Streams, carlini_wagner};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

const SHAPE: [usize; 4] = [1, 1, 8, 8];

fn tensor(values: &[f32]) -> Tensor {
    Tensor::new(&SHAPE, values.to_vec()).unwrap()
}

fn largest(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

fn run_on(classifier: &dyn Classifier, image: &Tensor, labels: &[usize], spec: &str) -> Tensor {
    let spec: AttackSpec = spec.parse().unwrap();
    spec.run(classifier, image, labels, &Streams::new(0, &[0])).unwrap().images
}

/// The three programs' loops, written down in single precision as they run; the image that each
/// returns is ours.
#[test]
fn deepfool_is_the_loop_of_each_program() {
    let classifier = network();
    for seed in 0..12 {
        let image = uniform(seed, &SHAPE, 0.0, 1.0);
        let clean = image.host().to_vec();
        let labels = predict(&classifier, &image);
        for (preset, norm) in [
            ("foolbox", Norm::L2),
            ("foolbox", Norm::Linf),
            ("paper", Norm::L2),
            ("true-label", Norm::L2),
        ] {
            let candidates = if preset == "true-label" { 10 } else { 4 };
            let logits = classifier.logits(&image).unwrap().into_vec();
            let mut order: Vec<usize> = (0..10).collect();
            order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
            let (mut x, mut total, mut steps) = (clean.clone(), vec![0f32; 64], 0);
            while predict(&classifier, &tensor(&x)) == labels && steps < 50 {
                steps += 1;
                let at = classifier.linearize(&tensor(&x)).unwrap();
                let logits = at.logits().host().to_vec();
                let gradient = |class: usize| {
                    let unit = (0..10).map(|k| f32::from(u8::from(k == class))).collect();
                    at.pullback(&Tensor::new(&[1, 10], unit).unwrap()).unwrap().into_vec()
                };
                let own = gradient(labels[0]);
                let mut best = (f32::INFINITY, vec![]);
                for &class in &order[1..candidates] {
                    let w: Vec<f32> =
                        gradient(class).iter().zip(&own).map(|(a, b)| a - b).collect();
                    let tiny = if preset == "foolbox" { 1e-8 } else { 0.0 };
                    let size = norm_dual(norm, &w) + tiny;
                    let distance = (logits[class] - logits[labels[0]]).abs() / size;
                    if distance < best.0 {
                        best = (distance, w);
                    }
                }
                let (distance, w) = best;
                let distance = distance + if preset == "true-label" { 0.0 } else { 1e-4 };
                for i in 0..64 {
                    let step = match norm {
                        Norm::Linf => distance * w[i].signum(),
                        _ => distance * w[i] / norm_dual(norm, &w),
                    };
                    total[i] += step;
                    x[i] = match preset {
                        "true-label" => (x[i] + 1.02 * step).clamp(0.0, 1.0),
                        "paper" => clean[i] + 1.02 * total[i],
                        _ => (clean[i] + 1.02 * total[i]).clamp(0.0, 1.0),
                    };
                }
            }
            assert!(steps > 0 && steps < 50);
            let clipped: Vec<f32> = x.iter().map(|x| x.clamp(0.0, 1.0)).collect();
            // The authors' loop may end on the far side of the box alone; ours then goes on.
            if predict(&classifier, &tensor(&clipped)) != labels {
                let rest = if preset == "true-label" { "" } else { ",candidates=4" };
                let spec = format!("deepfool:norm={norm},preset={preset}{rest}");
                let found = run_on(&classifier, &image, &labels, &spec);
                let apart = largest(&found.host(), &clipped);
                assert!(apart < 1e-5, "{spec} {seed}: {apart}");
            }
        }
    }
}

fn norm_dual(norm: Norm, w: &[f32]) -> f32 {
    match norm {
        Norm::Linf => w.iter().map(|w| w.abs()).sum(),
        _ => w.iter().map(|w| w * w).sum::<f32>().sqrt(),
    }
}

/// Foolbox's loop.
#[test]
fn ddn_is_the_plain_loop() {
    let classifier = network();
    let steps = 20;
    for seed in 0..6 {
        let image = uniform(seed, &SHAPE, 0.0, 1.0);
        let clean = image.host().to_vec();
        let labels = predict(&classifier, &image);
        let spy = Spy::on(&classifier);
        run_on(&spy, &image, &labels, &format!("ddn:steps={steps},init-norm=0.5"));
        let seen = spy.seen.lock().unwrap();
        assert_eq!(seen.len(), steps + 1);

        let (mut delta, mut length) = (vec![0f64; 64], 0.5f64);
        let l2 = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let corner: Vec<f64> = clean.iter().map(|&x| f64::from(x.max(1.0 - x))).collect();
        for (i, point) in seen.iter().enumerate() {
            let x: Vec<f32> = clean.iter().zip(&delta).map(|(x, d)| x + *d as f32).collect();
            assert!(largest(point, &x) < 1e-5, "{seed} {i}: {}", largest(point, &x));
            let at = classifier.linearize(&tensor(point)).unwrap();
            let entropy = ops::cross_entropy(at.logits(), &labels).unwrap();
            let gradient = at.pullback(&entropy.residual).unwrap().into_vec();
            let gradient: Vec<f64> = gradient.iter().map(|&g| f64::from(g)).collect();
            let share = 1.0 + (std::f64::consts::PI * i as f64 / steps as f64).cos();
            let rate = 0.01 + (1.0 - 0.01) * share / 2.0;
            let size = l2(&gradient);
            delta.iter_mut().zip(&gradient).for_each(|(d, g)| *d += rate * g / size);
            let is_adversarial = predict(&classifier, &tensor(point)) != labels;
            length *= if is_adversarial { 0.95 } else { 1.05 };
            length = length.min(l2(&corner));
            let factor = length / l2(&delta);
            for (d, &x) in delta.iter_mut().zip(&clean) {
                *d = (f64::from(x) + *d * factor).clamp(0.0, 1.0) - f64::from(x);
            }
        }
    }
}

#[test]
fn ddn_can_keep_to_the_levels_of_a_file() {
    let classifier = network();
    let image = ops::map(uniform(3, &SHAPE, 0.0, 1.0), |x| (x * 255.0).round() / 255.0);
    let labels = predict(&classifier, &image);
    let found = run_on(&classifier, &image, &labels, "ddn:quantize=true");
    assert_ne!(predict(&classifier, &found), labels);
    for &pixel in found.host().iter() {
        let level = pixel * 255.0;
        assert!((level - level.round()).abs() < 1e-4, "{level}");
    }
}

/// Adam in double precision, on a linear classifier.
#[test]
fn carlini_and_wagner_is_the_plain_loop() {
    let w = uniform(4, &[64], -1.0, 1.0).into_vec();
    let image = uniform(5, &SHAPE, 0.2, 0.8);
    let dot: f64 = image.host().iter().zip(&w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
    let bias = -dot - 0.7;
    let classifier = linear(w.clone(), bias, [1, 8, 8]);
    let spy = Spy::on(&classifier);
    let options = CarliniWagnerOptions {
        steps: 30,
        search_steps: 4,
        initial_const: 0.05,
        ..CarliniWagnerOptions::new()
    };
    carlini_wagner(&spy, &image, &[0], &options, &Streams::new(0, &[0])).unwrap();
    let seen = spy.seen.lock().unwrap();
    let mut seen = seen.iter().skip(1);

    let start: Vec<f64> =
        image.host().iter().map(|&x| ((2.0 * f64::from(x) - 1.0) * 0.999999).atanh()).collect();
    let pixel = |w: f64| 0.5 * w.tanh() + 0.5;
    let (mut constant, mut lower, mut upper) = (0.05, 0.0, f64::INFINITY);
    let mut outcomes = vec![];
    for _ in 0..4 {
        let (mut at, mut m, mut v) = (start.clone(), [0f64; 64], [0f64; 64]);
        let (mut found, mut before) = (false, f64::INFINITY);
        for time in 1..=31 {
            let x: Vec<f32> = at.iter().map(|&w| pixel(w) as f32).collect();
            let apart = largest(seen.next().unwrap(), &x);
            assert!(apart < 1e-5, "{constant} {time}: {apart}");
            let dot: f64 = x.iter().zip(&w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            let missing = (-dot - bias).max(0.0);
            found |= missing == 0.0;
            let squares = at.iter().zip(&start).map(|(&a, &b)| (pixel(a) - pixel(b)).powi(2));
            let loss = constant * missing + squares.sum::<f64>();
            // A tenth of the steps is three.
            if time == 31 || (time - 1) % 3 == 0 && loss > 0.9999 * before {
                outcomes.push((found, time));
                break;
            }
            before = if (time - 1) % 3 == 0 { loss } else { before };
            for i in 0..64 {
                let hinge = if missing > 0.0 { -constant * f64::from(w[i]) } else { 0.0 };
                let inner = 2.0 * (pixel(at[i]) - pixel(start[i])) + hinge;
                let g = inner * 0.5 * (1.0 - at[i].tanh().powi(2));
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let unbiased =
                    (m[i] / (1.0 - 0.9f64.powi(time)), v[i] / (1.0 - 0.999f64.powi(time)));
                at[i] -= 0.01 * unbiased.0 / (unbiased.1.sqrt() + 1e-8);
            }
        }
        *if found { &mut upper } else { &mut lower } = constant;
        constant = if upper.is_finite() { 0.5 * (lower + upper) } else { 10.0 * constant };
    }
    assert!(seen.next().is_none());
    // Constants failed and succeeded, runs ended early.
    let has = |wanted: fn(&(bool, i32)) -> bool| outcomes.iter().any(wanted);
    assert!(has(|outcome| outcome.0) && has(|outcome| !outcome.0), "{outcomes:?}");
    assert!(has(|outcome| outcome.1 < 31), "{outcomes:?}");
}

#[test]
fn confidence_is_kept_where_it_can_be_had() {
    let w = vec![1.0f32; 64];
    let image = Tensor::full(&SHAPE, 0.5);
    let classifier = linear(w, -32.0 - 1.0, [1, 8, 8]);
    // 31 is the most that the logits can differ.
    for (confidence, least) in [(0.0, 0.0), (2.0, 2.0), (40.0, 0.0)] {
        let options = CarliniWagnerOptions {
            confidence,
            steps: 100,
            search_steps: 5,
            ..CarliniWagnerOptions::new()
        };
        let found =
            carlini_wagner(&classifier, &image, &[0], &options, &Streams::new(0, &[0])).unwrap();
        assert_eq!(found.solved, [true]);
        let logits = classifier.logits(&found.images).unwrap().into_vec();
        let margin = f64::from(logits[1] - logits[0]);
        assert!(margin >= least && margin < least + 0.5, "{confidence}: {margin}");
    }
}

/// A radius judges, and changes nothing else.
#[test]
fn a_radius_only_judges() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let classifier = network();
    let image = uniform(8, &SHAPE, 0.0, 1.0);
    let labels = predict(&classifier, &image);
    for name in ["deepfool", "fab", "ddn", "cw"] {
        let plain: AttackSpec = format!("{name}:steps=10").parse().unwrap();
        assert_eq!(plain.epsilon(), None);
        let judged = plain.at(epsilon(0.001));
        assert_eq!(judged.epsilon(), Some(epsilon(0.001)));
        let streams = Streams::new(0, &[0]);
        let images = |spec: &AttackSpec| spec.run(&classifier, &image, &labels, &streams).unwrap();
        assert_eq!(images(&plain).images, images(&judged).images, "{name}");
    }
}

#[test]
fn refusals_name_what_is_accepted() {
    for (text, parts) in [
        ("deepfool:norm=l1", &["norm = `l1`", "l2, linf"][..]),
        ("deepfool:preset=fool", &["preset = `fool`", "foolbox, paper, true-label"]),
        ("deepfool:candidates=1", &["at least 2"]),
        ("deepfool:preset=true-label,candidates=5", &["all classes", "leave candidates out"]),
        ("deepfool:overshoot=-1", &["overshoot", "0 or more"]),
        ("deepfool:norm=linf,eps=8", &["did you mean 8/255"]),
        ("fab:targets=3", &["fab has no parameter `targets`"]),
        ("fab:eta=0.5", &["eta = `0.5`", "1 or more"]),
        ("fab-t:targets=0", &["fab-t: targets", "at least 1"]),
        ("fab-t:beta=2", &["fab-t: beta = `2`", "0 to 1"]),
        ("ddn:gamma=1", &["gamma = `1`", "between 0 and 1"]),
        ("ddn:init-norm=0", &["init-norm", "over 0"]),
        ("ddn:norm=linf", &["norm = `linf`", "l2"]),
        ("cw:step=0", &["step = `0`", "over 0"]),
        ("cw:initial-const=0", &["initial-const", "over 0"]),
        ("cw:search-steps=0", &["search-steps", "at least 1"]),
    ] {
        let error = text.parse::<AttackSpec>().unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
    for (text, complete) in [
        ("deepfool", "deepfool:norm=l2,preset=foolbox,steps=50,overshoot=0.02,candidates=10"),
        ("fab:eps=8/255", "fab:norm=linf,eps=8/255,steps=100,restarts=1"),
        ("fab-t:beta=0.5", "fab-t:norm=linf,steps=100,restarts=1,targets=9,beta=0.5"),
        ("ddn:quantize=true", "ddn:norm=l2,steps=100,init-norm=1,gamma=0.05,quantize=true"),
        ("cw", "cw:norm=l2,steps=1000,search-steps=9,step=0.01,confidence=0,initial-const=0.001"),
    ] {
        assert_eq!(text.parse::<AttackSpec>().unwrap().to_string(), complete);
    }
}

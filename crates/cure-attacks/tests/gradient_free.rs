//! SPSA and random noise against closed forms.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, Toy, epsilon, linear, network, predict, set_of, uniform};
use cure_attacks::{
    AttackSpec, EvaluationOptions, EvaluationSet, NoiseOptions, Norm, Silent, SpsaOptions, Streams,
    Warning, evaluate, noise, spsa,
};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};
use proptest::prelude::*;

fn apart(norm: Norm, a: &[f32], b: &[f32]) -> f64 {
    norm.of(a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)))
}

fn image(images: &Tensor, row: usize) -> Tensor {
    ops::select(images, &[row]).unwrap()
}

/// Never within |margin|/‖w‖₁, and always some way beyond it.
#[test]
fn spsa_on_linear_classifiers() {
    // One word of random bits, exactly one, and more than one.
    for (width, input) in [(24, [2, 3, 4]), (64, [1, 8, 8]), (75, [3, 5, 5])] {
        for seed in 0..4 {
            let w = uniform(seed, &[width], -1.0, 1.0).into_vec();
            let [c, h, l] = input;
            let images = uniform(100 + seed, &[4, c, h, l], 0.4, 0.6);
            let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
            let classifier = linear(w.clone(), b, input);
            let labels = predict(&classifier, &images);
            let logits = classifier.logits(&images).unwrap();
            for row in 0..4 {
                let margin = f64::from(logits.host()[2 * row + 1]).abs();
                let least = margin / w.iter().map(|&w| f64::from(w).abs()).sum::<f64>();
                for (factor, expected) in [(0.98, false), (1.3, true)] {
                    let options = SpsaOptions {
                        samples: 64,
                        steps: 40,
                        ..SpsaOptions::new(epsilon(factor * least))
                    };
                    let (image, label) = (image(&images, row), &labels[row..=row]);
                    let streams = Streams::new(seed, &[7]);
                    let found = spsa(&classifier, &image, label, &options, &streams).unwrap();
                    assert_eq!(found.solved, [expected], "{width} {seed} {row}");
                    assert_eq!(predict(&classifier, &found.images) != label, expected);
                }
            }
        }
    }
}

/// With one pixel the estimate is exact, Adam's steps are 0.01, and δ is taken from the iterate.
#[test]
fn spsa_by_hand() {
    let classifier = linear(vec![1.0], -10.0, [1, 1, 1]);
    for (start, iterates) in [
        (0.5f32, [0.5, 0.51, 0.52, 0.53, 0.535, 0.535]),
        (0.98, [0.98, 0.99, 1.0, 1.0, 1.0, 1.0]),
        (0.0, [0.0, 0.01, 0.02, 0.03, 0.035, 0.035]),
    ] {
        let options = SpsaOptions { samples: 1, steps: 5, ..SpsaOptions::new(epsilon(0.035)) };
        let spy = Spy::on(&classifier);
        let image = Tensor::full(&[1, 1, 1, 1], start);
        let found = spsa(&spy, &image, &[0], &options, &Streams::new(0, &[0])).unwrap();
        let seen: Vec<f32> = spy.seen.lock().unwrap().iter().map(|image| image[0]).collect();
        assert_eq!(seen.len(), 16);
        assert_eq!((found.forward, found.backward), (16, 0));
        for (step, expected) in iterates.into_iter().enumerate() {
            assert!((seen[3 * step] - expected).abs() < 1e-6, "{start} {step}: {seen:?}");
        }
        for step in 0..5 {
            let mut around = [seen[3 * step + 1], seen[3 * step + 2]];
            around.sort_by(f32::total_cmp);
            let expected = [(iterates[step] - 0.01).max(0.0), (iterates[step] + 0.01).min(1.0)];
            for (found, expected) in around.into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{start} {step}: {seen:?}");
            }
        }
        assert!((found.images.host()[0] - iterates[5]).abs() < 1e-6);
    }
}

/// Where the box cuts a side off, the estimate still points the right way.
#[test]
fn pixels_at_the_border_climb_too() {
    let classifier = linear(vec![1.0, -1.0, 1.0, -1.0], -10.0, [1, 1, 4]);
    let image = Tensor::new(&[1, 1, 1, 4], vec![0.0, 1.0, 0.5, 0.5]).unwrap();
    let options = SpsaOptions { samples: 200, steps: 10, ..SpsaOptions::new(epsilon(0.05)) };
    let found = spsa(&classifier, &image, &[0], &options, &Streams::new(0, &[0])).unwrap();
    for (found, expected) in found.images.host().iter().zip([0.05, 0.95, 0.55, 0.45]) {
        assert!((found - expected).abs() < 1e-6, "{:?}", found);
    }
}

proptest! {
    /// Every image the classifier is asked about lies in the box; iterates in the ball, too.
    #[test]
    fn spsa_stays_in_ball_and_box(
        seed in any::<u64>(), radius in 1e-4f64..0.5, step in 1e-3f64..0.5, delta in 1e-4f64..0.5,
        spread in 0f32..=0.5,
    ) {
        let w = uniform(seed, &[24], -1.0, 1.0).into_vec();
        let classifier = linear(w, -40.0, [2, 3, 4]);
        let clean = uniform(!seed, &[1, 2, 3, 4], 0.5 - 2.0 * spread, 0.5 + 2.0 * spread);
        let clean = ops::map(clean, |pixel| pixel.clamp(0.0, 1.0));
        let options = SpsaOptions {
            samples: 3,
            steps: 4,
            step: epsilon(step),
            delta: epsilon(delta),
            ..SpsaOptions::new(epsilon(radius))
        };
        let spy = Spy::on(&classifier);
        spsa(&spy, &clean, &[0], &options, &Streams::new(seed, &[3])).unwrap();
        let seen = spy.seen.lock().unwrap();
        prop_assert_eq!(seen.len(), 4 * 7 + 1);
        for (place, point) in seen.iter().enumerate() {
            prop_assert!(point.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            let further = if place % 7 == 0 { 0.0 } else { delta };
            let found = apart(Norm::Linf, point, &clean.host());
            prop_assert!(found <= (radius + further) * (1.0 + 1e-6) + 1e-7 * further.signum());
        }
    }

    #[test]
    fn noise_stays_in_ball_and_box(
        seed in any::<u64>(), norm in 0usize..3, radius in 1e-4f64..1.0, sphere in any::<bool>(),
    ) {
        let norm = [Norm::Linf, Norm::L2, Norm::L1][norm];
        let classifier = linear(vec![1.0; 24], -40.0, [2, 3, 4]);
        let clean = ops::map(uniform(seed, &[1, 2, 3, 4], -0.5, 1.5), |pixel| pixel.clamp(0.0, 1.0));
        let options = NoiseOptions { draws: 8, sphere, ..NoiseOptions::new(norm, epsilon(radius)) };
        let spy = Spy::on(&classifier);
        noise(&spy, &clean, &[0], &options, &Streams::new(seed, &[3])).unwrap();
        let seen = spy.seen.lock().unwrap();
        prop_assert_eq!(seen.len(), 9);
        for point in seen.iter() {
            prop_assert!(point.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            prop_assert!(apart(norm, point, &clean.host()) <= radius * (1.0 + 1e-6));
        }
        prop_assert!(seen[1] != seen[2]);
    }
}

#[test]
fn noise_on_a_sphere_is_epsilon_away() {
    let classifier = linear(vec![1.0; 24], -40.0, [2, 3, 4]);
    let clean = Tensor::full(&[1, 2, 3, 4], 0.5);
    for norm in [Norm::Linf, Norm::L2, Norm::L1] {
        let options =
            NoiseOptions { draws: 20, sphere: true, ..NoiseOptions::new(norm, epsilon(0.2)) };
        let spy = Spy::on(&classifier);
        noise(&spy, &clean, &[0], &options, &Streams::new(0, &[3])).unwrap();
        for point in &spy.seen.lock().unwrap()[1..] {
            assert!((apart(norm, point, &clean.host()) - 0.2).abs() < 1e-5, "{norm}");
        }
    }
}

/// A draw in one pixel is uniform: it crosses a boundary at half of ε one time in four.
#[test]
fn noise_finds_what_it_should() {
    let classifier = linear(vec![1.0], -0.55, [1, 1, 1]);
    let n = 400;
    let images = Tensor::full(&[n, 1, 1, 1], 0.5);
    let (labels, indices) = (vec![0; n], (0..n).collect::<Vec<_>>());
    let solved = |draws, radius| {
        let options = NoiseOptions { draws, ..NoiseOptions::new(Norm::Linf, epsilon(radius)) };
        let streams = Streams::new(1, &indices);
        let found = noise(&classifier, &images, &labels, &options, &streams).unwrap();
        assert!(found.undecided.iter().all(|undecided| !undecided));
        found.solved.iter().filter(|&&solved| solved).count()
    };
    let once = solved(1, 0.1);
    // Binomial: 100 ± 8.7.
    assert!((60..140).contains(&once), "{once}");
    assert!(solved(2, 0.1) > once);
    assert_eq!(solved(100, 0.1), n);
    assert_eq!(solved(100, 0.049), 0);
}

#[test]
fn solved_samples_leave_and_counts_are_true() {
    let classifier = linear(vec![1.0; 24], -13.0, [2, 3, 4]);
    let images = uniform(9, &[12, 2, 3, 4], 0.4, 0.6);
    let indices: Vec<usize> = (0..12).collect();
    for text in ["spsa:eps=0.05,steps=6,samples=5", "noise:eps=0.12,draws=20"] {
        let spec: AttackSpec = text.parse().unwrap();
        let spy = Spy::on(&classifier);
        let found = spec.run(&spy, &images, &[0; 12], &Streams::new(0, &indices)).unwrap();
        assert_eq!(found.forward, spy.seen.lock().unwrap().len() as u64);
        assert_eq!((found.backward, *spy.backward.lock().unwrap()), (0, 0));
        assert!(found.solved.contains(&true) && found.solved.contains(&false), "{text}");
        let most = if text.starts_with("spsa") { 6 * 11 + 1 } else { 21 };
        assert!(found.forward < 12 * most, "{text}");
        for (row, &solved) in found.solved.iter().enumerate() {
            assert_eq!(predict(&classifier, &image(&found.images, row)) != [0], solved, "{text}");
        }
    }
}

/// The same outcomes, bit for bit, on a real network.
#[test]
fn results_depend_on_neither_batch_size_nor_order_nor_threads() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let classifier = network();
    let set = set_of(&classifier, uniform(1, &[9, 1, 8, 8], 0.0, 1.0));
    let texts = ["spsa:eps=0.03,steps=4,samples=40", "noise:eps=0.15,draws=12"];
    let attacks: Vec<AttackSpec> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let with = |set: &EvaluationSet, batch| {
        let options = EvaluationOptions { batch, keep_images: true, ..Default::default() };
        evaluate(&classifier, set, &attacks, &options, &mut Silent).unwrap()
    };
    let reference = with(&set, 128);
    for attack in &reference.attacks {
        assert!(attack.robust > 0 && attack.robust < 9, "{attack:?}");
    }
    for batch in [1, 4] {
        let found = with(&set, batch);
        assert_eq!((&found.rows, &found.images), (&reference.rows, &reference.images));
    }
    let backwards: Vec<usize> = (0..9).rev().collect();
    let reversed = EvaluationSet::new(
        ops::select(set.images(), &backwards).unwrap(),
        backwards.iter().map(|&row| set.labels()[row]).collect(),
        backwards.iter().map(|&row| set.indices()[row]).collect(),
    )
    .unwrap();
    let mut found = with(&reversed, 4);
    found.rows.reverse();
    assert_eq!(found.rows, reference.rows);
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| with(&set, 5));
        assert_eq!((&found.rows, &found.images), (&reference.rows, &reference.images));
    }
}

/// Enough samples that the losses are looked at in other batches when more are attacked at once.
#[test]
fn spsa_looks_in_batches_of_any_size() {
    let w = uniform(1, &[24], -1.0, 1.0).into_vec();
    let b = -0.5 * w.iter().map(|&w| f64::from(w)).sum::<f64>();
    let classifier = linear(w, b, [2, 3, 4]);
    let images = uniform(2, &[150, 2, 3, 4], 0.2, 0.8);
    let labels = predict(&classifier, &images);
    let spec: AttackSpec = "spsa:eps=0.02,steps=4,samples=7".parse().unwrap();
    let attack = |rows: &[usize]| {
        let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
        let images = ops::select(&images, rows).unwrap();
        spec.run(&classifier, &images, &labels, &Streams::new(3, rows)).unwrap()
    };
    let all: Vec<usize> = (0..150).collect();
    let together = attack(&all);
    assert!(together.solved.contains(&true) && together.solved.contains(&false));
    for size in [1, 3, 101] {
        for rows in all.chunks(size) {
            let found = attack(rows);
            assert_eq!(found.images, ops::select(&together.images, rows).unwrap());
            let solved: Vec<bool> = rows.iter().map(|&row| together.solved[row]).collect();
            assert_eq!(found.solved, solved);
        }
    }
}

/// Class 1 in a window beside the image, which no iterate enters.
fn window(low: f32, high: f32) -> impl Classifier {
    Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: move |image: &[f32]| {
            let is_inside = image[0] > low && image[0] < high;
            vec![0.0, if is_inside { 1.0 } else { image[0] - 2.0 }]
        },
        pullback: |_: &[f32], _: &[f32]| vec![0.0],
    }
}

#[test]
fn an_example_met_beside_an_iterate_is_kept_only_within_the_ball() {
    let image = Tensor::full(&[1, 1, 1, 1], 0.5);
    let run = |classifier: &dyn Classifier| {
        let options = SpsaOptions {
            steps: 2,
            samples: 4,
            step: epsilon(1e-5),
            delta: epsilon(0.02),
            ..SpsaOptions::new(epsilon(0.03))
        };
        let options = |radius| SpsaOptions { epsilon: epsilon(radius), ..options.clone() };
        [0.03, 0.01].map(|radius| {
            spsa(classifier, &image, &[0], &options(radius), &Streams::new(0, &[0])).unwrap()
        })
    };
    let [inside, outside] = run(&window(0.51, 0.53));
    assert_eq!((inside.solved, outside.solved), (vec![true], vec![false]));
    assert!((inside.images.host()[0] - 0.52).abs() < 1e-6, "{:?}", inside.images);
}

#[test]
fn what_says_nothing_is_never_robust() {
    let images = uniform(3, &[5, 1, 8, 8], 0.0, 1.0);
    let constant = linear(vec![0.0; 64], -1.0, [1, 8, 8]);
    let indices: Vec<usize> = (0..5).collect();
    for text in ["spsa:eps=8/255,steps=3,samples=4", "noise:eps=8/255,draws=5"] {
        let spec: AttackSpec = text.parse().unwrap();
        let found = spec.run(&constant, &images, &[0; 5], &Streams::new(0, &indices)).unwrap();
        assert_eq!((&found.solved[..], &found.undecided[..]), (&[false; 5][..], &[true; 5][..]));
        assert!(found.images.is_finite());
    }
}

#[test]
fn logits_that_are_not_numbers() {
    let poisoned = |from: f32| Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: move |image: &[f32]| vec![0.0, if image[0] > from { f32::NAN } else { -1.0 }],
        pullback: |_: &[f32], _: &[f32]| vec![0.0],
    };
    let image = Tensor::full(&[1, 1, 1, 1], 0.5);
    let options = SpsaOptions { steps: 3, samples: 4, ..SpsaOptions::new(epsilon(0.02)) };
    let streams = Streams::new(0, &[0]);
    // Within the ball: no robust sample.
    let found = spsa(&poisoned(0.505), &image, &[0], &options, &streams).unwrap();
    assert_eq!((found.solved, found.non_finite_logits), (vec![true], vec![true]));
    // Outside: left out of the estimate, which is then nothing at all.
    let options = SpsaOptions { delta: epsilon(0.1), ..options };
    let found = spsa(&poisoned(0.53), &image, &[0], &options, &streams).unwrap();
    assert_eq!((found.solved, found.undecided), (vec![false], vec![true]));
    assert_eq!((found.non_finite_gradient, found.images.is_finite()), (vec![true], true));
    let options = NoiseOptions::new(Norm::Linf, epsilon(0.02));
    let found = noise(&poisoned(0.505), &image, &[0], &options, &streams).unwrap();
    assert_eq!((found.solved, found.non_finite_logits), (vec![true], vec![true]));
}

#[test]
fn specifications() {
    for (text, shown) in [
        ("spsa:eps=8/255", "spsa:norm=linf,eps=8/255,steps=100,step=0.01,samples=128,delta=0.01"),
        (
            "spsa:eps=0.1,loss=ce,samples=8192",
            "spsa:norm=linf,eps=0.1,steps=100,step=0.01,samples=8192,delta=0.01,loss=ce",
        ),
        ("noise:eps=0.5,norm=l2", "noise:norm=l2,eps=0.5,draws=100"),
        ("noise:eps=0.5,sphere=true", "noise:norm=linf,eps=0.5,draws=100,sphere=true"),
    ] {
        let spec: AttackSpec = text.parse().unwrap();
        assert_eq!(spec.to_string(), shown);
        assert_eq!(spec, shown.parse().unwrap());
    }
    let warnings = |text: &str| text.parse::<AttackSpec>().unwrap().warnings();
    assert!(warnings("spsa:eps=8/255").is_empty());
    assert!(warnings("spsa:eps=0.05,steps=5").is_empty());
    assert!(matches!(warnings("spsa:eps=8/255,steps=3")[..], [Warning::OutOfReach { .. }]));
    for (text, part) in [
        ("spsa:eps=8/255,norm=l2", "accepted is linf"),
        ("spsa:eps=8/255,samples=0", "at least 1"),
        ("spsa:eps=8/255,delta=2", "did you mean 2/255"),
        ("noise:eps=8", "did you mean 8/255"),
    ] {
        let error = text.parse::<AttackSpec>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

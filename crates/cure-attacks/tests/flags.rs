//! What the preflight sees, and what attacks say of each other.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Spy, Toy, linear, network, set_of, uniform};
use cure_attacks::{
    AttackSpec, EvaluationOptions, EvaluationSet, Silent, Warning, curve, evaluate, preflight,
};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

const PIXEL: [usize; 3] = [1, 1, 1];

fn warnings(classifier: &dyn Classifier, set: &EvaluationSet, texts: &[&str]) -> Vec<Warning> {
    let attacks: Vec<AttackSpec> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let options = EvaluationOptions::default();
    evaluate(classifier, set, &attacks, &options, &mut Silent).unwrap().warnings
}

/// `n` images of one pixel at 0.5, of class 0.
fn middle(n: usize) -> EvaluationSet {
    EvaluationSet::new(Tensor::full(&[n, 1, 1, 1], 0.5), vec![0; n], (0..n).collect()).unwrap()
}

/// Pixels around 0.5 in equal numbers; class 1 above it.
fn halves(classifier: &dyn Classifier) -> EvaluationSet {
    let pixels: Vec<f32> = (0..20).map(|step| 0.31 + 0.02 * step as f32).collect();
    set_of(classifier, Tensor::new(&[20, 1, 1, 1], pixels).unwrap())
}

/// One pixel, class 1 above 0.5, and gradients that point the wrong way: without a random start
/// nothing is ever found.
fn backwards() -> impl Classifier {
    Toy {
        classes: 2,
        input: PIXEL,
        logits: |image: &[f32]| vec![0.0, 10.0 * (image[0] - 0.5)],
        pullback: |_: &[f32], u: &[f32]| vec![-10.0 * u[1]],
    }
}

/// PGD without its random start.
fn from_the_image(text: &str) -> String {
    if text.starts_with("pgd") { format!("{text},random-start=false") } else { text.into() }
}

#[test]
fn a_gradient_free_attack_that_finds_more_is_said() {
    let (noise, pgd) = ("noise:eps=0.1", "pgd:eps=0.1,random-start=false");
    let is_masked = |texts: &[&str]| {
        let classifier = backwards();
        warnings(&classifier, &halves(&classifier), texts)
            .into_iter()
            .filter_map(|warning| match warning {
                Warning::MaskedGradients { free, based, samples, of } => {
                    Some((free[..5].to_owned(), based[..4].to_owned(), samples, of))
                }
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    // Those within 0.1 of the boundary: five on each side.
    let fooled = ("noise".into(), "pgd:".into(), 10, 20);
    assert_eq!(is_masked(&[pgd, noise]), std::slice::from_ref(&fooled));
    assert_eq!(is_masked(&[noise, pgd, "fgsm:eps=0.1"]), [fooled]);
    assert_eq!(is_masked(&[noise, "fgsm:eps=0.1"]).len(), 1);
    // Other balls are not compared.
    assert!(is_masked(&[pgd, "noise:eps=0.11"]).is_empty());
    assert!(is_masked(&[pgd, "noise:norm=l2,eps=0.1"]).is_empty());
    // Nor is one with a target.
    assert!(is_masked(&["pgd:eps=0.1,random-start=false,target=next", noise]).is_empty());
    let classifier = linear(vec![1.0], -0.5, PIXEL);
    let found = warnings(&classifier, &halves(&classifier), &[pgd, noise]);
    assert!(!found.iter().any(|one| matches!(one, Warning::MaskedGradients { .. })), "{found:?}");
}

#[test]
fn a_start_that_matters_is_said() {
    // A flat spot at the image.
    let classifier = Toy {
        classes: 2,
        input: PIXEL,
        logits: |image: &[f32]| vec![0.0, 10.0 * (image[0] - 0.55)],
        pullback: |image: &[f32], u: &[f32]| vec![if image[0] == 0.5 { 0.0 } else { 10.0 * u[1] }],
    };
    let points = |texts: &[&str]| {
        let found = warnings(&classifier, &middle(10), texts).into_iter();
        let starts = found.filter_map(|warning| match warning {
            Warning::StartMatters { points, .. } => Some(points),
            _ => None,
        });
        starts.collect::<Vec<f64>>()
    };
    let clean = "pgd:eps=0.1,random-start=false";
    assert!(points(&["pgd:eps=0.1", "pgd:eps=0.1,restarts=2"]).is_empty());
    // Undecided from the clean image as well: none is robust in either.
    assert!(points(&[clean, "pgd:eps=0.1"]).is_empty());
    // With a gradient that leads astray there.
    let classifier = Toy {
        classes: 2,
        input: PIXEL,
        logits: |image: &[f32]| {
            vec![0.0, if image[0] > 0.5 { 10.0 * image[0] - 5.5 } else { -1.0 }]
        },
        pullback: |image: &[f32], _: &[f32]| vec![if image[0] > 0.5 { 1.0 } else { -1.0 }],
    };
    let random = "pgd:eps=0.1,restarts=20";
    let found = warnings(&classifier, &middle(10), &[clean, random]);
    let is_start =
        |one: &&Warning| matches!(one, Warning::StartMatters { points, .. } if *points == 100.0);
    assert_eq!(found.iter().filter(is_start).count(), 1, "{found:?}");
    // Another number of steps is another attack.
    let other = "pgd:eps=0.1,restarts=20,steps=30";
    let found = warnings(&classifier, &middle(10), &[clean, other]);
    assert!(!found.iter().any(|one| matches!(one, Warning::StartMatters { .. })), "{found:?}");
}

#[test]
fn a_larger_epsilon_that_does_no_more_is_said() {
    let not_falling = |classifier: &dyn Classifier, texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| from_the_image(text)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = warnings(classifier, &halves(classifier), &texts).into_iter();
        let pairs = found.filter_map(|warning| match warning {
            Warning::NotFalling { before, after, smaller, larger } => {
                assert_ne!(smaller, larger);
                Some((before, after))
            }
            _ => None,
        });
        pairs.collect::<Vec<_>>()
    };
    let wrong = backwards();
    // Steps that follow ε, and steps of one length; each radius against the next.
    assert_eq!(not_falling(&wrong, &["pgd:eps=0.05", "pgd:eps=0.1"]), [(20, 20)]);
    let fixed = ["pgd:eps=0.05,step=0.01", "pgd:eps=0.1,step=0.01"];
    assert_eq!(not_falling(&wrong, &fixed), [(20, 20)]);
    let thirds = ["pgd:eps=0.3,step=0.1", "pgd:eps=0.03,step=0.01", "pgd:eps=0.07,step=0.0233"];
    assert_eq!(not_falling(&wrong, &thirds), [(20, 20)]);
    assert_eq!(not_falling(&wrong, &["fgsm:eps=0.1", "fgsm:eps=0.2", "fgsm:eps=0.05"]).len(), 2);
    assert!(not_falling(&wrong, &["fgsm:eps=0.1", "pgd:eps=0.2"]).is_empty());
    let right = linear(vec![1.0], -0.5, PIXEL);
    assert!(not_falling(&right, &["pgd:eps=0.05", "pgd:eps=0.1"]).is_empty());
    // Where nothing is left nothing can fall.
    assert!(not_falling(&right, &["pgd:eps=0.3", "pgd:eps=0.4"]).is_empty());
}

#[test]
fn robustness_at_half_the_pixel_range_is_said() {
    let grey = |classifier: &dyn Classifier, set: &EvaluationSet, texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| from_the_image(text)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = warnings(classifier, set, &texts).into_iter();
        found.filter(|one| matches!(one, Warning::RobustWhenGrey { robust: 20, of: 20 })).count()
    };
    let wrong = backwards();
    assert_eq!(grey(&wrong, &halves(&wrong), &["pgd:eps=0.5"]), 1);
    assert_eq!(grey(&wrong, &halves(&wrong), &["pgd:eps=0.5", "fgsm:eps=0.6"]), 1);
    assert_eq!(grey(&wrong, &halves(&wrong), &["pgd:eps=0.49"]), 0);
    assert_eq!(grey(&wrong, &halves(&wrong), &["pgd:eps=0.5,norm=l2"]), 0);
    // Some attack that works is enough.
    assert_eq!(grey(&wrong, &halves(&wrong), &["pgd:eps=0.5", "noise:eps=0.5"]), 0);
    let right = linear(vec![1.0], -0.5, PIXEL);
    assert_eq!(grey(&right, &halves(&right), &["pgd:eps=0.5"]), 0);
    // One class alone can be robust: it may be that of grey.
    let one = linear(vec![1.0], -2.0, PIXEL);
    assert_eq!(grey(&one, &halves(&one), &["pgd:eps=0.5"]), 0);
}

#[test]
fn a_loss_that_still_rises_is_said() {
    // The cross-entropy is ln(1 + e^z), z = 100x − 65; a step of 0.005 adds 0.5 to z.
    let classifier = linear(vec![100.0], -65.0, PIXEL);
    let percent = |text: &str| {
        let found = warnings(&classifier, &middle(4), &[text]).into_iter();
        let rises = found.filter_map(|warning| match warning {
            Warning::StillRising { percent, .. } => Some(percent),
            _ => None,
        });
        rises.collect::<Vec<f64>>()
    };
    // Two of twenty steps, up to z = −5.
    let found = percent("pgd:eps=0.1,step=0.005,random-start=false");
    let loss = |z: f64| z.exp().ln_1p();
    let expected = 100.0 * (loss(-5.0) / loss(-6.0) - 1.0);
    assert!(found.len() == 1 && (found[0] - expected).abs() < 0.1, "{found:?} {expected}");
    assert!(percent("pgd:eps=0.1,random-start=false").is_empty());
    assert!(percent("pgd:eps=0.1,step=0.005,steps=40,random-start=false").is_empty());
    // No tenth of nine steps, nor of one.
    assert!(percent("pgd:eps=0.1,step=0.005,steps=9,random-start=false").is_empty());
    assert!(percent("fgsm:eps=0.1").is_empty());
}

#[test]
fn preflight_costs_little_and_its_batch_does_not_matter() {
    let classifier = network();
    let set = set_of(&classifier, uniform(1, &[70, 1, 8, 8], 0.0, 1.0));
    let spy = Spy::on(&classifier);
    assert_eq!(preflight(&spy, &set, 32).unwrap(), []);
    assert_eq!((spy.seen.lock().unwrap().len(), *spy.backward.lock().unwrap()), (192, 32));
    // Without an attack it is not called.
    let spy = Spy::on(&classifier);
    assert!(warnings(&spy, &set, &[]).is_empty());
    assert_eq!(spy.seen.lock().unwrap().len(), 70);
    assert!(preflight(&classifier, &set, 0).unwrap_err().to_string().contains("batch = 0"));

    // NaN for some, zero gradients for others, in whatever order and batches.
    let odd = Toy {
        classes: 2,
        input: [1, 8, 8],
        logits: |image: &[f32]| vec![0.0, if image[0] > 0.8 { f32::NAN } else { image[1] - 2.0 }],
        pullback: |image: &[f32], _: &[f32]| vec![if image[0] > 0.4 { 0.0 } else { 1.0 }; 64],
    };
    let set =
        EvaluationSet::new(set.images().clone(), vec![0; 70], set.indices().to_vec()).unwrap();
    let reference = preflight(&odd, &set, 32).unwrap();
    assert!(
        matches!(
            reference[..],
            [
                Warning::NonFiniteLogits { of: 32, .. },
                Warning::VanishingGradient { of: 32, .. },
                Warning::FewClasses { classes: 2 }
            ]
        ),
        "{reference:?}"
    );
    let order: Vec<usize> = (0..70).rev().collect();
    let reversed = EvaluationSet::new(
        ops::select(set.images(), &order).unwrap(),
        vec![0; 70],
        order.iter().map(|&row| set.indices()[row]).collect(),
    )
    .unwrap();
    for batch in [1, 5, 100] {
        assert_eq!(preflight(&odd, &set, batch).unwrap(), reference);
        assert_eq!(preflight(&odd, &reversed, batch).unwrap(), reference);
    }
}

#[test]
fn constant_logits_are_said_once() {
    let constant = linear(vec![0.0; 64], -1.0, [1, 8, 8]);
    let set = set_of(&constant, uniform(4, &[6, 1, 8, 8], 0.0, 1.0));
    let is_constant = |one: &&Warning| matches!(one, Warning::ConstantLogits { .. });
    let alone = preflight(&constant, &set, 32).unwrap();
    assert_eq!(alone.iter().filter(is_constant).count(), 1);
    let found = warnings(&constant, &set, &["pgd:eps=0.1"]);
    assert_eq!(found.iter().filter(is_constant).count(), 1);
}

/// Few classes concern attacks that compare more of them.
#[test]
fn few_classes_are_said_where_they_matter() {
    let classifier = Toy {
        classes: 3,
        input: PIXEL,
        logits: |image: &[f32]| vec![0.0, image[0] - 0.5, 2.0 * image[0] - 3.0],
        pullback: |_: &[f32], u: &[f32]| vec![u[1] + 2.0 * u[2]],
    };
    let is_few = |text: &str| {
        let found = warnings(&classifier, &halves(&classifier), &[text]);
        found.contains(&Warning::FewClasses { classes: 3 })
    };
    assert!(is_few("pgd:eps=0.1,loss=dlr"));
    assert!(!is_few("pgd:eps=0.1"));
}

#[test]
fn a_curve_is_judged_over_all_its_images_and_each_warning_is_said_once() {
    let classifier = backwards();
    let set = halves(&classifier);
    let kinds = |attack: &str, epsilons: &[&str]| -> Vec<String> {
        let epsilons: Vec<_> = epsilons.iter().map(|text| text.parse().unwrap()).collect();
        let attack: AttackSpec = attack.parse().unwrap();
        let options = EvaluationOptions::default();
        let found = curve(&classifier, &set, &attack, &epsilons, &options, &mut Silent).unwrap();
        found.warnings.iter().map(|one| format!("{one:?}")).collect()
    };
    let is_said = |all: &[String], kind: &str| all.iter().filter(|one| one.contains(kind)).count();
    // Steps that go the wrong way find as little at a large ε as at a small one.
    let blind = "pgd:eps=0.1,random-start=false";
    let found = kinds(blind, &["0.05", "0.1", "0.2", "0.6"]);
    assert_eq!(is_said(&found, "NotFalling"), 1, "{found:?}");
    assert_eq!(is_said(&found, "RobustWhenGrey"), 1, "{found:?}");
    // Of the few images that noise has left, many withstand; of all images few do.
    let found = kinds("noise:eps=0.1,draws=40", &["0.1", "0.5", "0.6"]);
    assert_eq!(is_said(&found, "RobustWhenGrey"), 0, "{found:?}");
    assert_eq!(is_said(&found, "NotFalling"), 0, "{found:?}");
}

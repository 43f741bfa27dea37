//! Networks that look robust and are not: each is named, and none is called robust.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use common::{Toy, network, set_of, uniform};
use cure_attacks::{
    AttackSpec, Evaluation, EvaluationOptions, EvaluationSet, Silent, Warning, evaluate,
};
use cure_network::{Classifier, Frozen};
use cure_tensor::{Tensor, ops};

const INPUT: [usize; 3] = [1, 8, 8];
/// What fools the network that the traps are made of everywhere.
const ATTACKS: [&str; 2] = ["fgsm:eps=0.4", "pgd:eps=0.4,early-stop=false"];

fn at(image: &[f32]) -> Tensor {
    Tensor::new(&[1, 1, 8, 8], image.to_vec()).unwrap()
}

fn logits(network: &Frozen, image: &[f32]) -> Vec<f32> {
    network.logits(&at(image)).unwrap().into_vec()
}

fn pullback(network: &Frozen, image: &[f32], u: &[f32]) -> Vec<f32> {
    let u = Tensor::new(&[1, u.len()], u.to_vec()).unwrap();
    network.linearize(&at(image)).unwrap().pullback(&u).unwrap().into_vec()
}

/// The network behind some change of its logits, and the change's effect on the pullback.
fn trap(
    logits: impl Fn(&[f32]) -> Vec<f32> + Sync,
    pullback: impl Fn(&[f32], &[f32]) -> Vec<f32> + Sync,
) -> impl Classifier {
    Toy { classes: 10, input: INPUT, logits, pullback }
}

fn images() -> Tensor {
    uniform(3, &[40, 1, 8, 8], 0.3, 0.7)
}

fn run(classifier: &dyn Classifier, set: &EvaluationSet) -> Evaluation {
    let attacks: Vec<AttackSpec> = ATTACKS.iter().map(|text| text.parse().unwrap()).collect();
    evaluate(classifier, set, &attacks, &EvaluationOptions::default(), &mut Silent).unwrap()
}

/// Runs the attacks, demands that no image is called robust, and gives the names of the warnings.
fn caught(classifier: &dyn Classifier) -> Vec<&'static str> {
    let found = run(classifier, &set_of(classifier, images()));
    assert!(found.clean.correct > 0);
    for attack in &found.attacks {
        assert_eq!(attack.robust, 0, "{attack:?}");
    }
    assert!(!found.rows.iter().any(cure_attacks::SampleRow::robust));
    found.warnings.iter().filter_map(name).collect()
}

fn name(warning: &Warning) -> Option<&'static str> {
    Some(match warning {
        Warning::Probabilities { .. } => "probabilities",
        Warning::NonDeterministic { .. } => "non-deterministic",
        Warning::VanishingGradient { .. } => "zero gradient",
        Warning::UnusableGradient { .. } => "gradient not finite",
        Warning::SaturatedSoftmax { .. } => "saturated",
        Warning::NonFiniteLogits { .. } => "logits not finite",
        Warning::Undecided { .. } => "undecided",
        _ => return None,
    })
}

#[test]
fn the_network_itself_is_no_trap() {
    assert!(caught(&network()).is_empty());
}

#[test]
fn quantised_input() {
    let inner = network();
    let rough = |image: &[f32]| -> Vec<f32> {
        image.iter().map(|pixel| (pixel * 8.0).round() / 8.0).collect()
    };
    let classifier = trap(
        move |image| logits(&inner, &rough(image)),
        // A step function's derivative.
        |image, _| vec![0.0; image.len()],
    );
    let names = caught(&classifier);
    assert_eq!(names, ["zero gradient", "undecided", "undecided"]);
}

#[test]
fn probabilities() {
    let (one, other) = (network(), network());
    let softmax = |network: &Frozen, image: &[f32]| -> Vec<f32> {
        let logits = network.logits(&at(image)).unwrap();
        ops::softmax(&logits).unwrap().into_vec()
    };
    let classifier = trap(
        move |image| softmax(&one, image),
        move |image, u| {
            let p = softmax(&other, image);
            let mean: f32 = p.iter().zip(u).map(|(p, u)| p * u).sum();
            let u: Vec<f32> = p.iter().zip(u).map(|(p, u)| p * (u - mean)).collect();
            pullback(&other, image, &u)
        },
    );
    assert_eq!(caught(&classifier), ["probabilities"]);
}

#[test]
fn noise_in_the_logits() {
    let (one, other, looks) = (network(), network(), AtomicU64::new(0));
    let classifier = trap(
        move |image| {
            // Another number at every look.
            let look = looks.fetch_add(1, Ordering::Relaxed);
            let noise = uniform(look, &[10], -5e-3, 5e-3);
            logits(&one, image).iter().zip(noise.host().iter()).map(|(a, b)| a + b).collect()
        },
        move |image, u| pullback(&other, image, u),
    );
    assert_eq!(caught(&classifier), ["non-deterministic"]);
}

#[test]
fn a_saturated_softmax() {
    let (one, other) = (network(), network());
    let classifier = trap(
        move |image| logits(&one, image).iter().map(|logit| 1e4 * logit).collect(),
        move |image, u| pullback(&other, image, u).iter().map(|value| 1e4 * value).collect(),
    );
    let names = caught(&classifier);
    assert!(names.contains(&"saturated") && names.contains(&"zero gradient"), "{names:?}");
    assert!(names.contains(&"undecided"), "{names:?}");
}

#[test]
fn logits_that_are_not_numbers() {
    let (one, other) = (network(), network());
    let classifier = trap(
        move |image| {
            let logits = logits(&one, image);
            if image[0] > 0.5 { vec![f32::NAN; 10] } else { logits }
        },
        move |image, u| pullback(&other, image, u),
    );
    let names = caught(&classifier);
    // Of the set once, not of the preflight's sample as well.
    assert_eq!(names[0], "logits not finite");
    let found = run(&classifier, &set_of(&classifier, images()));
    let clean = |warning: &&Warning| matches!(warning, Warning::NonFiniteLogits { stage, .. } if stage == "clean");
    assert_eq!(found.warnings.iter().filter(clean).count(), 1);
    let preflight = |warning: &Warning| warning.to_string().starts_with("preflight");
    assert!(!found.warnings.iter().any(preflight));
}

#[test]
fn gradients_that_are_not_numbers() {
    let inner = network();
    let classifier = trap(
        move |image| logits(&inner, image),
        |image, _| vec![if image[0] > 0.5 { f32::INFINITY } else { f32::NAN }; image.len()],
    );
    assert_eq!(caught(&classifier), ["gradient not finite", "undecided", "undecided"]);
}

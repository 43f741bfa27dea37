//! Evaluation: what is counted, what is said, and on what it must not depend.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::ops::ControlFlow;

use common::{Toy, linear, network, predict, set_of, uniform};
use cure_attacks::{
    AttackError, AttackResult, AttackSpec, Evaluation, EvaluationOptions, EvaluationSet, Inside,
    Norm, Observer, PgdOptions, Progress, Silent, SpsaOptions, Start, Verdict, Warning, evaluate,
    masking,
};
use cure_network::{Classifier, Frozen, Linearized};
use cure_tensor::{Device, Tensor, TensorError, ops};

const INPUT: [usize; 3] = [1, 8, 8];

fn specs(texts: &[&str]) -> Vec<AttackSpec> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn run(classifier: &dyn Classifier, set: &EvaluationSet, texts: &[&str]) -> Evaluation {
    evaluate(classifier, set, &specs(texts), &EvaluationOptions::default(), &mut Silent).unwrap()
}

#[test]
fn counts_on_a_linear_classifier() {
    // One pixel x, class 1 above 0.5. Distances 0.03, 0.17, 0.25, 0.35; the last is mislabelled.
    let classifier = linear(vec![1.0], -0.5, [1, 1, 1]);
    let images = Tensor::new(&[5, 1, 1, 1], vec![0.53, 0.33, 0.75, 0.15, 0.9]).unwrap();
    let set = EvaluationSet::new(images, vec![1, 0, 1, 0, 0], vec![4, 8, 15, 16, 23]).unwrap();
    let found = run(&classifier, &set, &["fgsm:eps=0.1", "pgd:eps=0.2,random-start=false"]);
    assert_eq!((found.clean.correct, found.clean.n, found.clean.accuracy), (4, 5, 0.8));
    let (weak, strong) = (&found.attacks[0], &found.attacks[1]);
    assert_eq!((weak.robust, weak.n, weak.robust_accuracy), (3, 5, 0.6));
    assert_eq!((strong.robust, strong.attack_success_rate), (2, Some(0.5)));
    // Steps of 0.05 stop at the first iterate across: 0.05 for 0.03, 0.2 for 0.17.
    let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-6;
    assert!(close(strong.median_norm, 0.125) && close(strong.max_norm, 0.2), "{strong:?}");
    assert_eq!((weak.forward, weak.backward), (8, 4));
    let worst = found.worst_case.as_ref().unwrap();
    assert_eq!((worst.robust, worst.attack_success_rate), (2, Some(0.5)));
    let verdicts: Vec<Verdict> = found.rows.iter().map(|row| row.attacks[1].verdict).collect();
    use Verdict::{Fooled, Misclassified, Robust};
    assert_eq!(verdicts, [Fooled, Fooled, Robust, Robust, Misclassified]);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let csv = found.csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 11);
    assert!(lines[1].starts_with("4,1,1,\"fgsm:norm=linf,eps=0.1\",fooled,0,0."), "{csv}");
    assert_eq!(lines[9], "23,0,1,\"fgsm:norm=linf,eps=0.1\",misclassified,1,0");
}

#[test]
fn the_worst_outcome_of_each_sample_counts() {
    // The sum of four pixels decides; from images with four equal ones.
    let wide = linear(vec![1.0; 4], -2.0, [1, 2, 2]);
    let images = Tensor::new(&[2, 1, 2, 2], [[0.53f32; 4], [0.58; 4]].concat()).unwrap();
    let set = set_of(&wide, images);
    // ℓ∞ distances 0.03, 0.08; ℓ2 distances 0.06, 0.16.
    let found = run(&wide, &set, &["fgsm:norm=l2,eps=0.1", "fgsm:eps=0.05", "fgsm:eps=0.01"]);
    let robust: Vec<usize> = found.attacks.iter().map(|attack| attack.robust).collect();
    assert_eq!(robust, [1, 1, 2]);
    assert_eq!(found.worst_case.unwrap().robust, 1);
    assert!(run(&wide, &set, &["fgsm:eps=0.01"]).worst_case.is_none());
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
    let set = set_of(&classifier, uniform(1, &[40, 1, 8, 8], 0.0, 1.0));
    let attacks =
        specs(&["fgsm:eps=0.1", "pgd:eps=0.08,steps=8,restarts=2", "pgd:norm=l2,eps=0.2,steps=8"]);
    let with = |set: &EvaluationSet, batch| {
        let options = EvaluationOptions { batch, keep_images: true, ..Default::default() };
        evaluate(&classifier, set, &attacks, &options, &mut Silent).unwrap()
    };
    let reference = with(&set, 128);
    // The test says something only if some are fooled and some are not.
    for attack in &reference.attacks {
        assert!(attack.robust > 0 && attack.robust < 40, "{attack:?}");
    }
    for batch in [1, 7] {
        let found = with(&set, batch);
        assert_eq!(found.rows, reference.rows, "batch {batch}");
        assert_eq!(found.images, reference.images, "batch {batch}");
    }
    let backwards: Vec<usize> = (0..40).rev().collect();
    let reversed = EvaluationSet::new(
        ops::select(set.images(), &backwards).unwrap(),
        backwards.iter().map(|&row| set.labels()[row]).collect(),
        backwards.iter().map(|&row| set.indices()[row]).collect(),
    )
    .unwrap();
    let mut found = with(&reversed, 7);
    found.rows.reverse();
    assert_eq!(found.rows, reference.rows);
    for (found, reference) in found.images.iter().zip(&reference.images) {
        assert_eq!(&ops::select(found, &backwards).unwrap(), reference);
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let found = pool.install(|| with(&set, 16));
        assert_eq!((found.rows, found.images), (reference.rows.clone(), reference.images.clone()));
    }
    // Another seed starts elsewhere.
    let options = EvaluationOptions { seed: 1, keep_images: true, ..Default::default() };
    let other = evaluate(&classifier, &set, &attacks, &options, &mut Silent).unwrap();
    assert_eq!(other.images[0], reference.images[0]);
    assert_ne!(other.images[1], reference.images[1]);
}

#[test]
fn returned_images_are_what_the_rows_say() {
    let classifier = network();
    let set = set_of(&classifier, uniform(2, &[30, 1, 8, 8], 0.0, 1.0));
    let options =
        EvaluationOptions { keep_images: true, recheck_rounded: true, ..Default::default() };
    let attacks = specs(&["pgd:eps=0.03"]);
    let found = evaluate(&classifier, &set, &attacks, &options, &mut Silent).unwrap();
    assert!(found.attacks[0].robust > 0 && found.attacks[0].robust < 30);
    let classes = predict(&classifier, &found.images[0]);
    let changes = ops::subtract(&found.images[0], set.images()).unwrap();
    for (row, norm) in ops::sample_linf(&changes).unwrap().into_iter().enumerate() {
        let outcome = &found.rows[row].attacks[0];
        assert_eq!(outcome.prediction, Some(classes[row]));
        assert_eq!(outcome.verdict == Verdict::Fooled, classes[row] != set.labels()[row]);
        assert!((outcome.norm - norm).abs() < 1e-7 && norm <= 0.03 * (1.0 + 1e-6));
    }
    assert!(found.attacks[0].rounded_successes_lost.is_some());
}

#[test]
fn rounding_to_eight_bits_can_lose_a_success() {
    // From level 100, a step of 0.4 reaches a class that begins at 100.2; rounding goes back.
    let image = |level: f32| Tensor::full(&[1, 1, 1, 1], level / 255.0);
    let lost = |threshold: f64| {
        let classifier = linear(vec![255.0], -threshold, [1, 1, 1]);
        let set = EvaluationSet::new(image(100.0), vec![0], vec![0]).unwrap();
        let options = EvaluationOptions { recheck_rounded: true, ..Default::default() };
        let attacks = specs(&["fgsm:eps=0.4/255"]);
        let found = evaluate(&classifier, &set, &attacks, &options, &mut Silent).unwrap();
        (found.attacks[0].robust, found.attacks[0].rounded_successes_lost)
    };
    assert_eq!(lost(100.2), (0, Some(1)));
    assert_eq!(lost(100.45), (1, Some(0)));
}

#[test]
fn constant_logits_are_never_robust() {
    let classifier = linear(vec![0.0; 64], -1.0, INPUT);
    let set = set_of(&classifier, uniform(4, &[6, 1, 8, 8], 0.0, 1.0));
    let found = run(&classifier, &set, &["pgd:eps=8/255", "fgsm:eps=8/255"]);
    assert_eq!(found.clean.correct, 6);
    for attack in &found.attacks {
        assert_eq!((attack.robust, attack.undecided), (0, 6));
        assert_eq!(attack.attack_success_rate, Some(0.0));
    }
    assert_eq!(found.worst_case.unwrap().robust, 0);
    let is = |wanted: fn(&Warning) -> bool| found.warnings.iter().filter(|one| wanted(one)).count();
    assert_eq!(is(|one| matches!(one, Warning::ConstantLogits { samples: 6 })), 1);
    assert_eq!(is(|one| matches!(one, Warning::ZeroGradient { samples: 6, attacked: 6, .. })), 2);
    assert_eq!(is(|one| matches!(one, Warning::Undecided { samples: 6, .. })), 2);
}

#[test]
fn tied_classes_are_said() {
    let classifier = linear(vec![0.0; 64], 0.0, INPUT);
    let images = uniform(4, &[3, 1, 8, 8], 0.0, 1.0);
    let set = EvaluationSet::new(images, vec![0, 0, 1], vec![0, 1, 2]).unwrap();
    let found = run(&classifier, &set, &[]);
    assert_eq!(found.clean.correct, 2);
    assert!(found.warnings.contains(&Warning::TiedLogits { samples: 3, of: 3 }));
    assert_eq!(found.csv().lines().nth(1), Some("0,0,0,,,,"));
}

#[test]
fn logits_that_are_not_numbers_are_never_robust() {
    // NaN for bright images from the start; for middling ones once they get brighter.
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |image: &[f32]| vec![0.0, if image[0] > 0.6 { f32::NAN } else { -1.0 }],
        pullback: |_: &[f32], _: &[f32]| vec![1.0],
    };
    let images = Tensor::new(&[3, 1, 1, 1], vec![0.2, 0.55, 0.9]).unwrap();
    let set = EvaluationSet::new(images, vec![0; 3], vec![0, 1, 2]).unwrap();
    let found = run(&classifier, &set, &["pgd:eps=0.1,random-start=false"]);
    assert_eq!(found.clean.correct, 2);
    assert_eq!(found.attacks[0].robust, 1);
    let predictions: Vec<Option<usize>> =
        found.rows.iter().map(|row| row.attacks[0].prediction).collect();
    assert_eq!(predictions, [Some(0), None, None]);
    let stages: Vec<(&str, usize)> = found
        .warnings
        .iter()
        .filter_map(|warning| match warning {
            Warning::NonFiniteLogits { stage, samples, .. } => Some((stage.as_str(), *samples)),
            _ => None,
        })
        .collect();
    assert_eq!(stages.len(), 2);
    assert_eq!((stages[0], stages[1].1), (("clean", 1), 1));
}

#[test]
fn a_success_that_a_second_look_denies_does_not_count() {
    use std::sync::atomic::{AtomicBool, Ordering};
    // Answers class 1 on the first look at a brighter image, never again.
    let is_fresh = AtomicBool::new(true);
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: move |image: &[f32]| {
            let once = image[0] > 0.55 && is_fresh.swap(false, Ordering::Relaxed);
            vec![0.0, if once { 1.0 } else { -1.0 }]
        },
        pullback: |_: &[f32], _: &[f32]| vec![1.0],
    };
    let set = EvaluationSet::new(Tensor::full(&[1, 1, 1, 1], 0.5), vec![0], vec![0]).unwrap();
    let found = run(&classifier, &set, &["fgsm:eps=0.1"]);
    assert_eq!(found.attacks[0].attack_success_rate, Some(0.0));
    assert!(matches!(found.warnings[..], [Warning::Unconfirmed { samples: 1, .. }]));
}

#[test]
fn an_observer_sees_progress_and_can_stop() {
    let classifier = linear(vec![1.0], -0.5, [1, 1, 1]);
    let set = set_of(&classifier, uniform(6, &[10, 1, 1, 1], 0.0, 1.0));
    let attacks = specs(&["fgsm:eps=0.01"]);
    let options = EvaluationOptions { batch: 4, ..Default::default() };
    let mut seen = Vec::new();
    let mut note = |progress: &Progress<'_>| {
        seen.push((progress.position, progress.done, progress.total, progress.stages));
        ControlFlow::Continue(())
    };
    evaluate(&classifier, &set, &attacks, &options, &mut note).unwrap();
    let dones: Vec<(usize, usize)> = seen.iter().map(|&(stage, done, ..)| (stage, done)).collect();
    assert_eq!(dones, [(0, 0), (0, 4), (0, 8), (0, 10), (1, 0), (1, 4), (1, 8), (1, 10)]);
    assert!(seen.iter().all(|&(_, _, total, stages)| (total, stages) == (10, 2)));
    let mut stop = |progress: &Progress<'_>| {
        if progress.position == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = evaluate(&classifier, &set, &attacks, &options, &mut stop);
    assert!(matches!(stopped, Err(AttackError::Stopped)));
}

#[test]
fn results_serialise_as_documented() {
    let classifier = linear(vec![1.0], -0.5, [1, 1, 1]);
    let set = set_of(&classifier, uniform(6, &[10, 1, 1, 1], 0.0, 1.0));
    let found = run(&classifier, &set, &["pgd:eps=1/255,step=2/255"]);
    let json = serde_json::to_value(&found).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&json), ["clean", "attacks", "warnings"]);
    assert_eq!(keys(&json["clean"]), ["accuracy", "correct", "n", "ci95"]);
    assert_eq!(
        keys(&json["attacks"][0]),
        [
            "name",
            "spec",
            "norm",
            "epsilon",
            "robust_accuracy",
            "robust",
            "n",
            "ci95",
            "attack_success_rate",
            "median_norm",
            "max_norm",
            "undecided",
            "forward",
            "backward",
            "seconds"
        ]
    );
    assert!(json["warnings"][0].as_str().unwrap().contains("the step is larger than ε"));
}

#[test]
fn misuse_is_refused_by_name() {
    let classifier = linear(vec![1.0], -0.5, [1, 1, 1]);
    let image = Tensor::full(&[1, 1, 1, 1], 0.5);
    let refused = |result: Result<EvaluationSet, AttackError>| result.unwrap_err().to_string();
    let empty = Tensor::zeros(&[0, 1, 1, 1]);
    assert!(refused(EvaluationSet::new(empty, vec![], vec![])).contains("no image"));
    let bright = Tensor::full(&[1, 1, 1, 1], 255.0);
    assert!(refused(EvaluationSet::new(bright, vec![0], vec![0])).contains("[0, 1]"));
    assert!(refused(EvaluationSet::new(image.clone(), vec![0], vec![])).contains("0 indices"));
    let set = EvaluationSet::new(image.clone(), vec![2], vec![0]).unwrap();
    let options = EvaluationOptions::default();
    let error = evaluate(&classifier, &set, &[], &options, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("label 2"), "{error}");
    let set = EvaluationSet::new(image, vec![0], vec![0]).unwrap();
    let none = EvaluationOptions { batch: 0, ..Default::default() };
    let error = evaluate(&classifier, &set, &[], &none, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("batch = 0"), "{error}");
    let far = specs(&["fgsm:norm=l2,eps=2"]);
    let error = evaluate(&classifier, &set, &far, &options, &mut Silent).unwrap_err();
    assert!(error.to_string().contains("did you mean 2/255"), "{error}");
}

#[test]
fn a_wrong_class_that_was_not_the_target_is_a_success_all_the_same() {
    let classifier = network();
    let set = set_of(&classifier, uniform(5, &[40, 1, 8, 8], 0.0, 1.0));
    for target in ["next", "least-likely"] {
        let spec = format!("pgd:eps=0.1,steps=4,target={target}").parse().unwrap();
        let found =
            evaluate(&classifier, &set, &[spec], &EvaluationOptions::default(), &mut Silent);
        let found = found.unwrap();
        let missed = found.rows.iter().filter(|row| {
            let outcome = &row.attacks[0];
            assert_eq!(outcome.verdict == Verdict::Robust, outcome.prediction == Some(row.label));
            outcome.verdict == Verdict::Fooled
        });
        let fooled = missed.count();
        let result = &found.attacks[0];
        assert_eq!(result.robust + fooled, 40);
        assert!(result.on_target.unwrap() < fooled, "{target}: nothing missed its target");
        assert!(!found.warnings.iter().any(|one| matches!(one, Warning::Unconfirmed { .. })));
    }
}

/// Asks to stop the first time it is told what happens inside a batch.
struct Impatient;

impl Observer for Impatient {
    fn progress(&mut self, _: &Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn inside(&mut self, _: &Inside) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn an_observer_can_stop_inside_a_batch() {
    let classifier = network();
    let set = set_of(&classifier, uniform(5, &[4, 1, 8, 8], 0.0, 1.0));
    // Would take years, and all memory if its directions were listed first.
    let spec = "spsa:eps=0.01,samples=1000000000000".parse().unwrap();
    let found = evaluate(&classifier, &set, &[spec], &EvaluationOptions::default(), &mut Impatient);
    assert!(matches!(found, Err(AttackError::Stopped)));
}

#[test]
fn what_masking_cannot_see_is_not_cleared() {
    let constant = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |_: &[f32]| vec![1.0, 0.0],
        pullback: |_: &[f32], _: &[f32]| vec![0.0],
    };
    let images = Tensor::full(&[6, 1, 1, 1], 0.5);
    let set = EvaluationSet::new(images, vec![0; 6], (0..6).collect()).unwrap();
    let epsilon = "0.1".parse().unwrap();
    let follower =
        PgdOptions { steps: 3, start: Start::Clean, ..PgdOptions::new(Norm::Linf, epsilon) };
    let looker = SpsaOptions { steps: 2, samples: 4, ..SpsaOptions::new(epsilon) };
    let found = masking(&constant, &set, [0, 4], &follower, &looker, &mut Silent, None).unwrap();
    assert_eq!((found.n, found.blind, found.rows.len()), (6, 6, 0));
    assert!(found.is_undetermined && !found.is_suspected);
    // PGD has no direction, SPSA goes round it: that is masking itself.
    let stairs = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |image: &[f32]| vec![0.0, if image[0] > 0.505 { 1.0 } else { -1.0 }],
        pullback: |_: &[f32], _: &[f32]| vec![0.0],
    };
    let found = masking(&stairs, &set, [0, 4], &follower, &looker, &mut Silent, None).unwrap();
    assert_eq!((found.only_by_spsa, found.blind), (6, 0));
    assert!(found.is_suspected);
}

/// A classifier on a device that has memory for a few images at a time.
struct Small {
    inner: Frozen,
    most: usize,
}

impl Small {
    fn fits(&self, images: &Tensor) -> cure_network::Result<()> {
        let device = Device::TorchCuda(0);
        match images.shape()[0] <= self.most {
            true => Ok(()),
            false => Err(TensorError::OutOfMemory { operation: "convolution", device }.into()),
        }
    }
}

impl Classifier for Small {
    fn classes(&self) -> usize {
        self.inner.classes()
    }

    fn input_shape(&self) -> [usize; 3] {
        self.inner.input_shape()
    }

    fn logits(&self, images: &Tensor) -> cure_network::Result<Tensor> {
        self.fits(images).and_then(|()| Classifier::logits(&self.inner, images))
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> cure_network::Result<Box<dyn Linearized + 'a>> {
        self.fits(images).and_then(|()| Classifier::linearize(&self.inner, images))
    }
}

#[test]
fn where_memory_is_small_batches_are_and_results_are_the_same() {
    let classifier = network();
    let set = set_of(&classifier, uniform(1, &[40, 1, 8, 8], 0.0, 1.0));
    let texts = ["fgsm:eps=0.1", "pgd:eps=0.08,steps=8,restarts=2", "deepfool"];
    let options = |batch| EvaluationOptions {
        batch,
        keep_images: true,
        recheck_rounded: true,
        ..EvaluationOptions::default()
    };
    let with = |classifier: &dyn Classifier, batch| {
        evaluate(classifier, &set, &specs(&texts), &options(batch), &mut Silent)
    };
    let expected = with(&classifier, 5).unwrap();
    let small = Small { inner: network(), most: 5 };
    let found = with(&small, 20).unwrap();
    assert_eq!(found.rows, expected.rows);
    assert_eq!(found.images, expected.images);
    let figures = |found: &Evaluation| -> Vec<_> {
        let figures =
            |a: &AttackResult| (a.robust, a.forward, a.backward, a.rounded_successes_lost);
        found.attacks.iter().map(figures).collect()
    };
    assert_eq!(figures(&found), figures(&expected));
    assert!(!expected.warnings.iter().any(|w| matches!(w, Warning::SmallerBatches { .. })));
    let said = Warning::SmallerBatches { asked: 20, taken: 5 };
    assert!(found.warnings.contains(&said), "{:?}", found.warnings);

    let none = Small { inner: network(), most: 0 };
    let error = with(&none, 20).unwrap_err();
    assert!(error.to_string().contains("torch:cuda:0 has too little free memory"), "{error}");
}

//! Every attack of the table in a region: some pixels, other pixels for each image, and radii.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::ops::ControlFlow;

use common::{distance, epsilon, network, set_of, uniform};
use cure_attacks::{
    Attack, AttackError, AttackSpec, CarliniWagnerOptions, Epsilon, Evaluation, EvaluationOptions,
    EvaluationSet, Inside, Norm, Observer, Progress, Region, Silent, attacks, evaluate,
};

use cure_tensor::Tensor;

const LENGTH: usize = 64;
const COUNT: usize = 8;

/// Every attack in every norm, cheaply.
fn specs() -> Vec<AttackSpec> {
    let texts = attacks().iter().flat_map(|entry| {
        let more = match entry.name {
            "pgd" => ",restarts=2",
            "apgd" => ",steps=10,restarts=2",
            "apgd-t" | "fab-t" => ",targets=2,steps=6,restarts=2",
            "fab" => ",steps=6,restarts=2",
            "square" => ",queries=20",
            "spsa" => ",steps=2,samples=6",
            "noise" => ",draws=10",
            "ddn" => ",steps=10,quantize=true",
            "cw" => ",steps=30,search-steps=2,initial-const=10,step=0.1",
            "autoattack" => ",version=custom,members=apgd-ce+ddn+noise",
            _ => "",
        };
        entry.norms.iter().map(move |norm| {
            let eps = if *norm == Norm::Linf { 0.15 } else { 1.0 };
            // Not every member knows every norm.
            let more = match (entry.name, norm) {
                ("autoattack", Norm::Linf) => ",version=custom,members=apgd-ce+fab+noise",
                _ => more,
            };
            format!("{}:norm={norm},eps={eps}{more}", entry.name)
        })
    });
    texts.map(|text| text.parse().unwrap()).collect()
}

fn run(set: &EvaluationSet, attacks: &[AttackSpec], batch: usize) -> Evaluation {
    let options = EvaluationOptions { batch, keep_images: true, ..Default::default() };
    evaluate(&network(), set, attacks, &options, &mut Silent).unwrap()
}

fn set() -> EvaluationSet {
    set_of(&network(), uniform(1, &[COUNT, 1, 8, 8], 0.0, 1.0))
}

fn one_mask() -> Vec<bool> {
    (0..LENGTH).map(|pixel| pixel % 3 > 0).collect()
}

fn a_mask_for_each() -> Vec<bool> {
    (0..COUNT * LENGTH).map(|value| (value / LENGTH + value).is_multiple_of(2)).collect()
}

fn some_radii() -> Vec<Epsilon> {
    (0..COUNT).map(|row| epsilon(0.02 + 0.015 * row as f64)).collect()
}

#[test]
fn what_may_not_change_does_not() {
    for mask in [one_mask(), a_mask_for_each()] {
        let set = set().within(Region::of_pixels(mask.clone())).unwrap();
        let specs = specs();
        let found = run(&set, &specs, COUNT);
        for (spec, images) in specs.iter().zip(&found.images) {
            let (clean, found) = (set.images().host(), images.host());
            let changed: Vec<usize> = (0..clean.len()).filter(|&i| clean[i] != found[i]).collect();
            assert!(!changed.is_empty(), "{spec} changed nothing");
            let may = |value: usize| mask[value % mask.len()];
            assert!(changed.into_iter().all(may), "{spec} changed what it may not");
        }
    }
}

#[test]
fn squares_meet_the_only_pixel_that_may_change() {
    // Class 1 where the last pixel is bright: nothing else matters, nothing else may change.
    let mut weight = vec![0.0; LENGTH];
    weight[LENGTH - 1] = 1.0;
    let classifier = common::linear(weight, -0.5, [1, 8, 8]);
    let mut mask = vec![false; LENGTH];
    mask[LENGTH - 1] = true;
    let images = Tensor::full(&[3, 1, 8, 8], 0.45);
    let set = EvaluationSet::new(images, vec![0; 3], vec![0, 1, 2]).unwrap();
    let set = set.within(Region::of_pixels(mask)).unwrap();
    let spec = "square:eps=0.1,queries=12".parse().unwrap();
    let options = EvaluationOptions::default();
    let found = evaluate(&classifier, &set, &[spec], &options, &mut Silent).unwrap();
    assert_eq!(found.attacks[0].robust + found.attacks[0].undecided, 0);
}

#[test]
fn each_image_has_its_radius() {
    let set = set().within(Region::of_radii(some_radii())).unwrap();
    let specs: Vec<AttackSpec> =
        specs().into_iter().filter(|spec| spec.norm() == Norm::Linf).collect();
    let found = run(&set, &specs, COUNT);
    let minimal = ["deepfool", "fab", "fab-t"];
    for (place, spec) in specs.iter().enumerate() {
        let (clean, images) = (set.images().host(), found.images[place].host());
        let mut longest = 0.0f64;
        for (row, radius) in some_radii().into_iter().enumerate() {
            let range = row * LENGTH..(row + 1) * LENGTH;
            let length = distance(Norm::Linf, &clean[range.clone()], &images[range]);
            let outcome = &found.rows[row].attacks[place];
            let share = length / radius.value();
            // What a minimal-norm attack finds further away is no success.
            assert!(share <= 1.0 + 1e-6 || minimal.contains(&spec.name()), "{spec} {row}");
            if share > 1.0 + 1e-6 {
                assert_eq!(outcome.verdict.to_string(), "robust", "{spec} {row}");
            }
            longest = longest.max(share);
        }
        assert!(longest > 0.99, "{spec} never used its radius: {longest}");
    }
}

#[test]
fn batches_do_not_matter() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let region = Region { mask: Some(a_mask_for_each()), radii: Some(some_radii()) };
    let set = set().within(region).unwrap();
    let specs: Vec<AttackSpec> =
        specs().into_iter().filter(|spec| spec.norm() != Norm::L1).collect();
    let whole = run(&set, &specs, COUNT);
    for batch in [1, 3] {
        let found = run(&set, &specs, batch);
        assert_eq!(found.rows, whole.rows, "batch {batch}");
        assert_eq!(found.images, whole.images, "batch {batch}");
    }
}

/// An attack that is not of this crate, and knows no regions.
#[derive(Clone, Debug)]
struct Foreign(CarliniWagnerOptions);

impl std::fmt::Display for Foreign {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("foreign:")
    }
}

impl Attack for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn epsilon(&self) -> Option<Epsilon> {
        None
    }

    fn at(&self, _: Epsilon) -> AttackSpec {
        AttackSpec::new(self.clone())
    }

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> cure_attacks::Result<()> {
        self.0.check(dimension, classes)
    }

    fn run(
        &self,
        classifier: &dyn cure_network::Classifier,
        images: &cure_tensor::Tensor,
        labels: &[usize],
        streams: &cure_attacks::Streams<'_>,
    ) -> cure_attacks::Result<cure_attacks::Adversarial> {
        self.0.run(classifier, images, labels, streams)
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let options = EvaluationOptions::default();
    let refuse = |set: &EvaluationSet, spec: AttackSpec| {
        evaluate(&network(), set, &[spec], &options, &mut Silent).unwrap_err().to_string()
    };
    let masked = set().within(Region::of_pixels(one_mask())).unwrap();
    let error = refuse(&masked, AttackSpec::new(Foreign(CarliniWagnerOptions::new())));
    assert!(error.contains("foreign knows neither masks nor budgets"), "{error}");
    let far = set().within(Region::of_radii(vec![epsilon(4.0); COUNT])).unwrap();
    let error = refuse(&far, "pgd:eps=0.1".parse().unwrap());
    assert!(error.contains("a radius = 4") && error.contains("4/255"), "{error}");
    for (region, part) in [
        (Region::of_pixels(vec![true; 65]), "a mask of 65 pixels"),
        (Region::of_radii(vec![epsilon(0.1); 3]), "3 radii for 8 images"),
    ] {
        assert!(set().within(region).unwrap_err().to_string().contains(part));
    }
    let mut none_in_one = a_mask_for_each();
    none_in_one[3 * LENGTH..4 * LENGTH].fill(false);
    let error = set().within(Region::of_pixels(none_in_one)).unwrap_err().to_string();
    assert!(error.contains("none of image 3"), "{error}");
}

/// Keeps what it is told inside of batches.
#[derive(Default)]
struct Listener(Vec<Inside>);

impl Observer for Listener {
    fn progress(&mut self, _: &Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn inside(&mut self, inside: &Inside) -> ControlFlow<()> {
        self.0.push(inside.clone());
        ControlFlow::Continue(())
    }
}

#[test]
fn members_are_told_as_they_begin() {
    let mut listener = Listener::default();
    let options = EvaluationOptions { batch: 5, ..Default::default() };
    let spec = "autoattack:eps=0.2,version=custom,members=noise+apgd+fgsm";
    let set = set_of(&network(), uniform(1, &[16, 1, 8, 8], 0.0, 1.0));
    let found =
        evaluate(&network(), &set, &[spec.parse().unwrap()], &options, &mut listener).unwrap();
    let begun = |name: &str| -> usize {
        let mut batches: Vec<(usize, usize)> = Vec::new();
        let mut last = None;
        for inside in &listener.0 {
            let member = inside.member.as_ref().unwrap();
            assert_eq!(member.members, 3);
            assert_eq!(inside.done(), inside.images - member.standing);
            // Told once as it begins, and then as time passes.
            if member.name == name && last != Some((name, inside.images, member.standing)) {
                batches.push((inside.images, member.standing));
            }
            last = Some((member.name, inside.images, member.standing));
        }
        batches.iter().map(|(_, standing)| standing).sum()
    };
    let members = &found.attacks[0].members;
    assert_eq!(begun("apgd"), members[1].attacked);
    assert!(members[1].attacked > 0, "{members:?}");
    assert!(matches!(
        evaluate(&network(), &set, &[spec.parse().unwrap()], &options, &mut |_: &Progress<'_>| {
            ControlFlow::Break(())
        }),
        Err(AttackError::Stopped)
    ));
}

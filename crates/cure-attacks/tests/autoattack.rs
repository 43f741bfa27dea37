//! AutoAttack: what its members find, and who is said to have found it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::{
    Spy, Toy, assert_nothing_but_the_sample_counts, distance, epsilon, linear, network, predict,
    set_of, uniform,
};
use cure_attacks::{
    Adversarial, Attack, AttackSpec, AutoAttackOptions, Evaluation, EvaluationOptions,
    EvaluationSet, Norm, Silent, Streams, Verdict, Version, Warning, attacks, evaluate,
};
use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

fn spec(text: &str) -> AttackSpec {
    text.parse().unwrap()
}

fn run(classifier: &dyn Classifier, images: &Tensor, labels: &[usize], text: &str) -> Adversarial {
    let indices: Vec<usize> = (0..labels.len()).collect();
    spec(text).run(classifier, images, labels, &Streams::new(0, &indices)).unwrap()
}

/// Each sample is solved by the first member that solves it alone, at the same point.
#[test]
fn the_worst_of_the_members_and_who_it_was() {
    let classifier = network();
    // Few, of which each is another member's: Square asks a lot.
    let images = ops::select(&uniform(1, &[24, 1, 8, 8], 0.0, 1.0), &[0, 1, 8, 9]).unwrap();
    let labels = predict(&classifier, &images);
    for (norm, radius) in [("linf", 0.02), ("l2", 0.12)] {
        let parameters = format!("norm={norm},eps={radius}");
        let alone: Vec<Adversarial> = ["fgsm", "square", "apgd", "apgd-t"]
            .iter()
            .map(|name| run(&classifier, &images, &labels, &format!("{name}:{parameters}")))
            .collect();
        let spy = Spy::on(&classifier);
        let text =
            format!("autoattack:{parameters},version=custom,members=fgsm+square+apgd-ce+apgd-t");
        let found = run(&spy, &images, &labels, &text);
        let solved_by = found.solved_by.as_ref().unwrap();
        for row in 0..4 {
            let first = alone.iter().position(|member| member.solved[row]);
            assert_eq!(solved_by[row], first, "{norm} {row}");
            assert_eq!(found.solved[row], first.is_some());
            let of = |found: &Adversarial| ops::select(&found.images, &[row]).unwrap();
            assert_eq!(of(&found), of(&alone[first.unwrap_or(0)]), "{norm} {row}");
        }
        assert!(solved_by.contains(&Some(0)) && solved_by.contains(&Some(1)), "{solved_by:?}");
        assert!(solved_by.contains(&None), "{solved_by:?}");
        let mut left = 4;
        for (position, member) in found.members.iter().enumerate() {
            let solved = solved_by.iter().filter(|by| **by == Some(position)).count();
            assert_eq!((member.attacked, member.solved), (left, solved));
            left -= solved;
        }
        assert_eq!(found.forward, spy.seen.lock().unwrap().len() as u64);
        assert_eq!(found.backward, *spy.backward.lock().unwrap());
        let sum = |of: fn(&cure_attacks::MemberTally) -> u64| found.members.iter().map(of).sum();
        assert_eq!((found.forward, found.backward), (sum(|m| m.forward), sum(|m| m.backward)));
    }
}

#[test]
fn nothing_but_the_sample_counts() {
    assert_nothing_but_the_sample_counts(&[
        "autoattack:eps=0.03,version=custom,members=fgsm+apgd-dlr",
        "autoattack:norm=l2,eps=0.1,version=custom,members=fgsm+pgd",
    ]);
}

fn evaluated(classifier: &dyn Classifier, set: &EvaluationSet, text: &str) -> Evaluation {
    let options = EvaluationOptions { batch: 7, ..Default::default() };
    evaluate(classifier, set, &[spec(text)], &options, &mut Silent).unwrap()
}

/// Gradients that are 0 though the logits move: members with gradients are blind.
#[test]
fn masked_gradients_are_flagged_and_never_robust() {
    let masked = Toy {
        classes: 2,
        input: [1, 2, 2],
        logits: |image: &[f32]| vec![0.0, image.iter().sum::<f32>() - 2.0],
        pullback: |_: &[f32], _: &[f32]| vec![0.0; 4],
    };
    // Half of them are within reach.
    let mut values = vec![0.48; 40];
    values.extend([0.3; 40]);
    let set = set_of(&masked, Tensor::new(&[20, 1, 2, 2], values).unwrap());
    let text = "autoattack:norm=linf,eps=0.1,version=custom,members=apgd+square";
    // APGD's blind random starts may solve some; Square solves the rest of the near ones.
    let found = evaluated(&masked, &set, text);
    let members = &found.attacks[0].members;
    let counts: Vec<[usize; 2]> = members.iter().map(|one| [one.attacked, one.solved]).collect();
    assert_eq!(counts[0][0], 20);
    assert_eq!(counts[0][1] + counts[1][1], 10, "{counts:?}");
    assert!(counts[1][1] > 0, "{counts:?}");
    let flagged: Vec<&Warning> = found
        .warnings
        .iter()
        .filter(|one| matches!(one, Warning::GradientMasking { .. }))
        .collect();
    let expected = Warning::GradientMasking {
        attack: text.into(),
        member: "square".into(),
        samples: counts[1][1],
        of: 20,
    };
    assert_eq!(flagged, [&expected]);
    assert_eq!((found.attacks[0].robust, found.attacks[0].undecided), (0, 10));

    // Without a member that is blind nothing is masked and nothing undecided.
    let found = evaluated(&masked, &set, "autoattack:eps=0.1,version=custom,members=square");
    assert_eq!((found.attacks[0].robust, found.attacks[0].undecided), (10, 0));
    assert!(
        matches!(found.warnings[..], [Warning::VanishingGradient { samples: 20, of: 20 }]),
        "{:?}",
        found.warnings
    );
    // Nor where Square goes first.
    let found = evaluated(&masked, &set, "autoattack:eps=0.1,version=custom,members=square+apgd");
    let is_masking = |one: &Warning| matches!(one, Warning::GradientMasking { .. });
    assert!(!found.warnings.iter().any(is_masking), "{:?}", found.warnings);
}

/// Up to 0.2 % of the samples are no sign of anything.
#[test]
fn one_in_five_hundred_is_not_flagged() {
    // The gradient points the wrong way.
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        logits: |image: &[f32]| vec![0.0, image[0] - 0.599],
        pullback: |_: &[f32], _: &[f32]| vec![-1.0],
    };
    for (n, expected) in [(499, true), (500, false)] {
        // All but the first are misclassified, and not attacked.
        let mut labels = vec![1; n];
        labels[0] = 0;
        let images = Tensor::full(&[n, 1, 1, 1], 0.5);
        let set = EvaluationSet::new(images, labels, (0..n).collect()).unwrap();
        let text = "autoattack:eps=0.1,version=custom,members=fgsm+square";
        let found = evaluated(&classifier, &set, text);
        assert_eq!(found.attacks[0].members[1].solved, 1);
        assert_eq!(found.rows[0].attacks[0].solved_by, Some(1));
        let is_masking = |one: &Warning| matches!(one, Warning::GradientMasking { .. });
        assert_eq!(found.warnings.iter().any(is_masking), expected, "{n}");
    }
}

/// A claim that a fresh look denies leaves the sample to the next member.
#[test]
fn claims_are_looked_at_again() {
    let looks = AtomicUsize::new(0);
    let classifier = Toy {
        classes: 2,
        input: [1, 1, 1],
        // Looks 1 (FGSM's step) and all from the fourth are class 1, the fresh look 2 is not.
        logits: |_: &[f32]| {
            let look = looks.fetch_add(1, Ordering::Relaxed);
            vec![0.0, if look == 1 || look > 3 { 1.0 } else { -1.0 }]
        },
        pullback: |_: &[f32], _: &[f32]| vec![1.0],
    };
    let images = Tensor::full(&[1, 1, 1, 1], 0.5);
    let text = "autoattack:eps=0.1,version=custom,members=fgsm+pgd";
    let found = run(&classifier, &images, &[0], text);
    assert_eq!(found.solved_by, Some(vec![Some(1)]));
    assert_eq!(found.members.iter().map(|one| one.solved).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(found.members[0].forward, 3);
}

#[test]
fn members_are_serialised_where_there_are_any() {
    let classifier = linear(vec![1.0], -0.5, [1, 1, 1]);
    let set = set_of(&classifier, uniform(6, &[10, 1, 1, 1], 0.0, 1.0));
    let text = "autoattack:eps=0.1,version=custom,members=fgsm+pgd";
    let json = serde_json::to_value(evaluated(&classifier, &set, text)).unwrap();
    let members = json["attacks"][0]["members"].as_array().unwrap();
    let keys: Vec<&String> = members[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "spec", "attacked", "solved", "forward", "backward"]);
    assert_eq!(members[1]["spec"], spec("pgd:eps=0.1").to_string());
    let json = serde_json::to_value(evaluated(&classifier, &set, "fgsm:eps=0.1")).unwrap();
    assert!(json["attacks"][0].get("members").is_none());
    // All misclassified: the members are listed, with nothing to do.
    let wrong: Vec<usize> = set.labels().iter().map(|label| 1 - label).collect();
    let wrong = EvaluationSet::new(set.images().clone(), wrong, set.indices().to_vec()).unwrap();
    let found = evaluated(&classifier, &wrong, text);
    assert_eq!(found.attacks[0].members.len(), 2);
    assert!(found.attacks[0].members.iter().all(|one| one.attacked == 0));
    assert!(found.rows.iter().all(|row| row.attacks[0].verdict == Verdict::Misclassified));
}

#[test]
fn versions_are_what_their_authors_call_so() {
    let members = |version: Version| -> Vec<String> {
        let options =
            AutoAttackOptions { version, ..AutoAttackOptions::new(Norm::Linf, epsilon(0.5)) };
        options.members().unwrap().iter().map(AttackSpec::to_string).collect()
    };
    let (start, end) = ("apgd:norm=linf,eps=0.5,loss=", ",steps=100,restarts=1,eot=20");
    assert_eq!(members(Version::Rand), [format!("{start}ce{end}"), format!("{start}dlr{end}")]);
    if attacks().iter().all(|entry| entry.name != "fab-t") {
        eprintln!("skipped for the other versions: there is no fab-t yet");
        return;
    }
    let standard = members(Version::Standard);
    let names = |specs: &[String]| -> Vec<String> {
        specs.iter().map(|spec| spec.split(':').next().unwrap().into()).collect()
    };
    assert_eq!(names(&standard), ["apgd", "apgd-t", "fab-t", "square"]);
    assert_eq!(standard[0], format!("{start}ce,steps=100,restarts=1"));
    assert!(standard[1].contains("targets=9,steps=100"), "{standard:?}");
    assert!(standard[3].contains("queries=5000,restarts=1"), "{standard:?}");
    let plus = members(Version::Plus);
    assert_eq!(names(&plus), ["apgd", "apgd", "fab", "square", "apgd-t", "fab-t"]);
    assert!(plus[..3].iter().all(|spec| spec.contains("restarts=5")), "{plus:?}");
    let classifier = network();
    let images = uniform(1, &[6, 1, 8, 8], 0.0, 1.0);
    let labels = predict(&classifier, &images);
    let found = run(&classifier, &images, &labels, "autoattack:eps=0.02");
    for row in 0..6 {
        let point = |images: &Tensor| ops::select(images, &[row]).unwrap().into_vec();
        assert!(distance(Norm::Linf, &point(&found.images), &point(&images)) < 0.020001);
    }
}

#[test]
fn refusals_name_the_remedy() {
    for (text, parts) in [
        ("autoattack:eps=8/255,version=full", &["version = `full`", "standard, plus, rand"][..]),
        ("autoattack:eps=8/255,version=custom", &["members = ``", "members=apgd+square"]),
        ("autoattack:eps=8/255,members=apgd", &["members are those of version=custom"]),
        ("autoattack:eps=8/255,version=custom,members=apgd+apdg", &["unknown attack `apdg`"]),
        ("autoattack:eps=8/255,version=custom,members=apgd+apgd-ce", &["name it once"]),
        ("autoattack:eps=8/255,version=custom,members=autoattack", &["cannot be a member"]),
        ("autoattack:norm=l1,eps=1", &["norm = `l1`", "linf, l2"]),
        ("autoattack:eps=8", &["did you mean 8/255"]),
    ] {
        let error = text.parse::<AttackSpec>().unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
    let refusal =
        |text: &str, classes: usize| spec(text).check(None, Some(classes)).unwrap_err().to_string();
    for version in ["standard", "plus"] {
        let error = refusal(&format!("autoattack:eps=8/255,version={version}"), 3);
        assert!(error.contains("needs 4 classes, the network has 3"), "{error}");
        assert!(error.contains("use version=custom,members=apgd+fab+square"), "{error}");
    }
    let error = refusal("autoattack:eps=8/255,version=rand", 2);
    assert!(error.contains("needs 3 classes") && error.contains("apgd:loss=ce,eot=20"), "{error}");
    let error = refusal("autoattack:eps=8/255,version=custom,members=apgd+apgd-t", 3);
    assert!(error.contains("apgd-t") && error.contains("4 classes"), "{error}");
    let other = spec("autoattack:eps=8/255,version=custom,members=apgd+square");
    let other = other.at(epsilon(4.0 / 255.0));
    let expected = "autoattack:norm=linf,eps=4/255,version=custom,members=apgd+square";
    assert_eq!(other.to_string(), expected);
    assert_eq!(spec(expected), other);
}

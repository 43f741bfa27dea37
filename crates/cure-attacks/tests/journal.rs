//! Evaluations that are interrupted and go on.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::ops::ControlFlow;

use common::{network, set_of, uniform};
use cure_attacks::{
    AttackError, AttackSpec, Evaluation, EvaluationOptions, EvaluationSet, Journal, Norm, Observer,
    PgdOptions, Progress, Shard, Silent, SpsaOptions, evaluate, evaluate_shard, evaluate_with,
    masking,
};
use cure_network::Frozen;

const ATTACKS: [&str; 2] = [
    "autoattack:eps=0.02,version=custom,members=apgd-ce:steps=8+apgd-t:steps=3+fab-t:steps=2+square:queries=15",
    "deepfool:norm=l2",
];

fn set(classifier: &Frozen) -> EvaluationSet {
    set_of(classifier, uniform(3, &[23, 1, 8, 8], 0.0, 1.0))
}

fn specs() -> Vec<AttackSpec> {
    ATTACKS.iter().map(|text| text.parse().unwrap()).collect()
}

fn options() -> EvaluationOptions {
    EvaluationOptions { batch: 5, ..Default::default() }
}

/// All that is the same for every run: wall-clock times are not.
fn without_seconds(mut found: Evaluation) -> Evaluation {
    found.attacks.iter_mut().for_each(|attack| attack.seconds = 0.0);
    found
}

#[test]
fn interrupted_anywhere_it_ends_in_the_same_result() {
    if cure_tensor::device().is_torch() {
        return eprintln!(
            "skipped: the same bits whatever the batch are a promise of the CPU engine"
        );
    }
    let classifier = network();
    let set = set(&classifier);
    let whole = evaluate(&classifier, &set, &specs(), &options(), &mut Silent).unwrap();
    let whole = without_seconds(whole);
    let folder = tempfile::tempdir().unwrap();
    for stop_after in 1..=12 {
        let path = folder.path().join(format!("{stop_after}.jsonl"));
        let mut reports = 0;
        let mut stop = |_: &Progress<'_>| {
            reports += 1;
            if reports > stop_after + 6 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut journal = Journal::open(&path, "mine").unwrap();
        let run =
            evaluate_with(&classifier, &set, &specs(), &options(), &mut stop, Some(&mut journal));
        let is_stopped = matches!(run, Err(AttackError::Stopped));
        assert_eq!(is_stopped, stop_after < 12, "{stop_after}");
        drop(journal);
        // A death in the middle of a line.
        let mut text = fs::read(&path).unwrap();
        text.extend(b"{\"place\":[1,");
        fs::write(&path, text).unwrap();

        let mut journal = Journal::open(&path, "mine").unwrap();
        let known = journal.len();
        assert!(known > 0, "{stop_after}");
        let found =
            evaluate_with(&classifier, &set, &specs(), &options(), &mut Silent, Some(&mut journal));
        assert_eq!(without_seconds(found.unwrap()).attacks, whole.attacks, "{stop_after}");
        // Everything is in it now: nothing is attacked once more.
        drop(journal);
        let journal = Journal::open(&path, "mine").unwrap();
        assert_eq!(journal.len(), 10);
    }
}

#[test]
fn what_is_known_is_not_done_again() {
    let classifier = network();
    let set = set(&classifier);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let run = || {
        let mut journal = Journal::open(&path, "mine").unwrap();
        let spy = common::Spy::on(&classifier);
        let (specs, options) = (specs(), EvaluationOptions { preflight: false, ..options() });
        let found = evaluate_with(&spy, &set, &specs, &options, &mut Silent, Some(&mut journal));
        let looks = spy.seen.lock().unwrap().len();
        (found.unwrap(), looks)
    };
    let (first, _) = run();
    let (second, looks) = run();
    assert_eq!(first.rows, second.rows);
    // And the times are those of the attacks.
    assert_eq!(first.attacks, second.attacks);
    assert_eq!(looks, set.len());
}

/// Shards that are worked on apart, one of them through bytes, come to the whole.
#[test]
fn shards_come_to_the_whole() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: the same bits in every run are a promise of the CPU engine");
    }
    let classifier = network();
    let set = set(&classifier);
    let whole =
        without_seconds(evaluate(&classifier, &set, &specs(), &options(), &mut Silent).unwrap());
    let folder = tempfile::tempdir().unwrap();
    for count in [1, 2, 3, 20] {
        let path = |name: String| folder.path().join(name);
        let mut merged = Journal::open(&path(format!("{count}-all")), "mine").unwrap();
        for index in 0..count {
            let shard = Shard::new(index, count).unwrap();
            let run = |journal: &mut Journal, observer: &mut dyn Observer| {
                let (specs, options) = (specs(), options());
                evaluate_shard(&classifier, &set, &specs, &options, observer, journal, shard)
            };
            let before = merged.len();
            if index == 0 {
                let mut journal = Journal::default();
                assert!(!journal.is_kept() && merged.is_kept());
                run(&mut journal, &mut Silent).unwrap();
                merged.extend(&journal.to_bytes()).unwrap();
                assert_eq!(merged.len(), before + journal.len());
                continue;
            }
            let place = path(format!("{count}-{index}"));
            // Interrupted, and gone on with.
            let mut reports = 0;
            let mut stop = |_: &Progress<'_>| {
                reports += 1;
                if reports > 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let _ = run(&mut Journal::open(&place, "mine").unwrap(), &mut stop);
            let mut journal = Journal::open(&place, "mine").unwrap();
            run(&mut journal, &mut Silent).unwrap();
            assert_eq!(merged.adopt(&place, "mine").unwrap(), journal.len());
            assert_eq!(merged.adopt(&place, "mine").unwrap(), 0);
        }
        assert_eq!(merged.len(), 10, "{count} shards");
        let spy = common::Spy::on(&classifier);
        let options = EvaluationOptions { preflight: false, ..options() };
        let found =
            evaluate_with(&spy, &set, &specs(), &options, &mut Silent, Some(&mut merged)).unwrap();
        assert_eq!(spy.seen.lock().unwrap().len(), set.len(), "something was attacked again");
        assert_eq!(without_seconds(found).attacks, whole.attacks, "{count} shards");
    }
}

#[test]
fn two_writers_of_one_journal_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let first = Journal::open(&path, "mine").unwrap();
    let message = Journal::open(&path, "mine").unwrap_err().to_string();
    assert!(message.contains("another process is writing"), "{message}");
    drop(first);
    Journal::open(&path, "mine").unwrap();
}

#[test]
fn texts_that_are_shards_or_not() {
    assert_eq!("2/8".parse::<Shard>().unwrap(), Shard::new(1, 8).unwrap());
    for text in ["0/8", "9/8", "1", "1/0", "a/b", "-1/2"] {
        let message = text.parse::<Shard>().unwrap_err().to_string();
        assert!(message.contains(text) && message.contains("1 to N"), "{message}");
    }
}

#[test]
fn a_journal_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    drop(Journal::open(&path, "mine").unwrap());
    let before = fs::read(&path).unwrap();
    let error = Journal::open(&path, "yours").unwrap_err().to_string();
    assert!(error.contains("another network") && error.contains("journal.jsonl"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    for text in ["my notes\n", "my notes", "[1]\n"] {
        fs::write(&path, text).unwrap();
        assert!(Journal::open(&path, "mine").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert!(Journal::open(&folder.path().join("no/where"), "mine").is_err());
}

#[test]
fn masking_goes_on_too() {
    let classifier = network();
    let set = set(&classifier);
    let follower = PgdOptions { steps: 3, ..PgdOptions::new(Norm::Linf, "0.02".parse().unwrap()) };
    let looker = SpsaOptions { steps: 2, samples: 4, ..SpsaOptions::new("0.02".parse().unwrap()) };
    let run = |observer: &mut dyn Observer, journal: Option<&mut Journal>| {
        masking(&classifier, &set, [1, 5], &follower, &looker, observer, journal)
    };
    let whole = run(&mut Silent, None).unwrap();
    assert!(whole.n > 10);
    let folder = tempfile::tempdir().unwrap();
    for stop_after in 1..5 {
        let path = folder.path().join(format!("{stop_after}.jsonl"));
        let mut reports = 0;
        let mut stop = |_: &Progress<'_>| {
            reports += 1;
            if reports > stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut journal = Journal::open(&path, "mine").unwrap();
        let stopped = run(&mut stop, Some(&mut journal));
        assert!(matches!(stopped, Err(AttackError::Stopped)));
        drop(journal);
        let mut journal = Journal::open(&path, "mine").unwrap();
        assert_eq!(journal.len(), stop_after);
        assert_eq!(run(&mut Silent, Some(&mut journal)).unwrap(), whole);
    }
}

//! Runs that die, and runs that are rolled back: with everything on that the loop can do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::Path;

use common::{digits, everything, result, resume};
use cure_training::{
    Checkpoint, Consequence, Control, Ending, Event, Moment, OnOverfitting, Outcome, Position,
    RunDirectory, TrainingConfig, train,
};

/// Run by the next test in a process of its own, which dies in the middle of an epoch without a
/// chance to clean up, as under `kill -9`: in the second, before the run is rolled back, or in the
/// third, behind it.
#[test]
#[ignore = "kills its process"]
fn child_that_dies() {
    let path = std::env::var_os("CURE_TRAINING_TEST_RUN").expect("set by the parent");
    let step: usize =
        std::env::var("CURE_TRAINING_TEST_STEP").expect("set by the parent").parse().unwrap();
    let config = TrainingConfig { checkpoint_seconds: 1e-9, ..everything() };
    common::start_overfitting(Path::new(&path), &config);
    let mut run = RunDirectory::resume(Path::new(&path)).unwrap();
    let (training, validation) = digits();
    // The first epoch's steps are done.
    let mut steps = 6;
    let mut observer = |event: &Event<'_>| {
        steps += usize::from(matches!(event, Event::Step { .. }));
        if steps == step {
            std::process::abort();
        }
        Control::Continue
    };
    let _ =
        train(common::residual(1), &training, Some(&validation), &config, &mut run, &mut observer);
}

#[test]
fn a_killed_run_resumes_to_the_same_weights() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    let config = TrainingConfig { checkpoint_seconds: 1e-9, ..everything() };
    common::start_overfitting(&whole, &config);
    let Outcome::Finished(finished) = resume(&whole, None).unwrap() else { panic!("interrupted") };
    let roll_backs: Vec<usize> = finished
        .rows
        .iter()
        .filter_map(|row| row.overfitting)
        .filter(|found| {
            found.consequence == Consequence::RolledBack
                && found.best.is_some_and(|best| best.epoch == 1)
        })
        .map(|found| found.roll_backs)
        .collect();
    // The last epoch is as overfitted, but the run ends with it.
    assert_eq!(roll_backs, [1, 2], "{:?}", finished.rows);
    // It died in a step before that step's checkpoint: 6 batches an epoch.
    for (step, position) in
        [(10, Position { epoch: 1, batch: 3 }), (17, Position { epoch: 2, batch: 4 })]
    {
        let killed = root.path().join(step.to_string());
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_dies", "--ignored"])
            .env("CURE_TRAINING_TEST_RUN", &killed)
            .env("CURE_TRAINING_TEST_STEP", step.to_string())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success());
        let found = Checkpoint::read_position(&killed.join("checkpoints/last.safetensors"));
        assert_eq!(found.unwrap(), position);
        // What a death inside a write leaves behind.
        for leftover in ["checkpoints/.next.safetensors.partial", "checkpoints/next.safetensors"] {
            std::fs::write(killed.join(leftover), b"half a check").unwrap();
        }
        for file in ["metrics.jsonl", "events.out.tfevents.cure"] {
            let mut bytes = std::fs::read(killed.join(file)).unwrap();
            bytes.extend(b"{\"epoch\":2,\"lo");
            std::fs::write(killed.join(file), bytes).unwrap();
        }
        assert!(matches!(resume(&killed, None).unwrap(), Outcome::Finished(_)));
        assert!(result(&killed) == result(&whole), "died in step {step}");
        // Nor does a death between the two renames of a checkpoint lose it.
        std::fs::remove_file(killed.join("checkpoints/last.safetensors")).unwrap();
        assert!(matches!(resume(&killed, None).unwrap(), Outcome::Finished(_)));
        assert!(result(&killed) == result(&whole), "died in step {step}");
    }
}

#[test]
fn a_roll_back_returns_to_what_was_kept_and_comes_to_an_end() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &Path| {
        let run = RunDirectory::resume(path).unwrap();
        run.checkpoint(&common::residual(0)).unwrap().unwrap()
    };
    let outcome = |name: &str, config: TrainingConfig| {
        let path = root.path().join(name);
        common::start_overfitting(&path, &config);
        let Outcome::Finished(finished) = resume(&path, None).unwrap() else {
            panic!("interrupted")
        };
        (finished, at(&path))
    };
    let path = root.path().join("back");
    common::start_overfitting(&path, &everything());
    let kept = at(&path).watch.kept.unwrap();
    let (training, validation) = digits();
    let mut run = RunDirectory::resume(&path).unwrap();
    let mut until_the_second = |event: &Event<'_>| match event {
        Event::EpochEnded { row, .. } if row.epoch == 2 => Control::Stop,
        _ => Control::Continue,
    };
    let (network, config) = (common::residual(1), everything());
    let observer = &mut until_the_second;
    train(network, &training, Some(&validation), &config, &mut run, observer).unwrap();
    drop(run);
    let end = at(&path);
    assert_eq!((end.position.epoch, end.watch.roll_backs), (2, 2));
    assert!(end.moment.network.tensors() == kept.network.tensors());
    assert!(end.moment.optimizer.state(&kept.network) == kept.optimizer.state(&kept.network));
    assert_eq!(end.moment.optimizer.steps(), 6);
    let average = |moment: &Moment| moment.average.as_ref().unwrap().network().state();
    assert!(average(&end.moment) == average(&kept));

    // The run ends with the third epoch's weights, overfitted or not, and says so.
    let Outcome::Finished(finished) = resume(&path, None).unwrap() else { panic!("interrupted") };
    assert_eq!((finished.rows.len(), finished.ended), (3, None));
    assert_eq!(finished.rows[2].overfitting.unwrap().consequence, Consequence::Stopped);
    let end = at(&path);
    assert_eq!((end.moment.optimizer.steps(), end.watch.roll_backs), (12, 2));
    assert!(finished.last.state() != average(&kept));
    let exported = cure_network::weights::read(&path.join("weights-last.safetensors")).unwrap();
    let provenance = exported.metadata.unwrap().provenance.unwrap();
    assert!(provenance.contains("\"epoch\":3"), "{provenance}");
    // Each epoch has data of its own: the steps from the same weights differ.
    assert_ne!(finished.rows[1].loss, finished.rows[2].loss);

    let (finished, end) = outcome("once", TrainingConfig { roll_backs: 1, ..everything() });
    assert_eq!((finished.rows.len(), finished.ended), (2, Some(Ending::Overfitting)));
    assert_eq!(end.watch.roll_backs, 1);
    let stop = TrainingConfig { on_overfitting: OnOverfitting::Stop, ..everything() };
    let (finished, _) = outcome("stop", stop);
    assert_eq!((finished.rows.len(), finished.ended), (1, Some(Ending::Overfitting)));
    let warn = TrainingConfig { on_overfitting: OnOverfitting::Warn, ..everything() };
    let (finished, _) = outcome("warn", warn);
    assert_eq!((finished.rows.len(), finished.ended), (3, None));
    let sentence = finished.rows[2].overfitting.unwrap().to_string();
    for part in ["catastrophic overfitting in epoch 3", "after 100.0 % in epoch 1", "goes on"] {
        assert!(sentence.contains(part), "{sentence}");
    }
}

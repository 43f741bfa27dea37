//! A run's folder: what is refused, what survives damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::Path;

use common::{everything, residual, result, resume, short, start};
use cure_training::{
    Checkpoint, Control, CureOptions, Event, Objective, OptimizerOptions, Outcome, RunDirectory,
    TrainingConfig, TrainingError, Validation, train,
};
use proptest::prelude::*;

#[test]
fn a_folder_that_holds_a_run_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    drop(RunDirectory::create(folder.path(), &short()).unwrap());
    let before = std::fs::read(folder.path().join("config.toml")).unwrap();
    let error = RunDirectory::create(folder.path(), &TrainingConfig::default()).unwrap_err();
    assert!(matches!(error, TrainingError::Occupied { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("--resume") && message.contains("--out"), "{message}");
    assert!(message.contains("before its first checkpoint"), "{message}");
    assert_eq!(std::fs::read(folder.path().join("config.toml")).unwrap(), before);
    assert_eq!(std::fs::read(folder.path().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_second_writer_is_refused_with_the_first_ones_process() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), &short(), Some(1)).unwrap();
    let first = RunDirectory::resume(folder.path()).unwrap();
    let again = [
        RunDirectory::resume(folder.path()).unwrap_err(),
        RunDirectory::create(folder.path(), &short()).unwrap_err(),
    ];
    for message in again.map(|error| error.to_string()) {
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    }
    drop(first);
    RunDirectory::resume(folder.path()).unwrap();
    let error = RunDirectory::create(folder.path(), &short()).unwrap_err();
    assert!(error.to_string().contains("continue it with --resume"), "{error}");
}

#[test]
fn nothing_to_resume_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let message = RunDirectory::resume(folder.path()).unwrap_err().to_string();
    assert!(message.contains("no `config.toml`"), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    drop(RunDirectory::create(folder.path(), &short()).unwrap());
    let message = RunDirectory::resume(folder.path()).unwrap_err().to_string();
    assert!(message.contains("before its first checkpoint"), "{message}");
}

#[test]
fn config_toml_gives_the_configuration_back() {
    let sgd = TrainingConfig {
        optimizer: OptimizerOptions::Sgd { momentum: 0.8, nesterov: true, weight_decay: 5e-4 },
        learning_rate: "steps:0.1@7,14x0.1".parse().unwrap(),
        gamma: "steps:4x10,8x5,12x5".parse().unwrap(),
        objective: Objective::Cure(CureOptions { squared: true, ..CureOptions::default() }),
        validation: Some(Validation::default()),
        seed: i64::MAX as u64,
        ..TrainingConfig::default()
    };
    for config in [TrainingConfig::default(), short(), everything(), sgd] {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(folder.path(), &config).unwrap();
        assert_eq!(run.configuration::<TrainingConfig>().unwrap(), config);
    }
}

#[test]
fn a_key_that_is_not_known_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    for (text, named) in [
        ("epoch = 3", "unknown field `epoch`"),
        ("[validation]\nfraction = 0.1", "unknown field `fraction`"),
        ("[optimizer]\nkind = \"adam\"\nmomentum = 0.9", "unknown field `momentum`"),
        (
            "epochs = 3\n\n[objective]\nmethod = \"cure\"\nsquare = true",
            "line 5: unknown field `square` of `cure`; accepted are `method`, `direction`, ",
        ),
        (
            "[training.objective]\nclean = 0.5\nmethod = \"trades\"\neps = 0.1",
            "line 2: unknown field `clean` of `trades`",
        ),
        ("[objective]\nmethod = \"standard\"\nsquared = true", "unknown field `squared`"),
        ("[objective]\nmethod = \"pure\"", "unknown variant `pure`"),
        ("h = \"linear:0..1\"", "linear:FROM..TO@EPOCHS"),
        ("learning_rate = 0", "above 0"),
        ("[validation.attack]\nspec = \"pgd:eps=8\"", "did you mean 8/255"),
        ("on_overfitting = \"pray\"", "unknown variant `pray`"),
        ("[curvature]\nsample = 3", "unknown field `sample`"),
        ("[schedules]\neps = \"ramp:1\"", "linear:FROM..TO@EPOCHS"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = cure_training::read_configuration::<TrainingConfig>(&path).unwrap_err();
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
}

#[test]
fn checkpoints_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), &short(), Some(8)).unwrap();
    let run = RunDirectory::resume(folder.path()).unwrap();
    let checkpoint = run.checkpoint(&residual(0)).unwrap().unwrap();
    assert_eq!(checkpoint.moment.optimizer.steps(), 8);
    assert_eq!(checkpoint.images_seen, 270 + 2 * 50);
    assert_eq!(checkpoint.sums.samples, 100);
    // The attack is due every second epoch, so nothing is chosen yet.
    assert!(checkpoint.best.is_none());
    let copy = folder.path().join("copy.safetensors");
    checkpoint.write(&copy).unwrap();
    let bytes = |path| std::fs::read(path).unwrap();
    assert!(bytes(&copy) == bytes(&run.last()));
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name_and_the_one_before_it_offered() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), &short(), Some(8)).unwrap();
    let last = folder.path().join("checkpoints/last.safetensors");
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..whole.len() - 1]).unwrap();
    let message = resume(folder.path(), None).err().unwrap().to_string();
    assert!(message.contains("last.safetensors") && message.contains("is damaged"), "{message}");
    assert!(
        message.contains("previous.safetensors` (after 1 epochs and 0 batches), is whole"),
        "{message}"
    );
    // Following the advice works.
    std::fs::remove_file(&last).unwrap();
    assert!(matches!(resume(folder.path(), None).unwrap(), Outcome::Finished(_)));
}

/// A small checkpoint's bytes.
fn checkpoint_bytes() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        start(folder.path(), &short(), Some(1)).unwrap();
        std::fs::read(folder.path().join("checkpoints/last.safetensors")).unwrap()
    })
}

/// What a process leaves that ends while it makes the folder is no run that stands in the way.
#[test]
fn a_folder_that_could_not_be_filled_is_free() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run");
    std::fs::create_dir_all(path.join(".config.toml.partial")).unwrap();
    let error = RunDirectory::create(&path, &short()).unwrap_err();
    assert!(matches!(error, TrainingError::Io { .. }), "{error}");
    let left = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), [".config.toml.partial"]);
    std::fs::remove_dir(path.join(".config.toml.partial")).unwrap();
    std::fs::create_dir(path.join("checkpoints")).unwrap();
    drop(RunDirectory::create(&path, &short()).unwrap());
    assert!(matches!(RunDirectory::create(&path, &short()), Err(TrainingError::Occupied { .. })));
}

/// Goes on with a run of [`short`]: the sentences that it warns with.
fn warnings(path: &Path) -> Vec<String> {
    let mut run = RunDirectory::resume(path).unwrap();
    let (training, validation) = common::digits();
    let mut sentences = Vec::new();
    let mut observer = |event: &Event<'_>| {
        if let Event::Warning(sentence) = event {
            sentences.push(sentence.to_string());
        }
        Control::Continue
    };
    let (network, config) = (residual(1), short());
    train(network, &training, Some(&validation), &config, &mut run, &mut observer).unwrap();
    sentences
}

/// Only a last line that was cut off is as it should be; no other damage takes rows with it.
#[test]
fn damaged_rows_are_kept_and_told() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    start(path, &short(), None).unwrap();
    let metrics = path.join("metrics.jsonl");
    let whole = std::fs::read(&metrics).unwrap();
    let rows: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
    let epochs = || -> Vec<usize> {
        let run = RunDirectory::resume(path).unwrap();
        run.metrics().unwrap().iter().map(|row| row.epoch).collect()
    };
    for torn in [&b"{\"epoch\":4,\"lo"[..], b"\xff\xfe"] {
        std::fs::write(&metrics, [&whole, torn].concat()).unwrap();
        assert!(warnings(path).is_empty());
        assert!(std::fs::read(&metrics).unwrap() == whole);
    }
    // A line that is not text, in the middle of a finished run.
    let damaged = [rows[0], b"{\"epoch\":2,\xff\n", rows[2]].concat();
    std::fs::write(&metrics, &damaged).unwrap();
    let sentences = warnings(path);
    let [sentence] = &sentences[..] else { panic!("{sentences:?}") };
    for part in ["cannot be read: 2; epochs that have no row: 2", "metrics.jsonl.damaged`, and"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    assert!(std::fs::read(path.join("metrics.jsonl.damaged")).unwrap() == damaged);
    assert_eq!(epochs(), [1, 3]);
    // The gap stays one; the file that was kept stays as well, whatever comes after it.
    assert!(warnings(path)[0].contains("no row: 2): the run goes on"));
    std::fs::write(&metrics, [b"\n", rows[1], rows[2]].concat()).unwrap();
    assert!(warnings(path)[0].contains("metrics.jsonl.damaged-2`, and"));
    assert!(std::fs::read(path.join("metrics.jsonl.damaged")).unwrap() == damaged);
    assert_eq!(epochs(), [2, 3]);
}

/// A place that cannot be written ends the run with one error, and what was there stays.
#[test]
fn what_cannot_be_written_leaves_the_last_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let (whole, stopped) = (root.path().join("whole"), root.path().join("stopped"));
    start(&whole, &short(), None).unwrap();
    start(&stopped, &short(), Some(8)).unwrap();
    let last = stopped.join("checkpoints/last.safetensors");
    let before = std::fs::read(&last).unwrap();
    // Folders where files should come: refused to every user.
    for obstacle in ["checkpoints/.next.safetensors.partial", "metrics.jsonl"] {
        let place = stopped.join(obstacle);
        let kept = place.is_file().then(|| std::fs::read(&place).unwrap());
        if kept.is_some() {
            std::fs::remove_file(&place).unwrap();
        }
        std::fs::create_dir(&place).unwrap();
        let error = resume(&stopped, None).err().unwrap();
        assert!(matches!(error, TrainingError::Io { .. }), "{error}");
        assert!(error.to_string().contains("cannot"), "{error}");
        assert!(std::fs::read(&last).unwrap() == before, "{obstacle}");
        std::fs::remove_dir(&place).unwrap();
        if let Some(bytes) = kept {
            std::fs::write(&place, bytes).unwrap();
        }
    }
    assert!(matches!(resume(&stopped, None).unwrap(), Outcome::Finished(_)));
    assert!(result(&stopped) == result(&whole));
}

proptest! {
    #[test]
    fn no_damage_goes_unnoticed(
        place in any::<prop::sample::Index>(), flip in 1..=255u8, cut in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let mut bytes = checkpoint_bytes().to_vec();
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= flip }
        std::fs::write(&path, &bytes).unwrap();
        match Checkpoint::read(&path, &residual(0)) {
            Err(TrainingError::Checkpoint { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
            // Blanks that pad the header, and a JSON escape for the same letter, mean the same.
            Ok(read) => {
                prop_assert!(!cut);
                read.write(&path).unwrap();
                prop_assert!(std::fs::read(&path).unwrap() == checkpoint_bytes());
            }
        }
    }
}

//! Whole runs on the embedded digits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{STEPS, digits, everything, go_on, named, result, resume, short, start};
use cure_training::{
    CurvatureOptions, LearningRate, OnOverfitting, Outcome, Position, RunDirectory, Selection,
    TrainingConfig, TrainingError, Validation, ValidationAttack, train,
};

#[test]
fn a_small_network_learns_the_digits() {
    let folder = tempfile::tempdir().unwrap();
    let (training, validation) = digits();
    let config = TrainingConfig {
        epochs: 8,
        batch: 32,
        learning_rate: "cosine:0.01..0".parse().unwrap(),
        augmentation: cure_data::Augmentation::NONE,
        validation: Some(Validation::default()),
        keep_every: Some(4),
        ..TrainingConfig::default()
    };
    let mut run = RunDirectory::create(folder.path(), &config).unwrap();
    let outcome =
        train(named("mlp", 1), &training, Some(&validation), &config, &mut run, &mut go_on);
    let Outcome::Finished(finished) = outcome.unwrap() else { panic!("interrupted") };
    let rows = &finished.rows;
    assert_eq!(rows.len(), 8);
    assert!(rows[7].loss < 0.2 * rows[0].loss, "{rows:?}");
    assert_eq!(rows[7].images_seen, 8 * training.len() as u64);
    let accuracies: Vec<f64> = rows.iter().filter_map(|row| row.validation_accuracy).collect();
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    assert!(best > 0.9, "{accuracies:?}");
    // The latest of the best epochs is chosen, and its weights are what was exported.
    let latest = accuracies.iter().rposition(|&accuracy| accuracy == best).unwrap();
    assert_eq!(finished.chosen_epoch, latest + 1);
    let file = cure_network::weights::read(&run.weights()).unwrap();
    for (name, tensor) in finished.chosen.state() {
        let (_, exported) = file.tensors.iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(*exported, tensor, "{name}");
    }
    // Every fourth epoch was kept, and no other.
    let kept: Vec<bool> = (1..=8).map(|epoch| run.epoch(epoch).is_file()).collect();
    assert_eq!(kept, [false, false, false, true, false, false, false, true]);
    let eighth = cure_network::weights::read(&run.epoch(8)).unwrap();
    for (name, tensor) in finished.last.state() {
        let (_, exported) = eighth.tensors.iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(*exported, tensor, "{name}");
    }
    let metadata = file.metadata.unwrap();
    assert!(metadata.architecture.unwrap().contains("\"mlp\""));
    let provenance = metadata.provenance.unwrap();
    assert!(provenance.contains(&format!("\"epoch\":{}", latest + 1)), "{provenance}");
}

#[test]
fn interrupted_anywhere_and_resumed_it_ends_in_the_same_weights() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    assert!(matches!(start(&whole, &short(), None).unwrap(), Outcome::Finished(_)));
    let expected = result(&whole);
    assert_eq!(expected.2.len(), 3);
    assert!(expected.2[1].contains("pgd:norm=linf"), "{:?}", expected.2);
    for stop_after in [1, 5, 6, 7, STEPS] {
        let path = root.path().join(stop_after.to_string());
        let outcome = start(&path, &short(), Some(stop_after)).unwrap();
        let Outcome::Interrupted(position) = outcome else { panic!("{stop_after}: not stopped") };
        let (epoch, batch) = ((stop_after - 1) / 6, (stop_after - 1) % 6 + 1);
        assert_eq!(position, Position { epoch, batch });
        // A second interruption, in the epoch that was resumed or behind it.
        if stop_after < 10 {
            let again = resume(&path, Some(4)).unwrap();
            assert!(matches!(again, Outcome::Interrupted(_)), "{stop_after}");
        }
        assert!(matches!(resume(&path, None).unwrap(), Outcome::Finished(_)));
        assert!(result(&path) == expected, "stopped after {stop_after} steps");
        // A finished run that is resumed stays as it is.
        assert!(matches!(resume(&path, None).unwrap(), Outcome::Finished(_)));
        assert!(result(&path) == expected, "resumed after its end");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let with = |threads: usize| {
        let path = root.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            start(&path, &everything(), Some(8)).unwrap();
            resume(&path, None).unwrap();
        });
        result(&path)
    };
    assert!(with(1) == with(2));
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainingConfig {
        optimizer: cure_training::OptimizerOptions::sgd(),
        learning_rate: LearningRate::Steps { rate: 1e-3, milestones: vec![1.5], factor: 1e36 },
        ..short()
    };
    let error = start(folder.path(), &config, None).err().unwrap();
    assert!(matches!(error, TrainingError::Diverged { epoch: 2, .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("after 1 epochs and 0 batches, was kept"), "{message}");
    assert!(message.contains("lower the learning rate or γ, or let h"), "{message}");
    let run = RunDirectory::resume(folder.path()).unwrap();
    let kept = run.checkpoint(&common::residual(0)).unwrap().unwrap();
    assert_eq!(kept.position, Position { epoch: 1, batch: 0 });
    kept.moment.network.check_finite().unwrap();
    assert_eq!(run.metrics().unwrap().len(), 1);
    assert!(!run.weights().exists());
    // An objective without h and γ is not told to change them.
    let folder = tempfile::tempdir().unwrap();
    let objective = "gradient-penalty:lambda=2".parse().unwrap();
    let error = start(folder.path(), &TrainingConfig { objective, ..config }, None).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("gradient-penalty:lambda=2"), "{message}");
    assert!(message.contains("the objective's weights") && !message.contains('γ'), "{message}");
}

#[test]
fn settings_and_data_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |config: TrainingConfig| config.check().unwrap_err().to_string();
    let base = TrainingConfig::default;
    let attacked = |spec: &str| {
        let attack = Some(ValidationAttack::new(spec.parse().unwrap()));
        let validation = Some(Validation { attack, ..Validation::default() });
        TrainingConfig { validation, ..base() }
    };
    attacked("deepfool:eps=8/255").check().unwrap();
    for (config, named) in [
        (TrainingConfig { epochs: 0, ..base() }, "epochs is 0"),
        (TrainingConfig { batch: 0, ..base() }, "batch is 0"),
        (TrainingConfig { images_per_epoch: Some(0), ..base() }, "images_per_epoch is 0"),
        (TrainingConfig { checkpoint_seconds: f64::NAN, ..base() }, "checkpoint_seconds is NaN"),
        (TrainingConfig { seed: u64::MAX, ..base() }, "seed is 18446744073709551615"),
        (TrainingConfig { selection: Selection::BestRobust, ..base() }, "without a validation"),
        (TrainingConfig { selection: Selection::BestClean, ..base() }, "without validation"),
        (TrainingConfig { h: "linear:-1..1@2".parse().unwrap(), ..base() }, "h is -1"),
        (TrainingConfig { learning_rate: LearningRate::Constant(0.0), ..base() }, "above 0"),
        (TrainingConfig { accumulate: 0, ..base() }, "accumulate is 0"),
        (TrainingConfig { accumulate: 129, ..base() }, "accumulate is 129; accepted is up to 128"),
        (TrainingConfig { warm_up: -1.0, ..base() }, "warm_up is -1"),
        (TrainingConfig { warm_up: 20.5, ..base() }, "warm_up is 20.5; accepted is 0 to 20"),
        (TrainingConfig { batch_norm_rate: f64::NAN, ..base() }, "batch_norm_rate is NaN"),
        (TrainingConfig { clip_norm: Some(0.0), ..base() }, "clip_norm is 0"),
        (TrainingConfig { average: Some(1.0), ..base() }, "average is 1"),
        (TrainingConfig { patience: Some(0), ..short() }, "patience is 0"),
        (TrainingConfig { patience: Some(2), ..base() }, "no epoch is better than another"),
        (
            TrainingConfig { on_overfitting: OnOverfitting::RollBack, ..base() },
            "on_overfitting is roll-back",
        ),
        (
            TrainingConfig { on_overfitting: OnOverfitting::Stop, ..attacked("fgsm:eps=8/255") },
            "on_overfitting is stop; accepted is warn where the validation attack is FGSM itself",
        ),
        (attacked("deepfool"), "an attack with an ε"),
        (attacked("ddn"), "give it one, as `eps=8/255`"),
        (
            TrainingConfig {
                curvature: Some(CurvatureOptions { h: 0.0, ..CurvatureOptions::default() }),
                ..base()
            },
            "curvature.h is 0",
        ),
    ] {
        let message = refused(config);
        assert!(message.contains(named), "{message}");
    }
    // A schedule for a parameter that the objective does not have.
    let schedules = [("eps".to_owned(), "linear:1/255..8/255@5".parse().unwrap())].into();
    let error = TrainingConfig { schedules, ..base() }.check().unwrap_err();
    assert!(matches!(error, TrainingError::Scheduled { .. }), "{error}");
    assert!(error.to_string().contains("the schedule of `eps`"), "{error}");
    let (training, _) = digits();
    let mut run = RunDirectory::create(folder.path(), &base()).unwrap();
    let mut fails = |network, config: &TrainingConfig| {
        train(network, &training, None, config, &mut run, &mut go_on).err().unwrap().to_string()
    };
    let colour = cure_network::Architecture::named("cnn", 10, [3, 8, 8]).unwrap();
    let normalization = cure_network::Normalization::none(3);
    let colour = cure_network::Network::random(colour, normalization, 0).unwrap();
    let message = fails(colour, &base());
    assert!(message.contains("[3, 8, 8]") && message.contains("[1, 8, 8]"), "{message}");
    let large = TrainingConfig { batch: 5000, drop_last: true, ..base() };
    assert!(fails(named("mlp", 0), &large).contains("batch is 5000"));
    let with_validation = TrainingConfig { validation: Some(Validation::default()), ..base() };
    assert!(fails(named("mlp", 0), &with_validation).contains("no validation samples are given"));
}

#[test]
fn another_configuration_or_network_does_not_continue_a_run() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), &short(), Some(2)).unwrap();
    let mut run = RunDirectory::resume(folder.path()).unwrap();
    let (training, validation) = digits();
    let mut fails = |network, training, config: &TrainingConfig| {
        let outcome = train(network, training, Some(&validation), config, &mut run, &mut go_on);
        outcome.err().unwrap().to_string()
    };
    let longer = TrainingConfig { epochs: 4, ..short() };
    let message = fails(common::residual(1), &training, &longer);
    assert!(message.contains("another configuration"), "{message}");
    let fewer = training.limit(300).unwrap();
    let message = fails(common::residual(1), &fewer, &short());
    assert!(message.contains("another training or validation data"), "{message}");
    let message = fails(named("mlp", 1), &training, &short());
    assert!(message.contains("not of `mlp`"), "{message}");
}

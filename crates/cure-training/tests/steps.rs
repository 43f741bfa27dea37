//! What the loop does around the objective: parts, bounds, averages, ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{digits, go_on, named, residual, short, start};
use cure_network::{Network, Role};
use cure_training::{
    BatchNormMode, CureOptions, CurvatureOptions, Ending, EpochRow, Finished, Objective,
    OnOverfitting, Outcome, RunDirectory, Selection, TrainingConfig, Validation, ValidationAttack,
    Watch, train,
};

fn finished(config: &TrainingConfig) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    match start(folder.path(), config, None).unwrap() {
        Outcome::Finished(finished) => finished,
        Outcome::Interrupted(position) => panic!("interrupted {position}"),
    }
}

/// The largest difference between the weights of two networks.
fn difference(a: &Network, b: &Network) -> f32 {
    let pairs = a.tensors().iter().zip(b.tensors());
    let differences = pairs.flat_map(|(a, b)| {
        let (a, b) = (a.host().to_vec(), b.host().to_vec());
        a.into_iter().zip(b).map(|(a, b)| (a - b).abs())
    });
    differences.fold(0.0, f32::max)
}

#[test]
fn parts_add_up_to_the_batch_where_samples_do_not_see_each_other() {
    // Running statistics throughout; SGD, which does not turn rounding into sign flips.
    let mode = BatchNormMode::Eval;
    let frozen = CureOptions { loss_mode: mode, regularizer_mode: mode, ..CureOptions::default() };
    let config = TrainingConfig {
        epochs: 1,
        objective: Objective::Cure(frozen),
        optimizer: cure_training::OptimizerOptions::sgd(),
        ..short()
    };
    let whole = finished(&config);
    // Parts of 16 and 17, and of one sample each; the last batch has fewer samples than parts.
    for accumulate in [3, 50] {
        let parts = finished(&TrainingConfig { accumulate, ..config.clone() });
        let difference = difference(&whole.last, &parts.last);
        assert!(difference < 1e-4, "{accumulate} parts: {difference}");
        assert_eq!(parts.rows[0].images_seen, whole.rows[0].images_seen);
        assert!((parts.rows[0].loss - whole.rows[0].loss).abs() < 1e-4);
    }
    // Over the batch BatchNorm sees the part, and its statistics move once for each.
    let standard = TrainingConfig { objective: Objective::default(), ..config };
    let parts = finished(&TrainingConfig { accumulate: 3, ..standard.clone() });
    assert!(difference(&finished(&standard).last, &parts.last) > 1e-3);
}

#[test]
fn a_factor_of_zero_freezes_batch_norms_scale_and_shift() {
    let config = TrainingConfig { batch_norm_rate: 0.0, ..short() };
    let (initial, last) = (residual(1), finished(&config).last);
    let mut moved = 0;
    for (position, spec) in initial.parameters().iter().enumerate() {
        let same = initial.tensors()[position] == last.tensors()[position];
        let frozen = matches!(spec.role, Role::Scale | Role::Shift);
        // Running statistics still move.
        assert_eq!(same, frozen, "{}", spec.name);
        moved += usize::from(!same);
    }
    assert!(moved > 0);
}

#[test]
fn warm_up_and_clipping_are_in_the_rows() {
    let config = TrainingConfig {
        learning_rate: "8e-4".parse().unwrap(),
        warm_up: 1.5,
        clip_norm: Some(1e-3),
        ..short()
    };
    let rows = finished(&config).rows;
    // Six steps an epoch, nine of warm-up.
    for (row, share) in rows.iter().zip([6.0 / 9.0, 1.0, 1.0]) {
        assert!((row.learning_rate / 8e-4 - share).abs() < 1e-12, "{row:?}");
        assert_eq!(row.clipped, Some(1.0));
        assert!(row.gradient_norm.unwrap() > 1e-3, "{row:?}");
    }
    let loose = finished(&TrainingConfig { clip_norm: Some(1e6), ..config.clone() });
    assert!(loose.rows.iter().all(|row| row.clipped == Some(0.0)));
    let none = finished(&TrainingConfig { clip_norm: None, ..config });
    assert_eq!(difference(&loose.last, &none.last), 0.0);
    assert!(none.rows.iter().all(|row| row.clipped.is_none() && row.gradient_norm.is_none()));
}

#[test]
fn the_average_is_what_is_measured_chosen_and_exported() {
    let plain = finished(&short());
    let averaged = finished(&TrainingConfig { average: Some(0.99), ..short() });
    // It does not disturb the steps, but lags behind them.
    let losses = |rows: &[EpochRow]| rows.iter().map(|row| row.loss).collect::<Vec<_>>();
    assert_eq!(losses(&averaged.rows), losses(&plain.rows));
    assert!(difference(&averaged.last, &plain.last) > 1e-4);
    // What was measured last is what was exported.
    let (_, validation) = digits();
    let all: Vec<usize> = (0..validation.len()).collect();
    let batch = validation.batch(&all).unwrap();
    let frozen = averaged.last.frozen().unwrap();
    let logits = cure_network::Classifier::logits(&frozen, &batch.images).unwrap();
    let logits = logits.host();
    let right = logits.chunks_exact(10).zip(&batch.labels).filter(|(row, label)| {
        row.iter().enumerate().all(|(class, value)| class == **label || *value < row[**label])
    });
    let accuracy = right.count() as f64 / all.len() as f64;
    assert_eq!(averaged.rows[2].validation_accuracy, Some(accuracy));
}

#[test]
fn a_run_without_progress_ends_early_and_stays_ended() {
    let folder = tempfile::tempdir().unwrap();
    // Steps too small to change a prediction: the first epoch stays as good as any.
    let config = TrainingConfig {
        epochs: 9,
        learning_rate: "1e-12".parse().unwrap(),
        images_per_epoch: Some(50),
        patience: Some(2),
        validation: Some(Validation::default()),
        ..TrainingConfig::default()
    };
    let (training, validation) = digits();
    let mut run = RunDirectory::create(folder.path(), &config).unwrap();
    for _ in 0..2 {
        let network = named("mlp", 1);
        let outcome = train(network, &training, Some(&validation), &config, &mut run, &mut go_on);
        let Outcome::Finished(finished) = outcome.unwrap() else { panic!("interrupted") };
        assert_eq!((finished.rows.len(), finished.ended), (3, Some(Ending::Patience)));
        // Of equal epochs the latest is chosen; it is no better for it.
        assert_eq!(finished.chosen_epoch, 3);
    }
}

/// A run of [`named`]'s `mlp` that stands still, its attack after every so many epochs.
fn standing_still(config: TrainingConfig, every: usize) -> (Finished, Watch) {
    let folder = tempfile::tempdir().unwrap();
    let attack = ValidationAttack {
        samples: 20,
        every,
        ..ValidationAttack::new("pgd:eps=8/255,steps=2,random-start=false".parse().unwrap())
    };
    let config = TrainingConfig {
        epochs: 20,
        learning_rate: "1e-12".parse().unwrap(),
        images_per_epoch: Some(50),
        patience: Some(2),
        on_overfitting: OnOverfitting::RollBack,
        validation: Some(Validation { attack: Some(attack), ..Validation::default() }),
        curvature: Some(CurvatureOptions { every: 5, samples: 4, draws: 1, h: 0.1 }),
        ..config
    };
    let (training, validation) = digits();
    let mut run = RunDirectory::create(folder.path(), &config).unwrap();
    let network = named("mlp", 1);
    let outcome = train(network, &training, Some(&validation), &config, &mut run, &mut go_on);
    let Outcome::Finished(finished) = outcome.unwrap() else { panic!("interrupted") };
    let end = run.checkpoint(&named("mlp", 1)).unwrap().unwrap();
    (finished, end.watch)
}

/// What is chosen by is measured after epochs 3, 6 and 9: two of them are no better than the first.
#[test]
fn patience_counts_measurements_and_the_end_has_all_of_them() {
    let attacked = |finished: &Finished| -> Vec<usize> {
        let rows = finished.rows.iter().filter(|row| row.validation_robust_accuracy.is_some());
        rows.map(|row| row.epoch).collect()
    };
    let curvature = |finished: &Finished| -> Vec<usize> {
        let rows = finished.rows.iter().filter(|row| row.curvature.is_some());
        rows.map(|row| row.epoch).collect()
    };
    let (finished, watch) = standing_still(TrainingConfig::default(), 3);
    assert_eq!((finished.rows.len(), finished.ended), (9, Some(Ending::Patience)));
    assert_eq!(finished.chosen_epoch, 9);
    assert_eq!((attacked(&finished), curvature(&finished)), (vec![3, 6, 9], vec![5, 9]));
    // A network that has learnt nothing is no reference for overfitting.
    assert!(watch.best.is_none() && watch.kept.is_none(), "{:?}", watch.best);

    // Clean accuracy is measured after every epoch, the attack was not due yet.
    let clean = TrainingConfig { selection: Selection::BestClean, ..TrainingConfig::default() };
    let (finished, _) = standing_still(clean, 4);
    assert_eq!((finished.rows.len(), finished.ended), (3, Some(Ending::Patience)));
    assert_eq!((attacked(&finished), curvature(&finished)), (vec![3], vec![3]));
}

#[test]
fn curvature_is_measured_when_it_is_due_and_changes_nothing() {
    let plain = finished(&short());
    let curvature = cure_training::CurvatureOptions { every: 2, samples: 8, draws: 3, h: 0.1 };
    let measured = finished(&TrainingConfig { curvature: Some(curvature), ..short() });
    assert_eq!(difference(&plain.last, &measured.last), 0.0);
    let due: Vec<bool> = measured.rows.iter().map(|row| row.curvature.is_some()).collect();
    assert_eq!(due, [false, true, true]);
    let found = measured.rows[2].curvature.unwrap();
    assert!(found.frobenius > found.gradient_sign && found.gradient_sign > 0.0, "{found:?}");
}

#[test]
fn a_scheduled_parameter_is_what_the_epoch_is_trained_with() {
    let constant = |eps: &str| TrainingConfig {
        epochs: 1,
        learning_rate: "8e-4".parse().unwrap(),
        objective: format!("fgsm-at:eps={eps}").parse().unwrap(),
        ..short()
    };
    let schedules = [("eps".to_owned(), "steps:1/255x1,8/255x1".parse().unwrap())].into();
    let scheduled = finished(&TrainingConfig { schedules, epochs: 2, ..constant("4/255") });
    let found: Vec<f64> = scheduled.rows.iter().map(|row| row.scheduled["eps"]).collect();
    assert_eq!(found, [1.0 / 255.0, 8.0 / 255.0]);
    let loss = |eps: &str| finished(&constant(eps)).rows[0].loss;
    assert_eq!(scheduled.rows[0].loss, loss("1/255"));
    assert_ne!(loss("1/255"), loss("4/255"));
}

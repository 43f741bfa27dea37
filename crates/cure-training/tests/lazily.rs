//! CURE's regulariser in some of the steps only.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::smooth::{COUNT, difference, images, network, objective};
use common::{digits, residual, short};
use cure_training::{Control, EpochValues, Event, Outcome, RunDirectory, SampleStreams, train};

/// Without γ the passes are others, and the objective is what it tends to as γ falls.
#[test]
fn without_a_weight_it_is_the_limit() {
    let labels: Vec<usize> = (0..COUNT).map(|i| (3 * i + 1) % 5).collect();
    let indices: Vec<usize> = (0..COUNT).collect();
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
    for spec in [
        "cure",
        "cure:loss_mode=eval",
        "cure:alpha=0.6,beta=0.8",
        "cure:alpha=0,beta=0.7,noise=1,regularizer_mode=train",
        "cure:alpha=0.5,beta=0.5,noise=1,regularizer_mode=train,direction_mode=train,smoothing=0.1",
        "cure:alpha=0,beta=1,held=true,loss_mode=eval",
    ] {
        let at = |gamma| {
            let at = EpochValues { h: 0.5, gamma };
            let mut network = network();
            let found =
                objective(spec).step(&mut network, &images(COUNT), &labels, &at, &streams).unwrap();
            (found, network)
        };
        let ((without, after), (limit, _)) = (at(0.0), at(1e-9));
        let error = difference(&without.gradients, &limit.gradients);
        assert!(error < 1e-5, "{spec}: {error}");
        assert!((without.objective / limit.objective - 1.0).abs() < 1e-6, "{spec}");
        assert_eq!((without.correct, without.regularizer), (limit.correct, 0.0), "{spec}");
        // The weighed passes move the running statistics where they have BatchNorm over the batch.
        let moves = after.tensors() != network().tensors();
        let has_train = spec.contains("train") || !spec.contains("loss_mode=eval");
        assert_eq!(moves, has_train, "{spec}");
    }
}

#[test]
fn it_comes_in_every_third_step_and_stands_for_the_others() {
    let run = |every: usize| {
        let config = cure_training::TrainingConfig {
            epochs: 1,
            regularize_every: every,
            learning_rate: "1e-12".parse().unwrap(),
            h: "0.3".parse().unwrap(),
            batch_norm_rate: 0.0,
            ..short()
        };
        let (training, validation) = digits();
        let folder = tempfile::tempdir().unwrap();
        let mut directory = RunDirectory::create(folder.path(), &config).unwrap();
        let mut said = Vec::new();
        let mut observer = |event: &Event<'_>| {
            if let Event::Step { regularizer, .. } = event {
                said.push(*regularizer);
            }
            Control::Continue
        };
        let validation = Some(&validation);
        let ended =
            train(residual(1), &training, validation, &config, &mut directory, &mut observer);
        let Outcome::Finished(finished) = ended.unwrap() else { panic!("stopped") };
        (said, finished.rows[0].regularizer)
    };
    let ((all, _), (lazily, row)) = (run(1), run(3));
    assert_eq!(all.len(), 6);
    for (step, (all, lazily)) in all.iter().zip(&lazily).enumerate() {
        let expected = if step % 3 == 0 { *all } else { 0.0 };
        // The running statistics that it is measured with went another way.
        assert!((lazily - expected).abs() <= 0.2 * expected, "step {step}: {lazily} {expected}");
    }
    let mean = (lazily[0] + lazily[3]) / 2.0;
    assert!((row / mean - 1.0).abs() < 1e-6, "{row} {mean}");
}

#[test]
fn what_it_is_not_for_is_refused() {
    for (every, objective, part) in [(0, "cure", "1 or more"), (2, "pgd-at:eps=0.1", "CURE's")] {
        let config = cure_training::TrainingConfig {
            regularize_every: every,
            objective: objective.parse().unwrap(),
            ..short()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("regularize_every") && message.contains(part), "{message}");
    }
}

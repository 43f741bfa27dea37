//! What the tests share: small networks, short runs on the embedded digits.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)]

pub mod smooth;

use std::path::Path;

use cure_data::{Augmentation, DataSpec, Dataset, Split};
use cure_network::{Architecture, Family, Network, Normalization, Shortcut};
use cure_training::{
    Control, CureOptions, Event, Objective, Outcome, Result, RunDirectory, TrainingConfig,
    Validation, ValidationAttack, ValueSchedule, train,
};

/// The digits' training split and 60 validation samples.
pub fn digits() -> (Dataset, Dataset) {
    let all = "digits".parse::<DataSpec>().unwrap().load(Split::Train).unwrap();
    all.split_validation(cure_data::ValidationSize::Count(60), 0).unwrap()
}

pub fn named(name: &str, seed: u64) -> Network {
    let architecture = Architecture::named(name, 10, [1, 8, 8]).unwrap();
    Network::random(architecture, Normalization::none(1), seed).unwrap()
}

/// A residual network with BatchNorm, small enough for many runs.
pub fn residual(seed: u64) -> Network {
    let family = Family::Residual {
        widths: vec![4, 8],
        blocks: vec![1, 1],
        shortcut: Shortcut::Convolution,
    };
    let activation = cure_tensor::ops::Activation::Relu;
    let architecture = Architecture { family, activation, classes: 10, input: [1, 8, 8] };
    Network::random(architecture, Normalization::none(1), seed).unwrap()
}

/// Three CURE epochs of 6 batches, the last of them smaller, with everything that has a state.
pub fn short() -> TrainingConfig {
    TrainingConfig {
        epochs: 3,
        batch: 50,
        images_per_epoch: Some(270),
        seed: 5,
        learning_rate: "one-cycle:0.01@0.3".parse().unwrap(),
        h: "geometric:0.02..0.3@3".parse().unwrap(),
        gamma: ValueSchedule::Constant(0.1),
        objective: Objective::Cure(CureOptions::default()),
        augmentation: Augmentation { crop_padding: 1, flip: false },
        validation: Some(Validation {
            attack: Some(ValidationAttack {
                samples: 20,
                every: 2,
                ..ValidationAttack::new("pgd:eps=8/255,steps=2".parse().unwrap())
            }),
            ..Validation::default()
        }),
        ..TrainingConfig::default()
    }
}

/// Steps of a run of [`short`].
pub const STEPS: usize = 18;

pub fn go_on(_: &Event<'_>) -> Control {
    Control::Continue
}

/// Trains [`residual`] in a new folder, stopping after so many steps.
pub fn start(path: &Path, config: &TrainingConfig, stop_after: Option<usize>) -> Result<Outcome> {
    let mut run = RunDirectory::create(path, config)?;
    continued(&mut run, config, stop_after)
}

/// Goes on with the run in a folder.
pub fn resume(path: &Path, stop_after: Option<usize>) -> Result<Outcome> {
    let mut run = RunDirectory::resume(path)?;
    let config: TrainingConfig = run.configuration()?;
    continued(&mut run, &config, stop_after)
}

fn continued(
    run: &mut RunDirectory,
    config: &TrainingConfig,
    stop_after: Option<usize>,
) -> Result<Outcome> {
    let (training, validation) = digits();
    let mut steps = 0;
    let mut observer = |event: &Event<'_>| {
        steps += usize::from(matches!(event, Event::Step { .. }));
        if stop_after == Some(steps) { Control::Stop } else { Control::Continue }
    };
    train(residual(1), &training, Some(&validation), config, run, &mut observer)
}

/// What a run in a folder came to: the exported files, and the rows without their times.
pub fn result(path: &Path) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let file = |name: &str| std::fs::read(path.join(name)).unwrap();
    let text = String::from_utf8(file("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let mut row: cure_training::EpochRow = serde_json::from_str(line).unwrap();
        row.seconds = 0.0;
        serde_json::to_string(&row).unwrap()
    });
    (file("weights.safetensors"), file("weights-last.safetensors"), rows.collect())
}

//! What the tests share: small networks, short runs on the embedded digits.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)]

pub mod ranks;
pub mod smooth;

use std::path::Path;

use cure_data::{Augmentation, DataSpec, Dataset, Split};
use cure_network::{Architecture, Family, Network, Normalization, Shortcut};
use cure_training::{
    Attacked, Control, CureOptions, CurvatureOptions, Event, Objective, OnOverfitting, Outcome,
    Result, RunDirectory, TrainingConfig, Validation, ValidationAttack, ValueSchedule, train,
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

/// [`short`] with everything on that the loop can do.
pub fn everything() -> TrainingConfig {
    let mut config = short();
    if let Some(attack) = config.validation.as_mut().and_then(|v| v.attack.as_mut()) {
        attack.every = 1;
    }
    TrainingConfig {
        accumulate: 3,
        warm_up: 0.5,
        batch_norm_rate: 0.5,
        clip_norm: Some(0.5),
        average: Some(0.9),
        patience: Some(9),
        on_overfitting: OnOverfitting::RollBack,
        curvature: Some(CurvatureOptions { samples: 6, draws: 2, ..CurvatureOptions::default() }),
        ..config
    }
}

/// The epochs of a run's event file, by its records.
pub fn event_epochs(path: &Path) -> Vec<u64> {
    let bytes = std::fs::read(path.join("events.out.tfevents.cure")).unwrap();
    let (mut place, mut epochs) = (0, Vec::new());
    while place < bytes.len() {
        let length = u64::from_le_bytes(bytes[place..place + 8].try_into().unwrap()) as usize;
        // Behind the length's sum and the time come the step's key and, for a few epochs, one byte.
        let event = &bytes[place + 12..place + 12 + length];
        assert_eq!((event[0], event[9]), (0x09, 0x10));
        epochs.push(u64::from(event[10]));
        place += 12 + length + 4;
    }
    epochs
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

/// [`start`] of [`everything`], with the first epoch noted as one that stood against the attack as
/// no later epoch will: those are then overfitted, and rolled back.
pub fn start_overfitting(path: &Path, config: &TrainingConfig) {
    start(path, config, Some(6)).unwrap();
    // Stopped before the first validation.
    let run = RunDirectory::resume(path).unwrap();
    let mut checkpoint = run.checkpoint(&residual(0)).unwrap().unwrap();
    checkpoint.watch.best = Some(Attacked { epoch: 1, robust: 1.0, fgsm: 0.0 });
    checkpoint.watch.kept = Some(checkpoint.moment.clone());
    run.save(&checkpoint).unwrap();
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

/// What a run in a folder came to: the exported files, and the rows without their times. The event
/// file has each of them once.
pub fn result(path: &Path) -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let file = |name: &str| std::fs::read(path.join(name)).unwrap();
    let text = String::from_utf8(file("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| {
        let mut row: cure_training::EpochRow = serde_json::from_str(line).unwrap();
        row.seconds = 0.0;
        serde_json::to_string(&row).unwrap()
    });
    assert_eq!(event_epochs(path), (0..=text.lines().count() as u64).collect::<Vec<_>>());
    (file("weights.safetensors"), file("weights-last.safetensors"), rows.collect())
}

//! What assembling a batch of 128 augmented CIFAR-sized images takes of a step of ResNet-20, which
//! is what preparing it beside the step before can spare.
//!
//! `cargo run --release -p cure-training --example batches`
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use cure_data::{Augmentation, Dataset, Pixels, Split, epoch_order};
use cure_network::{Architecture, Network, Normalization};
use cure_training::{CureOptions, EpochValues, Objective, SampleStreams};

const BATCH: usize = 128;
const REPEATS: usize = 7;

/// The least milliseconds of some runs.
fn least(mut once: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    once()?;
    let mut least = f64::INFINITY;
    for _ in 0..REPEATS {
        let begun = Instant::now();
        once()?;
        least = least.min(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(least)
}

fn main() -> Result<(), Box<dyn Error>> {
    let images = 50_000;
    let pixels = (0..images * 3072usize).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 24) as u8);
    let labels = (0..images).map(|image| image % 10).collect();
    let names = (0..10).map(|class| class.to_string()).collect();
    let pixels = Pixels::Bytes(pixels.collect());
    let data = Dataset::new("noise", Split::Train, [3, 32, 32], pixels, labels, names)?;
    let order = epoch_order(data.len(), 0, 0);
    let augmentation = Augmentation::default();

    // One thread, as beside a training step.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let mut batches = order.chunks_exact(BATCH).cycle();
    let assembling = least(|| {
        let positions = batches.next().unwrap_or_default();
        pool.install(|| data.augmented_batch(positions, &augmentation, 0, 0))?;
        Ok(())
    })?;
    println!("assembling a batch of {BATCH}: {assembling:.2} ms on one thread");

    let batch = data.augmented_batch(&order[..BATCH], &augmentation, 0, 0)?;
    let architecture = Architecture::named("resnet20", 10, [3, 32, 32])?;
    let normalization = Normalization::parse("cifar10", 3)?;
    let streams = SampleStreams { seed: 0, epoch: 0, indices: &batch.indices };
    let values = EpochValues { h: 0.6, gamma: 0.8 };
    for (name, objective) in
        [("standard", Objective::default()), ("CURE", Objective::Cure(CureOptions::default()))]
    {
        let mut network = Network::random(architecture.clone(), normalization.clone(), 0)?;
        let step = least(|| {
            objective.step(&mut network, &batch.images, &batch.labels, &values, &streams)?;
            Ok(())
        })?;
        let share = 100.0 * assembling / step;
        println!("{name} step of ResNet-20: {step:.1} ms; assembling is {share:.2} % of it");
    }
    Ok(())
}

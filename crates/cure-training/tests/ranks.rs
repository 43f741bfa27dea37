//! Data-parallel training: several ranks, each with its share of a batch, go where one process goes
//! with the whole of it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::ranks::on_ranks;
use common::smooth::{AT, SPECS, difference, images, network, objective};
use common::{digits, everything, go_on, residual};
use cure_network::{Gradients, Network};
use cure_tensor::{Tensor, ops};
use cure_training::{
    EpochRow, Outcome, RunDirectory, SampleStreams, TrainingConfig, TrainingError, train,
};

const COUNT: usize = 8;

/// The gradient on some rows of the images, and the network's running statistics after it.
fn step(spec: &str, mut network: Network, rows: &[usize]) -> (Gradients, f64, Vec<Tensor>) {
    let labels: Vec<usize> = rows.iter().map(|row| (3 * row + 1) % 5).collect();
    let images = ops::select(&images(COUNT), rows).unwrap();
    let streams = SampleStreams { seed: 5, epoch: 2, indices: rows };
    let outcome = objective(spec).step(&mut network, &images, &labels, &AT, &streams).unwrap();
    let gradients = outcome.gradients.mean_over(network.ranks()).unwrap();
    let mut sum = [outcome.objective];
    network.ranks().sum(&mut sum);
    let statistics = network.parameters().iter().zip(network.tensors());
    let statistics = statistics.filter(|(spec, _)| !spec.role.is_trained());
    (gradients, sum[0], statistics.map(|(_, tensor)| tensor.clone()).collect())
}

/// With BatchNorm over the batch and with running statistics, at first order and at second.
#[test]
fn every_objective_has_the_gradient_of_the_whole_batch() {
    let all: Vec<usize> = (0..COUNT).collect();
    let awp = ["pgd-at:eps=0.1,steps=2,awp=0.05", "trades:eps=0.1,steps=2,awp=0.05"];
    for spec in SPECS.into_iter().chain(awp) {
        let (expected, objective, statistics) = step(spec, network(), &all);
        for size in [2, 4] {
            let found = on_ranks(size, |ranks| {
                let share = COUNT / size;
                let rows = &all[ranks.rank() * share..(ranks.rank() + 1) * share];
                let mut network = network();
                network.set_ranks(ranks);
                step(spec, network, rows)
            });
            for (gradients, sum, moved) in &found {
                let error = difference(gradients, &expected);
                assert!(error < 2e-5, "{spec} on {size}: {error}");
                assert!((sum / objective - 1.0).abs() < 1e-5, "{spec}: {sum} for {objective}");
                for (moved, expected) in moved.iter().zip(&statistics) {
                    let error = moved
                        .host()
                        .iter()
                        .zip(&*expected.host())
                        .fold(0.0, |most, (a, b)| f32::max(most, (a - b).abs()));
                    assert!(error < 1e-5, "{spec} on {size}: running statistics off by {error}");
                }
            }
            assert!(found.iter().all(|(of_rank, ..)| of_rank.tensors() == found[0].0.tensors()));
        }
    }
}

/// A share alone, without the others, has another gradient: the test above can fail.
#[test]
fn a_share_alone_is_something_else() {
    let all: Vec<usize> = (0..COUNT).collect();
    let (expected, ..) = step("cure", network(), &all);
    let (alone, ..) = step("cure", network(), &all[..4]);
    assert!(difference(&alone, &expected) > 0.05);
}

fn run(config: &TrainingConfig, size: usize) -> (Network, Vec<EpochRow>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (training, validation) = digits();
    let first = std::sync::Mutex::new(Some(RunDirectory::create(path, config).unwrap()));
    let mut found = on_ranks(size, |ranks| {
        let mut run = match ranks.is_first() {
            true => first.lock().unwrap().take().unwrap(),
            false => RunDirectory::follow(path),
        };
        let mut network = residual(1);
        network.set_ranks(ranks);
        train(network, &training, Some(&validation), config, &mut run, &mut go_on)
    });
    let others: Vec<_> = found.drain(1..).map(Result::unwrap).collect();
    let Outcome::Finished(finished) = found.remove(0).unwrap() else { panic!("stopped") };
    for other in others {
        let Outcome::Finished(other) = other else { panic!("stopped") };
        assert_eq!(other.last.tensors(), finished.last.tensors());
        assert_eq!(other.chosen_epoch, finished.chosen_epoch);
    }
    (finished.last, finished.rows)
}

/// A whole run, with all that the loop can do; 104 images make batches of 50, 50 and 4.
#[test]
fn a_run_on_ranks_is_one_processs_run_to_rounding() {
    let config = TrainingConfig { accumulate: 1, images_per_epoch: Some(104), ..everything() };
    let (expected, rows) = run(&config, 1);
    let start = residual(1);
    for size in [2, 5] {
        let (found, on_ranks) = run(&config, size);
        let distance = |a: &Network, b: &Network| {
            let tensors = a.tensors().iter().zip(b.tensors());
            let squares = tensors.map(|(a, b)| {
                let (a, b) = (a.host(), b.host());
                a.iter().zip(&*b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
            });
            squares.sum::<f64>().sqrt()
        };
        let error = distance(&found, &expected) / distance(&start, &expected);
        assert!(error < 1e-3, "{size} ranks: {error} of the way that training went");
        assert_eq!(on_ranks.len(), rows.len());
        for (row, expected) in on_ranks.iter().zip(&rows) {
            assert!((row.loss / expected.loss - 1.0).abs() < 1e-4, "{row:?}\n{expected:?}");
            assert_eq!(row.images_seen, expected.images_seen);
            assert_eq!(row.validation_accuracy, expected.validation_accuracy);
            let curvature = |row: &EpochRow| row.curvature.unwrap().frobenius;
            assert!((curvature(row) / curvature(expected) - 1.0).abs() < 1e-2);
        }
    }
}

#[test]
fn ranks_that_differ_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = common::short();
    let first = std::sync::Mutex::new(Some(RunDirectory::create(folder.path(), &config).unwrap()));
    let (training, validation) = digits();
    let found = on_ranks(2, |ranks| {
        let mut run = match ranks.is_first() {
            true => first.lock().unwrap().take().unwrap(),
            false => RunDirectory::follow(folder.path()),
        };
        let mut network = residual(ranks.rank() as u64);
        network.set_ranks(ranks);
        train(network, &training, Some(&validation), &config, &mut run, &mut go_on).err()
    });
    for error in found {
        assert!(matches!(error, Some(TrainingError::Ranks { .. })), "{error:?}");
    }
    assert!(!folder.path().join("metrics.jsonl").exists());
}

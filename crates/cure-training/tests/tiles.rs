//! Gradients of a whole network on transformed tiles against the same with plain sums, which have
//! tests of their own against central differences and PyTorch. A smooth network shows rounding
//! alone; one of ReLUs could jump where rounding moves a value across zero.
#![allow(clippy::unwrap_used, missing_docs)]

use cure_network::{Architecture, Family, Gradients, Network, Normalization, Shortcut};
use cure_tensor::ops::{self, Activation};
use cure_tensor::{Tensor, meter};
use cure_training::{BatchNormMode, CureOptions, EpochValues, Objective, SampleStreams};

const INPUT: [usize; 3] = [3, 16, 16];
const BATCH: usize = 6;

fn gradients(objective: &Objective) -> Gradients {
    let family = Family::Residual {
        widths: vec![8, 16, 32],
        blocks: vec![1, 1, 1],
        shortcut: Shortcut::Convolution,
    };
    let activation = Activation::Softplus { beta: 2.0 };
    let architecture = Architecture { family, activation, classes: 10, input: INPUT };
    let normalization = Normalization::parse("cifar10", 3).unwrap();
    let mut network = Network::random(architecture, normalization, 1).unwrap();
    let count = BATCH * INPUT.iter().product::<usize>();
    let values = (0..count).map(|i| 0.5 + 0.5 * ((i * i) as f32 * 0.37).sin()).collect();
    let images = Tensor::new(&[BATCH, INPUT[0], INPUT[1], INPUT[2]], values).unwrap();
    let labels: Vec<usize> = (0..BATCH).collect();
    let streams = SampleStreams { seed: 0, epoch: 0, indices: &labels };
    let at = EpochValues { h: 0.5, gamma: 0.7 };
    objective.step(&mut network, &images, &labels, &at, &streams).unwrap().gradients
}

#[test]
fn tiles_give_the_gradients_of_plain_sums() {
    if cure_tensor::device().is_torch() {
        return eprintln!("skipped: this is how the CPU engine works");
    }
    let cure = |loss_mode| Objective::Cure(CureOptions { loss_mode, ..CureOptions::default() });
    let objectives = [Objective::default(), cure(BatchNormMode::Train), cure(BatchNormMode::Eval)];
    for objective in objectives {
        let [tiles, plain] = [false, true].map(|plain| {
            ops::use_plain_sums(plain);
            let (gradients, record) = meter::record(|| gradients(&objective));
            // Of both strides: they lead to other widths with stride 2, and to the same with stride
            // 1.
            for halves in [false, true] {
                let mut layers = record.entries.iter().filter(|entry| {
                    let [outer, inner, 3, 3] = entry.weight[..] else { return false };
                    inner >= 8 && (outer != inner) == halves
                });
                let path = if plain { "direct" } else { "transformed" };
                assert!(layers.clone().count() >= 3);
                assert!(layers.all(|entry| entry.path == path), "{path}");
            }
            gradients
        });
        for (index, (found, exact)) in tiles.tensors().iter().zip(plain.tensors()).enumerate() {
            let (Some(found), Some(exact)) = (found, exact) else { continue };
            let (found, exact) = (found.host(), exact.host());
            let square = |value: f32| f64::from(value).powi(2);
            let apart: f64 = found.iter().zip(&*exact).map(|(a, b)| square(a - b)).sum();
            let size: f64 = exact.iter().map(|&value| square(value)).sum();
            let error = (apart / size).sqrt();
            assert!(
                size > 0.0 && error < 1e-5,
                "{}, tensor {index}: {error:.1e}",
                objective.name()
            );
        }
    }
}

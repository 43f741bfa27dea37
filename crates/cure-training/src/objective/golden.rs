//! Objectives against PyTorch, which computed them literally from their definitions (see
//! `golden/`): values, and gradients of all tensors that are small enough to be stored.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cure_network::weights::read;
use cure_network::{Architecture, Family, Network, Normalization, Shortcut};
use cure_tensor::Tensor;
use cure_tensor::ops::Activation;

use super::batch_norm::{BatchNormMode, Passes};
use super::elle::Draws;
use super::part::{Batch, Part};
use super::standard::with_loss;
use super::{EpochValues, Objective, SampleStreams};

/// Entries of the largest tensor whose gradient is stored.
const SMALL: usize = 200;
const INDICES: [usize; 5] = [0, 1, 2, 3, 4];

struct Golden(Vec<(String, Tensor)>);

impl Golden {
    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden");
        Self(read(&folder.join(name)).unwrap().tensors)
    }

    fn get(&self, name: &str) -> Tensor {
        self.0.iter().find(|(key, _)| key == name).unwrap().1.clone()
    }

    fn network(&self) -> Network {
        let state = self.0.iter().filter_map(|(name, tensor)| {
            Some((name.strip_prefix("weights/")?.to_owned(), tensor.clone()))
        });
        let family = Family::Residual {
            widths: vec![4, 8, 16],
            blocks: vec![1; 3],
            shortcut: Shortcut::Convolution,
        };
        let activation = Activation::Softplus { beta: 10.0 };
        let architecture = Architecture { family, activation, classes: 10, input: [3, 8, 8] };
        let statistics = "0.4914,0.4822,0.4465/0.2470,0.2435,0.2616";
        let normalization = Normalization::parse(statistics, 3).unwrap();
        Network::from_state(architecture, normalization, &state.collect::<Vec<_>>()).unwrap()
    }
}

/// What the objective is at the points of the file, in place of all that it would find or draw.
fn at_given_points(objective: &Objective, network: &Network, batch: &Batch<'_>) -> Part {
    let golden = Golden::read("objectives.safetensors");
    let passes = &Passes::new(network, BatchNormMode::Eval).unwrap();
    let points = &golden.get("points");
    match objective {
        Objective::GradAlign(options) => {
            let (part, _) = options.alignment(passes, batch, &golden.get("noisy")).unwrap();
            with_loss(part, false, &options.loss, network, batch, points).unwrap()
        }
        Objective::Elle(options) => {
            let alphas = golden.get("alpha").host().iter().map(|&alpha| alpha.into()).collect();
            let draws = Draws { a: golden.get("x_a"), b: golden.get("x_b"), alphas };
            let part = options.regularizer(passes, batch, &draws).unwrap();
            with_loss(part, false, &options.common.loss(), network, batch, points).unwrap()
        }
        Objective::Trades(_) | Objective::Mart(_) | Objective::Llr(_) => {
            let batch = Batch { points: Some(points), ..*batch };
            objective.options().part(network, &batch, &EpochValues { h: 0.0, gamma: 0.0 }).unwrap()
        }
        _ => objective.options().part(network, batch, &EpochValues { h: 0.0, gamma: 0.0 }).unwrap(),
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definitions() {
    let case = Golden::read("resnet8_conv_softplus.safetensors");
    let (network, images) = (case.network(), case.get("images"));
    let labels: Vec<usize> =
        case.get("labels").host().iter().map(|&label| label as usize).collect();
    let streams = SampleStreams { seed: 0, epoch: 0, indices: &INDICES };
    let batch = Batch::new(&images, &labels, streams, None).unwrap();
    let golden = Golden::read("objectives.safetensors");
    let specs = golden.0.iter().filter_map(|(name, _)| name.strip_suffix("/value"));
    let mut count = 0;
    for spec in specs {
        let separator = if spec.contains(':') { ',' } else { ':' };
        let objective: Objective = format!("{spec}{separator}loss_mode=eval").parse().unwrap();
        let part = at_given_points(&objective, &network, &batch);
        let expected = f64::from(golden.get(&format!("{spec}/value")).host()[0]);
        let found = part.objective / labels.len() as f64;
        assert!((found / expected - 1.0).abs() < 1e-5, "{spec}: {found} {expected}");

        let mut gradients: Vec<(&str, &Tensor)> = network
            .parameters()
            .iter()
            .zip(part.gradients.tensors())
            .filter_map(|(parameter, gradient)| Some((&*parameter.name, gradient.as_ref()?)))
            .filter(|(_, gradient)| gradient.len() <= SMALL)
            .collect();
        gradients.sort_by_key(|&(name, _)| name);
        let found: Vec<f64> = gradients
            .iter()
            .flat_map(|(_, gradient)| {
                gradient.host().iter().copied().map(f64::from).collect::<Vec<_>>()
            })
            .collect();
        let expected = golden.get(&format!("{spec}/gradient"));
        let expected: Vec<f64> = expected.host().iter().copied().map(f64::from).collect();
        assert_eq!(found.len(), expected.len(), "{spec}");
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let error = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b))
            / norm(&mut expected.iter().copied());
        assert!(error < 1e-4, "{spec}: {error:e}");
        count += 1;
    }
    assert_eq!(count, 9);
}

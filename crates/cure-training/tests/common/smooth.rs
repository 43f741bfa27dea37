//! A small smooth network, a few images, and steps of objectives there.

use cure_network::{Architecture, Family, Gradients, Network, Normalization, Shortcut};
use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation};
use cure_training::{EpochValues, Objective, SampleStreams, StepOutcome};

pub const AT: EpochValues = EpochValues { h: 0.5, gamma: 0.7 };
pub const COUNT: usize = 4;

/// Every objective, in every form whose gradient differs.
pub const SPECS: [&str; 31] = [
    "standard",
    "standard:smoothing=0.2",
    "standard:loss_mode=eval",
    "cure:alpha=0.6,beta=0.8",
    "cure:alpha=0.6,beta=0.8,loss_mode=eval,squared=true",
    "cure:alpha=0.5,beta=0.5,noise=1,regularizer_mode=train,loss_mode=eval,smoothing=0.1",
    "cure:alpha=0,beta=1,noise=2",
    "pgd-at:eps=0.1,steps=3",
    "fgsm-at:eps=0.1,attack_mode=train",
    "fgsm-rs:eps=0.1,loss_mode=eval",
    "n-fgsm:eps=0.1,smoothing=0.1",
    "pgd-at:eps=0.1,steps=2,clean=0.5,loss_mode=eval",
    "fgsm-at:eps=0.1,attack_mode=train,clean=0.5",
    "fgsm-rs:eps=0.1,clean=0.3",
    "n-fgsm:eps=0.1,clean=0.5",
    "free:eps=0.1",
    "deepfool",
    "deepfool:clean=0.5,loss_mode=eval",
    "trades:eps=0.1,steps=2",
    "trades:eps=0.1,steps=2,smoothing=0.1,loss_mode=eval",
    "mart:eps=0.1,steps=2,lambda=50",
    "mart:eps=0.1,steps=2,lambda=50,smoothing=0.1,loss_mode=eval",
    "gradient-penalty:lambda=0.3",
    "gradient-penalty:lambda=0.3,squared=false,loss_mode=eval",
    "gradient-penalty:lambda=0.3,regularizer_mode=train",
    "gradalign:eps=0.1,lambda=2",
    "gradalign:eps=0.1,lambda=2,regularizer_mode=train,smoothing=0.1",
    "llr:eps=0.1",
    "llr:eps=0.1,loss_mode=eval,smoothing=0.1",
    "elle:eps=0.1,lambda=100",
    "elle:eps=0.1,lambda=100,regularizer_mode=train,noise=1",
];

/// Smooth, with running statistics and scales that are not the identity, so that folding matters.
pub fn network() -> Network {
    let family = Family::Residual {
        widths: vec![3, 4],
        blocks: vec![1, 1],
        shortcut: Shortcut::Convolution,
    };
    let activation = Activation::Softplus { beta: 2.0 };
    let architecture = Architecture { family, activation, classes: 5, input: [3, 6, 6] };
    let normalization = Normalization::parse("0.4,0.5,0.6/0.2,0.25,0.3", 3).unwrap();
    let mut network = Network::random(architecture, normalization, 3).unwrap();
    for position in 0..network.parameters().len() {
        let tensor = network.tensors()[position].clone();
        if tensor.shape().len() == 1 {
            let mut values = tensor.host().into_owned();
            for (i, value) in values.iter_mut().enumerate() {
                *value += 0.1 * ((i + position) as f32).sin();
            }
            network.set_tensor(position, Tensor::new(tensor.shape(), values).unwrap()).unwrap();
        }
    }
    network
}

pub fn images(count: usize) -> Tensor {
    let values = (0..count * 108).map(|i| 0.5 + 0.4 * ((i * i) as f32 * 0.37).sin()).collect();
    Tensor::new(&[count, 3, 6, 6], values).unwrap()
}

/// What stands for the points that an attack found: far enough that what differs there counts.
pub fn points(count: usize) -> Tensor {
    let moves = (0..count * 108).map(|i| 0.3 * ((i * i) as f32 * 0.73).cos()).collect();
    ops::add(Tensor::new(&[count, 3, 6, 6], moves).unwrap(), &images(count)).unwrap()
}

pub fn step(
    objective: &Objective,
    network: &Network,
    count: usize,
    points: Option<&Tensor>,
) -> StepOutcome {
    let labels: Vec<usize> = (0..count).map(|i| (3 * i + 1) % 5).collect();
    let indices: Vec<usize> = (0..count).map(|i| (7 * i + 11) % 53).collect();
    let streams = SampleStreams { seed: 5, epoch: 2, indices: &indices };
    let network = &mut network.clone();
    objective.step_at(network, &images(count), &labels, &AT, &streams, points).unwrap()
}

pub fn objective(spec: &str) -> Objective {
    spec.parse().unwrap()
}

pub fn difference(a: &Gradients, b: &Gradients) -> f64 {
    a.clone().add_scaled(-1.0, b).unwrap().norm() / b.norm()
}

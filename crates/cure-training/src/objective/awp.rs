//! Adversarial weight perturbation (Wu et al. 2020): the gradient of an objective is taken at
//! weights that have gone up it first, θ + v with v = γ‖w‖·g/‖g‖ for each weight tensor w with
//! gradient g (not for biases or BatchNorm), and applied at θ. The objective's passes that have a
//! gradient in θ are made twice; the points that an attack found at θ stay.

use cure_network::{Gradients, Network};
use cure_tensor::{Tensor, ops};

use super::part::Part;
use crate::Result;

/// `work` at the perturbed weights; at the weights themselves for γ = 0.
pub(super) fn with_perturbation(
    gamma: f64,
    network: &Network,
    work: impl Fn(&Network) -> Result<Part>,
) -> Result<Part> {
    if gamma == 0.0 {
        return work(network);
    }
    let gradients = work(network)?.gradients.mean_over(network.ranks())?;
    work(&perturbed(network, &gradients, gamma)?)
}

fn perturbed(network: &Network, gradients: &Gradients, gamma: f64) -> Result<Network> {
    let with_gradient = |(position, weight): (usize, _)| {
        Some((position, weight, gradients.tensors()[position].as_ref()?))
    };
    let weights = network.tensors().iter().enumerate().filter(|(_, w)| w.shape().len() > 1);
    let pairs: Vec<(usize, &Tensor, &Tensor)> = weights.filter_map(with_gradient).collect();
    let sizes = ops::norms(&pairs.iter().map(|&(_, weight, _)| weight).collect::<Vec<_>>());
    let lengths = ops::norms(&pairs.iter().map(|&(.., gradient)| gradient).collect::<Vec<_>>());
    let mut moved = network.clone();
    for ((position, weight, gradient), (size, length)) in
        pairs.into_iter().zip(sizes.into_iter().zip(lengths))
    {
        if length > 0.0 {
            let factor = (gamma * size / length) as f32;
            moved.set_tensor(position, ops::axpy(factor, gradient, weight.clone())?)?;
        }
    }
    Ok(moved)
}

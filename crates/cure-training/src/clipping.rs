//! Gradient clipping by the global ℓ2 norm (Pascanu et al. 2013).

use cure_network::Gradients;

use crate::error::{Result, TrainingError};

/// What became of a gradient.
pub(crate) struct Clipped {
    pub(crate) gradients: Gradients,
    /// ℓ2 norm over all parameters before.
    pub(crate) norm: f64,
    /// Whether it was over the bound.
    pub(crate) is_clipped: bool,
}

/// The gradient, shortened to `bound` where its norm is over it.
pub(crate) fn clip(gradients: Gradients, bound: f64) -> Clipped {
    let norm = gradients.norm();
    let is_clipped = norm > bound;
    let gradients = if is_clipped { gradients.scaled((bound / norm) as f32) } else { gradients };
    Clipped { gradients, norm, is_clipped }
}

/// Whether `bound` is one.
pub(crate) fn check(bound: f64) -> Result<()> {
    match bound > 0.0 && bound.is_finite() {
        true => Ok(()),
        false => {
            let accepted = "above 0; leave it out for no clipping";
            Err(TrainingError::setting("clip_norm", bound, accepted))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cure_network::{Architecture, Family, Network, Normalization};
    use cure_tensor::Tensor;

    use super::*;

    /// The gradient of a linear layer: s·x for the weights of the first class, s for its bias.
    fn gradient(image: [f32; 2], seed: f32) -> Gradients {
        let family = Family::Perceptron { hidden: Vec::new() };
        let activation = cure_tensor::ops::Activation::Relu;
        let architecture = Architecture { family, activation, classes: 2, input: [2, 1, 1] };
        let network = Network::random(architecture, Normalization::none(2), 0).unwrap();
        let frozen = network.frozen().unwrap();
        let pass = frozen.linearize(&Tensor::new(&[1, 2, 1, 1], image.to_vec()).unwrap()).unwrap();
        pass.parameter_gradient(&Tensor::new(&[1, 2], vec![seed, 0.0]).unwrap()).unwrap()
    }

    #[test]
    fn numbers_by_hand() {
        // s·x = (3, 4) and s = 12: the norm is √(9 + 16 + 144) = 13.
        let at = |bound| clip(gradient([0.25, 1.0 / 3.0], 12.0), bound);
        let shortened = at(6.5);
        assert!((shortened.norm - 13.0).abs() < 1e-6 && shortened.is_clipped);
        let values: Vec<f32> = shortened
            .gradients
            .tensors()
            .iter()
            .flatten()
            .flat_map(|tensor| tensor.host().to_vec())
            .collect();
        for (found, expected) in values.iter().zip([1.5, 2.0, 0.0, 0.0, 6.0, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{values:?}");
        }
        let kept = at(13.1);
        assert!(!kept.is_clipped && (kept.gradients.norm() - 13.0).abs() < 1e-6);
    }

    #[test]
    fn a_bound_out_of_its_range_is_refused() {
        for bound in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(check(bound).unwrap_err().to_string().contains("clip_norm is"));
        }
    }
}

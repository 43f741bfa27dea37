//! Adam and SGD with PyTorch's semantics: what is added to which gradient, in which order.

use cure_network::{Gradients, Network, Role};
use cure_tensor::{Tensor, ops};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};

/// Which optimiser, with its constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerOptions {
    /// Kingma & Ba 2015, with bias correction.
    Adam {
        /// Decay of the running means of g and g²; default 0.9 and 0.999.
        #[serde(default = "adam_betas")]
        betas: [f64; 2],
        /// Added to √v; default 1e-8.
        #[serde(default = "adam_epsilon")]
        epsilon: f64,
        /// L2: this times the parameter is added to its gradient; default 0. It acts on every
        /// trained parameter, BatchNorm's and biases included, as in PyTorch.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum; default 0.9.
        #[serde(default = "sgd_momentum")]
        momentum: f64,
        /// Nesterov's look-ahead; default false.
        #[serde(default)]
        nesterov: bool,
        /// As for Adam; default 0.
        #[serde(default)]
        weight_decay: f64,
    },
}

fn adam_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn adam_epsilon() -> f64 {
    1e-8
}

fn sgd_momentum() -> f64 {
    0.9
}

impl Default for OptimizerOptions {
    /// Adam without weight decay.
    fn default() -> Self {
        Self::Adam { betas: adam_betas(), epsilon: adam_epsilon(), weight_decay: 0.0 }
    }
}

impl OptimizerOptions {
    /// SGD with momentum 0.9.
    pub fn sgd() -> Self {
        Self::Sgd { momentum: sgd_momentum(), nesterov: false, weight_decay: 0.0 }
    }

    /// Whether every constant is in its range.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] naming the first that is not.
    pub fn check(&self) -> Result<()> {
        let below_one = |name, value: f64| {
            let fits = (0.0..1.0).contains(&value);
            fits.then_some(()).ok_or_else(|| TrainingError::setting(name, value, "0 up to below 1"))
        };
        let decay = match *self {
            Self::Adam { betas, epsilon, weight_decay } => {
                below_one("optimizer.betas[0]", betas[0])?;
                below_one("optimizer.betas[1]", betas[1])?;
                if !(epsilon > 0.0 && epsilon.is_finite()) {
                    return Err(TrainingError::setting("optimizer.epsilon", epsilon, "above 0"));
                }
                weight_decay
            }
            Self::Sgd { momentum, nesterov, weight_decay } => {
                below_one("optimizer.momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    let accepted = "above 0 with nesterov = true";
                    return Err(TrainingError::setting("optimizer.momentum", momentum, accepted));
                }
                weight_decay
            }
        };
        if decay >= 0.0 && decay.is_finite() {
            Ok(())
        } else {
            Err(TrainingError::setting("optimizer.weight_decay", decay, "0 or more"))
        }
    }

    /// The names of the running tensors kept for each parameter.
    fn slots(&self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } => &["mean", "mean_square"],
            Self::Sgd { momentum, .. } if *momentum > 0.0 => &["momentum"],
            Self::Sgd { .. } => &[],
        }
    }
}

/// Learning rates of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// The learning rate.
    pub all: f64,
    /// Times this for BatchNorm's scale and shift; 0 leaves them as they are, decay included.
    pub batch_norm: f64,
}

impl From<f64> for Rates {
    /// The same for every parameter.
    fn from(rate: f64) -> Self {
        Self { all: rate, batch_norm: 1.0 }
    }
}

impl Rates {
    fn of(&self, role: Role) -> f64 {
        match role {
            Role::Scale | Role::Shift => self.all * self.batch_norm,
            _ => self.all,
        }
    }
}

/// An optimiser at work: its constants, the number of steps taken and its running tensors.
#[derive(Debug, Clone)]
pub struct Optimizer {
    options: OptimizerOptions,
    steps: u64,
    /// For each tensor of the network's state, the running tensors; none for buffers.
    running: Vec<Vec<Tensor>>,
}

impl Optimizer {
    /// An optimiser that has taken no step.
    ///
    /// # Errors
    /// As [`OptimizerOptions::check`].
    pub fn new(options: OptimizerOptions, network: &Network) -> Result<Self> {
        options.check()?;
        let zeros = |position: usize| {
            let spec = &network.parameters()[position];
            let slots = if spec.role.is_trained() { options.slots().len() } else { 0 };
            vec![Tensor::zeros(&spec.shape); slots]
        };
        let running = (0..network.parameters().len()).map(zeros).collect();
        Ok(Self { options, steps: 0, running })
    }

    /// Its constants.
    pub fn options(&self) -> OptimizerOptions {
        self.options
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves every parameter that has a gradient.
    ///
    /// # Errors
    /// If the gradients are of another network.
    pub fn step(
        &mut self,
        network: &mut Network,
        gradients: &Gradients,
        rates: impl Into<Rates>,
    ) -> Result<()> {
        let rates = rates.into();
        if gradients.tensors().len() != self.running.len()
            || network.tensors().len() != self.running.len()
        {
            let reason = format!(
                "it was made for {} tensors; the network has {}, the gradients {}",
                self.running.len(),
                network.tensors().len(),
                gradients.tensors().len()
            );
            return Err(TrainingError::Optimizer { reason });
        }
        self.steps += 1;
        for (position, gradient) in gradients.tensors().iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            let parameter = network.tensors()[position].clone();
            let rate = rates.of(network.parameters()[position].role);
            let moved = self.moved(position, parameter, gradient, rate)?;
            network.set_tensor(position, moved)?;
        }
        Ok(())
    }

    fn moved(
        &mut self,
        position: usize,
        parameter: Tensor,
        gradient: &Tensor,
        learning_rate: f64,
    ) -> Result<Tensor> {
        let decayed = |weight_decay: f64| match weight_decay {
            0.0 => Ok(gradient.clone()),
            _ => ops::axpy(weight_decay as f32, &parameter, gradient.clone()),
        };
        let running = &mut self.running[position];
        let update = match (self.options, running.as_mut_slice()) {
            (OptimizerOptions::Adam { betas, epsilon, weight_decay }, [mean, square]) => {
                let g = decayed(weight_decay)?;
                let [keep, keep_square] = betas.map(|beta| beta as f32);
                let [take, take_square] = betas.map(|beta| (1.0 - beta) as f32);
                *mean = ops::running_mean(mean, &g, keep, take)?;
                *square = ops::running_square(square, &g, keep_square, take_square)?;
                let correction = betas.map(|beta| 1.0 - beta.powf(self.steps as f64));
                let scale = (1.0 / correction[0]) as f32;
                let root = correction[1].sqrt().recip() as f32;
                let epsilon = epsilon as f32;
                ops::over_root(mean, square, [scale, root, epsilon])?
            }
            (OptimizerOptions::Sgd { momentum, nesterov, weight_decay }, [velocity]) => {
                let (g, momentum) = (decayed(weight_decay)?, momentum as f32);
                *velocity = ops::running_mean(velocity, &g, momentum, 1.0)?;
                match nesterov {
                    true => ops::axpy(momentum, velocity, g)?,
                    false => velocity.clone(),
                }
            }
            (OptimizerOptions::Sgd { weight_decay, .. }, []) => decayed(weight_decay)?,
            _ => {
                let reason = "a gradient was given for a tensor that is not trained".into();
                return Err(TrainingError::Optimizer { reason });
            }
        };
        Ok(ops::axpy(-learning_rate as f32, &update, parameter)?)
    }

    /// The running tensors, named `SLOT/PARAMETER`.
    pub fn state(&self, network: &Network) -> Vec<(String, Tensor)> {
        let named = network.parameters().iter().zip(&self.running).flat_map(|(spec, tensors)| {
            let slots = self.options.slots().iter().zip(tensors);
            slots.map(|(slot, tensor)| (format!("{slot}/{}", spec.name), tensor.clone()))
        });
        named.collect()
    }

    /// An optimiser that goes on from a saved state.
    ///
    /// # Errors
    /// A tensor that is missing or misshapen.
    pub fn from_state(
        options: OptimizerOptions,
        network: &Network,
        steps: u64,
        state: &[(String, Tensor)],
    ) -> Result<Self> {
        let mut optimizer = Self::new(options, network)?;
        optimizer.steps = steps;
        for (spec, running) in network.parameters().iter().zip(&mut optimizer.running) {
            for (slot, tensor) in options.slots().iter().zip(running) {
                let name = format!("{slot}/{}", spec.name);
                match state.iter().find(|(known, _)| *known == name) {
                    Some((_, saved)) if saved.shape() == tensor.shape() => *tensor = saved.clone(),
                    Some((_, saved)) => {
                        let (found, expected) = (saved.shape(), tensor.shape());
                        let reason = format!("`{name}` is {found:?}, not {expected:?}");
                        return Err(TrainingError::Optimizer { reason });
                    }
                    None => {
                        let reason = format!("`{name}` is missing");
                        return Err(TrainingError::Optimizer { reason });
                    }
                }
            }
        }
        Ok(optimizer)
    }
}

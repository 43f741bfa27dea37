//! A network: architecture, normalisation and the state (parameters and running statistics).

use std::ops::Range;

use cure_tensor::{Numbers, Tensor, ops};

use crate::architecture::Architecture;
use crate::classifier::{Classifier, Linearized};
use crate::error::{NetworkError, Result};
use crate::initialise;
use crate::layout::{LayerKind, Layout, ParameterSpec};
use crate::linearization::{self, BatchStatistics, Linearization};
use crate::normalization::Normalization;
use crate::pieces::{self, Cut, Pieces};
use crate::primitive::Affine;
use crate::program::Program;
use crate::ranks::Ranks;

/// PyTorch's default momentum of BatchNorm's running statistics.
const MOMENTUM: f64 = 0.1;

/// A classifier's architecture, input normalisation and state.
#[derive(Clone)]
pub struct Network {
    architecture: Architecture,
    normalization: Normalization,
    layout: Layout,
    tensors: Vec<Tensor>,
    ranks: Ranks,
}

/// A gradient for every trained parameter, in the order of [`Network::parameters`].
#[derive(Clone, Debug)]
pub struct Gradients {
    tensors: Vec<Option<Tensor>>,
}

impl Gradients {
    pub(crate) fn new(tensors: Vec<Option<Tensor>>) -> Self {
        Self { tensors }
    }

    /// The gradient of each tensor of the state, by position; `None` where there is none.
    pub fn tensors(&self) -> &[Option<Tensor>] {
        &self.tensors
    }

    /// `self + factor · other`.
    ///
    /// # Errors
    /// If they belong to different networks.
    pub fn add_scaled(mut self, factor: f32, other: &Self) -> Result<Self> {
        for (sum, term) in self.tensors.iter_mut().zip(&other.tensors) {
            let Some(term) = term else { continue };
            *sum = Some(match sum.take() {
                Some(sum) => ops::axpy(factor, term, sum)?,
                None => ops::scale(factor, term.clone()),
            });
        }
        Ok(self)
    }

    /// `factor · self`.
    pub fn scaled(self, factor: f32) -> Self {
        let scaled = |tensor: Option<Tensor>| tensor.map(|tensor| ops::scale(factor, tensor));
        Self { tensors: self.tensors.into_iter().map(scaled).collect() }
    }

    /// The mean over the ranks, each of which has the gradient of its share of a batch.
    ///
    /// # Errors
    /// Only if a tensor does not have the length of its shape.
    pub fn mean_over(mut self, ranks: &Ranks) -> Result<Self> {
        if ranks.size() == 1 {
            return Ok(self);
        }
        let all = self.tensors.iter().flatten();
        let mut values: Vec<f32> = all.flat_map(|tensor| tensor.host().to_vec()).collect();
        ranks.sum_single(&mut values);
        let share = 1.0 / ranks.size() as f32;
        values.iter_mut().for_each(|value| *value *= share);
        let mut rest = values.as_slice();
        for tensor in self.tensors.iter_mut().flatten() {
            let (own, others) = rest.split_at(tensor.len());
            *tensor = Tensor::new(tensor.shape(), own.to_vec())?;
            rest = others;
        }
        Ok(self)
    }

    /// The Euclidean norm over all parameters.
    pub fn norm(&self) -> f64 {
        ops::norms(&self.all()).iter().map(|norm| norm * norm).sum::<f64>().sqrt()
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        ops::are_finite(&self.all())
    }

    fn all(&self) -> Vec<&Tensor> {
        self.tensors.iter().flatten().collect()
    }
}

impl Network {
    /// A network with random weights: He's normal initialisation for convolutions (fan out),
    /// PyTorch's uniform one for linear layers, BatchNorm at identity. The same seed gives the
    /// same weights on every machine.
    ///
    /// # Errors
    /// If the normalisation does not fit the images.
    pub fn random(
        architecture: Architecture,
        normalization: Normalization,
        seed: u64,
    ) -> Result<Self> {
        normalization.check(architecture.input[0])?;
        let layout = architecture.layout();
        let tensors = initialise::tensors(&layout.parameters, seed)?;
        Ok(Self { architecture, normalization, layout, tensors, ranks: Ranks::alone() })
    }

    /// A network with the given state, whose keys must be exactly the architecture's.
    ///
    /// # Errors
    /// [`NetworkError::StateMismatch`] naming missing, unexpected and misshapen keys;
    /// [`NetworkError::NotFinite`] naming the first value that is NaN or infinite.
    pub fn from_state(
        architecture: Architecture,
        normalization: Normalization,
        state: &[(String, Tensor)],
    ) -> Result<Self> {
        let network = Self::from_finite_state(architecture, normalization, state)?;
        network.check_finite()?;
        Ok(network)
    }

    /// As [`Network::from_state`], for values known to be finite.
    pub(crate) fn from_finite_state(
        architecture: Architecture,
        normalization: Normalization,
        state: &[(String, Tensor)],
    ) -> Result<Self> {
        normalization.check(architecture.input[0])?;
        let layout = architecture.layout();
        let tensors = match_state(&architecture, &layout.parameters, state)?;
        Ok(Self { architecture, normalization, layout, tensors, ranks: Ranks::alone() })
    }

    /// Makes it a network that `ranks` train together.
    pub fn set_ranks(&mut self, ranks: Ranks) {
        self.ranks = ranks;
    }

    /// The processes that train it together.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// What decides the layers.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What is done to pixels first.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Name, shape and role of every tensor of the state.
    pub fn parameters(&self) -> &[ParameterSpec] {
        &self.layout.parameters
    }

    /// The tensors of the state, in the order of [`Network::parameters`].
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// Number of trained values.
    pub fn parameter_count(&self) -> usize {
        let trained = self.layout.parameters.iter().filter(|spec| spec.role.is_trained());
        trained.map(|spec| spec.shape.iter().product::<usize>()).sum()
    }

    /// Names with tensors, as a state dictionary.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let names = self.layout.parameters.iter().map(|spec| spec.name.clone());
        names.zip(self.tensors.iter().cloned()).collect()
    }

    /// Replaces one tensor of the state.
    ///
    /// # Errors
    /// If the shape differs from the one it replaces, or there is no such position.
    pub fn set_tensor(&mut self, position: usize, tensor: Tensor) -> Result<()> {
        let expected = self.tensors.get(position).map(Tensor::shape).unwrap_or(&[]);
        if tensor.shape() != expected {
            return Err(cure_tensor::TensorError::ShapeMismatch {
                operation: "set_tensor",
                expected: format!("{expected:?}"),
                found: tensor.shape().to_vec(),
            }
            .into());
        }
        self.tensors[position] = tensor;
        Ok(())
    }

    /// The first value of the state that is not finite, as an error.
    ///
    /// # Errors
    /// [`NetworkError::NotFinite`].
    pub fn check_finite(&self) -> Result<()> {
        let mut named = self.layout.parameters.iter().zip(&self.tensors);
        named.try_for_each(|(spec, tensor)| check_finite(&spec.name, tensor))
    }

    /// Multiply-adds of the convolutions and linear layers for one image.
    pub fn multiply_adds(&self) -> u64 {
        let one = |(id, layer): (usize, &crate::layout::Layer)| match layer.kind {
            LayerKind::Convolution { weight, .. } | LayerKind::Linear { weight, .. } => {
                let [_, h, w] = self.layout.shape(id);
                let weights: usize = self.layout.parameters[weight].shape.iter().product();
                (weights * h * w) as u64
            }
            _ => 0,
        };
        self.layout.layers.iter().enumerate().map(one).sum()
    }

    /// Values that the convolutions and linear layers write for one image.
    pub fn layer_outputs(&self) -> u64 {
        let one = |(id, layer): (usize, &crate::layout::Layer)| match layer.kind {
            LayerKind::Convolution { .. } | LayerKind::Linear { .. } => {
                self.layout.shape(id).iter().product::<usize>() as u64
            }
            _ => 0,
        };
        self.layout.layers.iter().enumerate().map(one).sum()
    }

    fn mean_std(&self) -> Option<Affine> {
        let Normalization { mean, std } = &self.normalization;
        // In f32, as those compute who normalise images before a network.
        let scale = std.iter().map(|std| f64::from(1.0 / std));
        let shift = mean.iter().zip(std).map(|(mean, std)| f64::from(-mean / std));
        (!self.normalization.is_identity()).then(|| Affine {
            scale: Numbers::new(scale.collect()),
            shift: Numbers::new(shift.collect()),
        })
    }

    /// The network for evaluation: running statistics, BatchNorm folded. What it is made from is
    /// shared, not copied; it does not follow later changes of this network.
    ///
    /// # Errors
    /// Only if the state was tampered with.
    pub fn frozen(&self) -> Result<Frozen> {
        Ok(Frozen {
            program: Program::frozen(&self.layout, &self.tensors, self.mean_std())?,
            tensors: self.tensors.clone(),
            classes: self.architecture.classes,
            input: self.architecture.input,
            cut: Cut::of(self.layout.largest_layer(), self.multiply_adds()),
        })
    }

    /// The network with BatchNorm over the batch, for training.
    ///
    /// # Errors
    /// Only if the state was tampered with.
    pub fn training(&self) -> Result<Training> {
        Ok(Training(Frozen {
            program: Program::training(&self.layout, &self.tensors, self.mean_std(), &self.ranks)?,
            tensors: self.tensors.clone(),
            classes: self.architecture.classes,
            input: self.architecture.input,
            cut: Cut::WHOLE,
        }))
    }

    /// Moves the running statistics a tenth of the way to those of the batch (unbiased
    /// variance), as PyTorch does after a pass in training mode. Does nothing for those of a pass
    /// with fixed statistics.
    ///
    /// # Errors
    /// Only if they belong to another network.
    pub fn update_running_statistics(&mut self, batch: &BatchStatistics) -> Result<()> {
        let norms: Vec<(usize, usize)> = self
            .layout
            .layers
            .iter()
            .filter_map(|layer| match layer.kind {
                LayerKind::BatchNormalization { mean, variance, .. } => Some((mean, variance)),
                _ => None,
            })
            .collect();
        for ((mean_at, variance_at), moments) in norms.into_iter().zip(&batch.0) {
            let unbiased = moments.count as f64 / (moments.count.max(2) - 1) as f64;
            self.blend(mean_at, &moments.mean, 1.0)?;
            self.blend(variance_at, &moments.variance, unbiased)?;
        }
        Ok(())
    }

    fn blend(&mut self, position: usize, batch: &Numbers, factor: f64) -> Result<()> {
        let running = Numbers::of(&self.tensors[position]) * (1.0 - MOMENTUM);
        self.set_tensor(position, (running + batch * (MOMENTUM * factor)).to_tensor())
    }
}

/// A network with fixed statistics: the classifier that is attacked and measured.
pub struct Frozen {
    program: Program,
    tensors: Vec<Tensor>,
    classes: usize,
    input: [usize; 3],
    cut: Cut,
}

impl Frozen {
    fn check(&self, images: &Tensor) -> Result<()> {
        match images.shape() {
            [_, c, h, w] if [*c, *h, *w] == self.input => Ok(()),
            found => Err(NetworkError::Images { expected: self.input, found: found.to_vec() }),
        }
    }

    /// The network at `images`, `[N, C, H, W]`, with every derivative, those of the parameters
    /// included.
    ///
    /// # Errors
    /// If the images do not have the network's input shape.
    pub fn linearize(&self, images: &Tensor) -> Result<Linearization<'_>> {
        self.check(images)?;
        Linearization::new(&self.program, &self.tensors, images)
    }

    /// Ranges of a batch of `count` images whose parameter gradients are better found apart, a thread each, and
    /// summed in order; one range where the network has too many parameters for that. They depend on the
    /// network and `count` alone.
    pub fn parts(&self, count: usize) -> Vec<Range<usize>> {
        let parameters = self.tensors.iter().map(Tensor::len).sum();
        pieces::parts(count, parameters)
    }
}

impl Classifier for Frozen {
    fn classes(&self) -> usize {
        self.classes
    }

    fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    fn is_piecewise_linear(&self) -> bool {
        !self.program.is_curved
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.check(images)?;
        pieces::join(self.cut.map(images, |images| linearization::logits(&self.program, images))?)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        self.check(images)?;
        let pieces = self
            .cut
            .map(images, |images| Linearization::new(&self.program, &self.tensors, images))?;
        Ok(Box::new(Pieces::new(self.cut, pieces)?))
    }
}

/// A network whose BatchNorm takes its statistics from the batch.
pub struct Training(Frozen);

impl Training {
    /// As [`Frozen::linearize`]; samples of the batch see each other through its statistics.
    ///
    /// # Errors
    /// If the images do not have the network's input shape.
    pub fn linearize(&self, images: &Tensor) -> Result<Linearization<'_>> {
        self.0.linearize(images)
    }
}

/// For attacks on the network as it is being trained: the whole batch at once, running statistics
/// untouched.
impl Classifier for Training {
    fn classes(&self) -> usize {
        self.0.classes
    }

    fn input_shape(&self) -> [usize; 3] {
        self.0.input
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.0.check(images)?;
        linearization::logits(&self.0.program, images)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        Ok(Box::new(Pieces::new(Cut::WHOLE, vec![self.0.linearize(images)?])?))
    }
}

fn check_finite(name: &str, tensor: &Tensor) -> Result<()> {
    if tensor.is_finite() {
        return Ok(());
    }
    let values = tensor.host();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => {
            Err(NetworkError::NotFinite { name: name.into(), index, value: values[index] })
        }
    }
}

fn match_state(
    architecture: &Architecture,
    specs: &[ParameterSpec],
    state: &[(String, Tensor)],
) -> Result<Vec<Tensor>> {
    /// Keys listed of each kind before the rest is counted.
    const SHOWN: usize = 5;
    let list = |what: &str, names: &[String]| {
        let more = names.len().saturating_sub(SHOWN);
        let shown = names[..names.len() - more].join(", ");
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{} {what}: {shown}{tail}", names.len())
    };
    let (mut missing, mut misshapen, mut tensors) = (Vec::new(), Vec::new(), Vec::new());
    for spec in specs {
        match state.iter().find(|(name, _)| *name == spec.name) {
            None => missing.push(spec.name.clone()),
            Some((name, tensor)) if tensor.shape() != spec.shape => {
                misshapen.push(format!("{name} is {:?}, not {:?}", tensor.shape(), spec.shape));
            }
            Some((_, tensor)) => tensors.push(tensor.clone()),
        }
    }
    let unexpected: Vec<String> = state
        .iter()
        .filter(|(name, _)| !specs.iter().any(|spec| spec.name == *name))
        .map(|(name, _)| name.clone())
        .collect();
    let problems: Vec<String> =
        [("missing", missing), ("unexpected", unexpected), ("of the wrong shape", misshapen)]
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| list(what, names))
            .collect();
    if problems.is_empty() {
        Ok(tensors)
    } else {
        Err(NetworkError::StateMismatch { architecture: architecture.name(), problems })
    }
}

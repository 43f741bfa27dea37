//! A network as its layers: which function of which earlier layers, with which parameters.

use cure_tensor::ops::{Activation, Window};

/// What a parameter is, which decides how it is initialised and whether it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A convolution's or a linear layer's weights.
    Weight,
    /// The bias of a layer with this many inputs.
    Bias {
        /// Number of inputs of one output.
        fan_in: usize,
    },
    /// BatchNorm's γ.
    Scale,
    /// BatchNorm's β.
    Shift,
    /// BatchNorm's running mean; not trained.
    RunningMean,
    /// BatchNorm's running variance; not trained.
    RunningVariance,
}

impl Role {
    /// Whether an optimiser changes it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

/// Name, shape and role of a tensor in the state of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// The key in a state dictionary.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
}

#[derive(Clone, Debug)]
pub(crate) enum LayerKind {
    Input,
    Convolution { weight: usize, bias: Option<usize>, window: Window },
    Linear { weight: usize, bias: usize },
    BatchNormalization { scale: usize, shift: usize, mean: usize, variance: usize },
    Add,
    GlobalAverage,
    Subsample { stride: usize, channels: usize },
    Flatten,
}

#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) kind: LayerKind,
    pub(crate) inputs: Vec<usize>,
    pub(crate) activation: Option<Activation>,
}

/// The layers in order of evaluation and the parameters they name. The last layer gives logits.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) layers: Vec<Layer>,
    pub(crate) parameters: Vec<ParameterSpec>,
    /// Channels, height and width of each layer's output, by layer.
    shapes: Vec<[usize; 3]>,
}

/// A layer's index.
pub(crate) type Id = usize;

impl Layout {
    /// A layout of the input alone: layer 0.
    pub(crate) fn new(input: [usize; 3]) -> Self {
        let layer = Layer { kind: LayerKind::Input, inputs: Vec::new(), activation: None };
        Self { layers: vec![layer], parameters: Vec::new(), shapes: vec![input] }
    }

    pub(crate) fn shape(&self, id: Id) -> [usize; 3] {
        self.shapes[id]
    }

    /// Values an image of the largest layer.
    pub(crate) fn largest_layer(&self) -> usize {
        self.shapes.iter().map(|shape| shape.iter().product()).max().unwrap_or(0)
    }

    fn push(&mut self, kind: LayerKind, inputs: Vec<Id>, shape: [usize; 3]) -> Id {
        self.layers.push(Layer { kind, inputs, activation: None });
        self.shapes.push(shape);
        self.layers.len() - 1
    }

    fn parameter(&mut self, name: String, shape: Vec<usize>, role: Role) -> usize {
        self.parameters.push(ParameterSpec { name, shape, role });
        self.parameters.len() - 1
    }

    /// A square convolution; `bias` adds `name.bias`.
    pub(crate) fn convolution(
        &mut self,
        name: &str,
        input: Id,
        channels: usize,
        side: usize,
        window: Window,
        bias: bool,
    ) -> Id {
        let [c, h, w] = self.shape(input);
        let weight =
            self.parameter(format!("{name}.weight"), vec![channels, c, side, side], Role::Weight);
        let fan_in = c * side * side;
        let bias = bias
            .then(|| self.parameter(format!("{name}.bias"), vec![channels], Role::Bias { fan_in }));
        // A plane too small for the kernel is refused when images arrive, with their shapes.
        let extent = |size: usize| {
            (size + 2 * window.padding).saturating_sub(side) / window.stride.max(1) + 1
        };
        let shape = [channels, extent(h), extent(w)];
        self.push(LayerKind::Convolution { weight, bias, window }, vec![input], shape)
    }

    pub(crate) fn batch_norm(&mut self, name: &str, input: Id) -> Id {
        let shape = self.shape(input);
        let channels = vec![shape[0]];
        let scale = self.parameter(format!("{name}.weight"), channels.clone(), Role::Scale);
        let shift = self.parameter(format!("{name}.bias"), channels.clone(), Role::Shift);
        let mean =
            self.parameter(format!("{name}.running_mean"), channels.clone(), Role::RunningMean);
        let variance =
            self.parameter(format!("{name}.running_var"), channels, Role::RunningVariance);
        let kind = LayerKind::BatchNormalization { scale, shift, mean, variance };
        self.push(kind, vec![input], shape)
    }

    pub(crate) fn linear(&mut self, name: &str, input: Id, outputs: usize) -> Id {
        let fan_in = self.shape(input)[0];
        let weight = self.parameter(format!("{name}.weight"), vec![outputs, fan_in], Role::Weight);
        let bias = self.parameter(format!("{name}.bias"), vec![outputs], Role::Bias { fan_in });
        self.push(LayerKind::Linear { weight, bias }, vec![input], [outputs, 1, 1])
    }

    /// Applies a non-linearity to a layer's result, in place: nothing else reads it without.
    pub(crate) fn activate(&mut self, id: Id, activation: Activation) -> Id {
        self.layers[id].activation = Some(activation);
        id
    }

    pub(crate) fn add(&mut self, a: Id, b: Id) -> Id {
        let shape = self.shape(a);
        self.push(LayerKind::Add, vec![a, b], shape)
    }

    pub(crate) fn subsample(&mut self, input: Id, stride: usize, channels: usize) -> Id {
        let [_, h, w] = self.shape(input);
        let shape = [channels, h.div_ceil(stride), w.div_ceil(stride)];
        self.push(LayerKind::Subsample { stride, channels }, vec![input], shape)
    }

    pub(crate) fn global_average(&mut self, input: Id) -> Id {
        let [c, _, _] = self.shape(input);
        self.push(LayerKind::GlobalAverage, vec![input], [c, 1, 1])
    }

    pub(crate) fn flatten(&mut self, input: Id) -> Id {
        let [c, h, w] = self.shape(input);
        self.push(LayerKind::Flatten, vec![input], [c * h * w, 1, 1])
    }
}

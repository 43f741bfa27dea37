//! A network with its parameters put in: the primitives to run, in order. Two are made of each
//! network: one with fixed statistics, where BatchNorm is folded into the convolution before it
//! and additions and ReLUs into the convolution that ends them; and one with BatchNorm over the
//! batch, for training.

use cure_tensor::ops::{Activation, Kernel, Window};
use cure_tensor::{Numbers, Tensor};

use crate::error::Result;
use crate::layout::{Id, Layer, LayerKind, Layout};
use crate::primitive::{
    Add, Affine, BatchNormalization, Convolution, Flatten, GlobalAverage, Primitive, Subsample,
};
use crate::ranks::Ranks;
use crate::source::Source;

/// PyTorch's default ε of BatchNorm.
pub(crate) const EPSILON: f64 = 1e-5;

pub(crate) struct Node {
    /// `None` for the input.
    pub(crate) primitive: Option<Box<dyn Primitive>>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) activation: Option<Activation>,
    /// Which parameters of the network its own parameters come from.
    pub(crate) source: Source,
}

/// The nodes in order of evaluation; the last gives logits.
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
    /// For each node, the first and the last node that read its value.
    pub(crate) first_use: Vec<usize>,
    pub(crate) last_use: Vec<usize>,
    /// For each node, whether it or one before it has parameters.
    pub(crate) trained: Vec<bool>,
    /// Number of tensors in the network's state.
    pub(crate) parameters: usize,
    /// Whether the pull back itself has a derivative: a smooth σ, or statistics of the batch.
    pub(crate) is_curved: bool,
}

/// A layer on its way to becoming a node.
struct Draft {
    layer: Layer,
    /// The batch normalisation folded into it: indices of scale, shift, mean and variance.
    folded: Option<[usize; 4]>,
    /// The node that took this one in, once one did.
    merged_into: Option<Id>,
}

impl Program {
    /// BatchNorm with its running statistics, folded; additions and activations fused.
    pub(crate) fn frozen(
        layout: &Layout,
        tensors: &[Tensor],
        mean_std: Option<Affine>,
    ) -> Result<Self> {
        let mut drafts = drafts(layout);
        let readers = readers(layout);
        for id in 0..drafts.len() {
            let (inputs, activation) =
                (drafts[id].layer.inputs.clone(), drafts[id].layer.activation);
            let foldable = |drafts: &[Draft], id: Id| {
                let draft = &drafts[id];
                readers[id] == 1
                    && draft.layer.activation.is_none()
                    && matches!(draft.layer.kind, LayerKind::Convolution { .. })
            };
            match drafts[id].layer.kind {
                LayerKind::BatchNormalization { scale, shift, mean, variance }
                    if foldable(&drafts, inputs[0]) =>
                {
                    let convolution = &mut drafts[inputs[0]];
                    convolution.folded = Some([scale, shift, mean, variance]);
                    convolution.layer.activation = activation;
                    drafts[id].merged_into = Some(inputs[0]);
                }
                LayerKind::Add => {
                    let [target, other] = [0, 1].map(|i| resolve(&drafts, inputs[i]));
                    // The other summand must be there when the convolution ends.
                    let ends_it = other < target
                        && matches!(drafts[target].layer.kind, LayerKind::Convolution { .. })
                        && drafts[target].layer.activation.is_none()
                        && drafts[target].layer.inputs.len() == 1
                        && readers[inputs[0]] == 1;
                    if ends_it {
                        drafts[target].layer.inputs.push(other);
                        drafts[target].layer.activation = activation;
                        drafts[id].merged_into = Some(target);
                    }
                }
                _ => {}
            }
        }
        assemble(layout, tensors, mean_std, drafts, Statistics::Running)
    }

    /// BatchNorm over the batch, which `ranks` share.
    pub(crate) fn training(
        layout: &Layout,
        tensors: &[Tensor],
        mean_std: Option<Affine>,
        ranks: &Ranks,
    ) -> Result<Self> {
        assemble(layout, tensors, mean_std, drafts(layout), Statistics::Batch(ranks))
    }
}

/// What BatchNorm normalises with.
#[derive(Clone, Copy)]
enum Statistics<'a> {
    Running,
    Batch(&'a Ranks),
}

fn drafts(layout: &Layout) -> Vec<Draft> {
    let draft = |layer: &Layer| Draft { layer: layer.clone(), folded: None, merged_into: None };
    layout.layers.iter().map(draft).collect()
}

/// How many layers read each layer.
fn readers(layout: &Layout) -> Vec<usize> {
    let mut readers = vec![0; layout.layers.len()];
    layout.layers.iter().flat_map(|layer| &layer.inputs).for_each(|&id| readers[id] += 1);
    readers
}

/// The layer that computes what `id` stands for.
fn resolve(drafts: &[Draft], mut id: Id) -> Id {
    while let Some(next) = drafts[id].merged_into {
        id = next;
    }
    id
}

fn assemble(
    layout: &Layout,
    tensors: &[Tensor],
    mean_std: Option<Affine>,
    drafts: Vec<Draft>,
    statistics: Statistics<'_>,
) -> Result<Program> {
    let input = Node { primitive: None, inputs: vec![], activation: None, source: Source::Nothing };
    let mut nodes = vec![input];
    if let Some(affine) = mean_std {
        nodes.push(Node {
            primitive: Some(Box::new(affine)),
            inputs: vec![0],
            activation: None,
            source: Source::Nothing,
        });
    }
    let mut node_of = vec![nodes.len() - 1; drafts.len()];
    let mut is_curved = false;
    for id in 1..drafts.len() {
        let draft = &drafts[id];
        if draft.merged_into.is_some() {
            continue;
        }
        let inputs = draft.layer.inputs.iter().map(|&id| node_of[resolve(&drafts, id)]).collect();
        let (primitive, source) = realise(&draft.layer.kind, draft.folded, tensors, statistics)?;
        is_curved |= draft.layer.activation.is_some_and(Activation::is_smooth)
            || matches!(source, Source::BatchStatistics { .. });
        node_of[id] = nodes.len();
        nodes.push(Node {
            primitive: Some(primitive),
            inputs,
            activation: draft.layer.activation,
            source,
        });
    }
    let mut last_use: Vec<usize> = (0..nodes.len()).collect();
    let mut first_use = last_use.clone();
    for (id, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&input| last_use[input] = id);
    }
    for (id, node) in nodes.iter().enumerate().rev() {
        node.inputs.iter().for_each(|&input| first_use[input] = id);
    }
    let mut trained: Vec<bool> = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let before = node.inputs.iter().any(|&input| trained[input]);
        trained.push(before || !matches!(node.source, Source::Nothing));
    }
    Ok(Program {
        nodes,
        first_use,
        last_use,
        trained,
        parameters: layout.parameters.len(),
        is_curved,
    })
}

/// The primitive of a layer, with its parameters in it.
fn realise(
    kind: &LayerKind,
    folded: Option<[usize; 4]>,
    tensors: &[Tensor],
    statistics: Statistics<'_>,
) -> Result<(Box<dyn Primitive>, Source)> {
    Ok(match *kind {
        LayerKind::Convolution { weight, bias, window } => match folded {
            None => (
                Box::new(Convolution {
                    kernel: Kernel::new(tensors[weight].clone()),
                    bias: bias.map(|bias| tensors[bias].clone()),
                    window,
                }),
                Source::Convolution { weight, bias },
            ),
            Some(norm) => {
                let source = Source::folded(weight, bias, norm, tensors);
                let (kernel, bias) = source.fold(tensors)?;
                (
                    Box::new(Convolution { kernel: Kernel::new(kernel), bias: Some(bias), window }),
                    source,
                )
            }
        },
        LayerKind::Linear { weight, bias } => {
            let shape = tensors[weight].shape();
            let kernel = tensors[weight].clone().reshape(&[shape[0], shape[1], 1, 1])?;
            (
                Box::new(Convolution {
                    kernel: Kernel::new(kernel),
                    bias: Some(tensors[bias].clone()),
                    window: Window::new(1, 0),
                }),
                Source::Linear { weight, bias },
            )
        }
        LayerKind::BatchNormalization { scale, shift, mean, variance } => match statistics {
            Statistics::Batch(ranks) => (
                Box::new(BatchNormalization {
                    scale: Numbers::of(&tensors[scale]),
                    shift: Numbers::of(&tensors[shift]),
                    epsilon: EPSILON,
                    ranks: ranks.clone(),
                }),
                Source::BatchStatistics { scale, shift },
            ),
            Statistics::Running => {
                let source = Source::fixed_statistics([scale, shift, mean, variance], tensors);
                let (scale, shift) = source.affine(tensors);
                (Box::new(Affine { scale, shift }), source)
            }
        },
        LayerKind::Add => (Box::new(Add), Source::Nothing),
        LayerKind::GlobalAverage => (Box::new(GlobalAverage), Source::Nothing),
        LayerKind::Subsample { stride, channels } => {
            (Box::new(Subsample { stride, channels }), Source::Nothing)
        }
        LayerKind::Flatten | LayerKind::Input => (Box::new(Flatten), Source::Nothing),
    })
}

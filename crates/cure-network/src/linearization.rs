//! f(x + v) ≈ f(x) + J v: a network at a point, ready for every derivative there.

use std::cell::OnceCell;

use cure_tensor::ops::{self, Activation};
use cure_tensor::{Numbers, Tensor};

use crate::error::Result;
use crate::network::Gradients;
use crate::primitive::{At, Kept, Second};
use crate::program::{Node, Program};

/// A network's values at a batch of images, kept for its derivatives. One forward pass; every
/// method reuses it. A clone shares the memory.
#[derive(Clone)]
pub struct Linearization<'a> {
    program: &'a Program,
    tensors: &'a [Tensor],
    tape: Tape,
    logits: Tensor,
}

/// What a forward pass keeps.
#[derive(Clone)]
struct Tape {
    /// Value of each node after its activation.
    values: Vec<Tensor>,
    /// Value before the activation, where that is smooth and its derivatives need it.
    before: Vec<Option<Tensor>>,
    kept: Vec<Kept>,
}

impl Tape {
    fn inputs(&self, node: &Node) -> Vec<&Tensor> {
        node.inputs.iter().map(|&input| &self.values[input]).collect()
    }

    /// Lets a node's memory go.
    fn forget(&mut self, id: usize) {
        self.values[id] = Tensor::zeros(&[0]);
        self.before[id] = None;
    }
}

/// The statistics of a batch at every batch normalisation, in order of evaluation.
pub struct BatchStatistics(pub(crate) Vec<Moments>);

/// Of one batch normalisation.
#[derive(Clone)]
pub(crate) struct Moments {
    pub(crate) mean: Numbers,
    /// Biased.
    pub(crate) variance: Numbers,
    /// Values that they were taken over.
    pub(crate) count: usize,
}

/// The first-order adjoint of a linearization: what arrived at every node, and the gradient that
/// arrived at the images. A clone shares the memory.
#[derive(Clone)]
pub struct Adjoint {
    /// At each node, before its activation.
    at_node: Vec<Option<Tensor>>,
    /// At each node after its activation, where that is smooth.
    after: Vec<Option<Tensor>>,
    input: Tensor,
}

impl Adjoint {
    fn forget(&mut self, id: usize) {
        self.at_node[id] = None;
        self.after[id] = None;
    }

    /// Jᵀu: `[N, C, H, W]`.
    pub fn input(&self) -> &Tensor {
        &self.input
    }
}

/// The tangent of a linearization: ȧ at every node for a direction of the input. A clone shares the
/// memory.
#[derive(Clone)]
pub struct Tangent {
    /// At each node, after its activation.
    at_node: Vec<Tensor>,
    /// Before the activation, where that is smooth.
    before: Vec<Option<Tensor>>,
    logits: Tensor,
}

impl Tangent {
    fn forget(&mut self, id: usize) {
        self.at_node[id] = Tensor::zeros(&[0]);
        self.before[id] = None;
    }

    /// J v: `[N, K]`.
    pub fn logits(&self) -> &Tensor {
        &self.logits
    }
}

/// What a pull back is for: decides what is computed and what is kept.
struct Purpose {
    second: Option<(Adjoint, Tangent)>,
    keep: bool,
    parameters: bool,
    input: bool,
}

struct Pulled {
    adjoint: Adjoint,
    gradients: Vec<Option<Tensor>>,
}

fn logits_of(value: &Tensor) -> Result<Tensor> {
    let shape = value.shape();
    let (classes, samples) = (shape[0], shape[1]);
    Ok(ops::sample_major(value)?.reshape(&[samples, classes])?)
}

fn seed_of(u: &Tensor) -> Result<Tensor> {
    let shape = u.shape();
    let (samples, classes) = (shape[0], shape[1]);
    Ok(ops::channel_major(&u.clone().reshape(&[samples, classes, 1, 1])?)?)
}

fn smooth(node: &Node) -> Option<Activation> {
    node.activation.filter(|activation| activation.is_smooth())
}

/// Runs one node's primitive and activation.
fn evaluate(node: &Node, inputs: &[&Tensor]) -> Result<(Tensor, Option<Tensor>, Kept)> {
    let Some(primitive) = &node.primitive else {
        return Ok((inputs[0].clone(), None, Kept::Nothing));
    };
    let (value, kept) = primitive.value(inputs, node.activation == Some(Activation::Relu))?;
    Ok(match smooth(node) {
        Some(activation) => (ops::activate(activation, value.clone()), Some(value), kept),
        None => (value, None, kept),
    })
}

/// The logits alone, `[N, K]`, forgetting every value after its last use.
pub(crate) fn logits(program: &Program, images: &Tensor) -> Result<Tensor> {
    let mut values: Vec<Option<Tensor>> = vec![Some(ops::channel_major(images)?)];
    for (id, node) in program.nodes.iter().enumerate().skip(1) {
        let value = {
            let inputs: Vec<&Tensor> =
                node.inputs.iter().filter_map(|&input| values[input].as_ref()).collect();
            evaluate(node, &inputs)?.0
        };
        for &input in &node.inputs {
            if program.last_use[input] == id {
                values[input] = None;
            }
        }
        values.push(Some(value));
    }
    match values.pop().flatten() {
        Some(last) => logits_of(&last),
        None => Ok(Tensor::zeros(&[0, 0])),
    }
}

impl<'a> Linearization<'a> {
    /// `images`: `[N, C, H, W]`, already checked against the network's input.
    pub(crate) fn new(
        program: &'a Program,
        tensors: &'a [Tensor],
        images: &Tensor,
    ) -> Result<Self> {
        let count = program.nodes.len();
        let mut values = Vec::with_capacity(count);
        let (mut before, mut kept) = (vec![None], vec![Kept::Nothing]);
        values.push(ops::channel_major(images)?);
        for node in &program.nodes[1..] {
            let inputs: Vec<&Tensor> = node.inputs.iter().map(|&input| &values[input]).collect();
            let (value, pre, keep) = evaluate(node, &inputs)?;
            values.push(value);
            before.push(pre);
            kept.push(keep);
        }
        let logits = logits_of(&values[count - 1])?;
        Ok(Self { program, tensors, tape: Tape { values, before, kept }, logits })
    }

    /// f(x): `[N, K]`.
    pub fn logits(&self) -> &Tensor {
        &self.logits
    }

    /// What [`Network::update_running_statistics`](crate::Network::update_running_statistics) takes; nothing
    /// with fixed statistics.
    pub fn batch_statistics(&self) -> BatchStatistics {
        let moments = |kept: &Kept| match kept {
            Kept::Moments(moments) => Some(moments.clone()),
            Kept::Nothing => None,
        };
        BatchStatistics(self.tape.kept.iter().filter_map(moments).collect())
    }

    /// Jᵀu, `[N, C, H, W]`, for `u` `[N, K]`. No weight gradient is computed.
    ///
    /// # Errors
    /// If `u` does not have the shape of the logits.
    pub fn pullback(&self, u: &Tensor) -> Result<Tensor> {
        let purpose = Purpose { second: None, keep: false, parameters: false, input: true };
        Ok(self.clone().pull(u, purpose)?.adjoint.input)
    }

    /// Jᵀu with what arrived at every layer, which second order needs.
    ///
    /// # Errors
    /// If `u` does not have the shape of the logits.
    pub fn adjoint(&self, u: &Tensor) -> Result<Adjoint> {
        let purpose = Purpose { second: None, keep: true, parameters: false, input: true };
        Ok(self.clone().pull(u, purpose)?.adjoint)
    }

    /// The gradient of ⟨u, f(x; θ)⟩ with respect to every parameter. Memory is let go as it is used up.
    ///
    /// # Errors
    /// If `u` does not have the shape of the logits.
    pub fn parameter_gradient(self, u: &Tensor) -> Result<Gradients> {
        let purpose = Purpose { second: None, keep: false, parameters: true, input: false };
        Ok(Gradients::new(self.pull(u, purpose)?.gradients))
    }

    /// [`Linearization::parameter_gradient`] with Jᵀu, `[N, C, H, W]`, from one pull back.
    ///
    /// # Errors
    /// If `u` does not have the shape of the logits.
    pub fn parameter_and_input_gradient(self, u: &Tensor) -> Result<(Gradients, Tensor)> {
        let purpose = Purpose { second: None, keep: false, parameters: true, input: true };
        let pulled = self.pull(u, purpose)?;
        Ok((Gradients::new(pulled.gradients), pulled.adjoint.input))
    }

    /// J v, `[N, K]`, for `v` `[N, C, H, W]`.
    ///
    /// # Errors
    /// If `v` does not have the shape of the images.
    pub fn pushforward(&self, v: &Tensor) -> Result<Tensor> {
        Ok(self.tangent(v)?.logits)
    }

    /// J v with the tangent of every layer, which second order needs.
    ///
    /// # Errors
    /// If `v` does not have the shape of the images.
    pub fn tangent(&self, v: &Tensor) -> Result<Tangent> {
        let count = self.program.nodes.len();
        let mut at_node: Vec<Tensor> = Vec::with_capacity(count);
        let mut before = vec![None];
        at_node.push(ops::channel_major(v)?);
        for (id, node) in self.program.nodes.iter().enumerate().skip(1) {
            let Some(primitive) = &node.primitive else { continue };
            let inputs = self.tape.inputs(node);
            let at = At { inputs: &inputs, kept: &self.tape.kept[id] };
            let tangents: Vec<&Tensor> = node.inputs.iter().map(|&input| &at_node[input]).collect();
            let tangent = primitive.tangent(&at, &tangents, self.relu_mask(id))?;
            match (node.activation, &self.tape.before[id]) {
                (Some(activation), Some(a)) => {
                    before.push(Some(tangent.clone()));
                    at_node.push(ops::activation_pullback(activation, a, tangent)?);
                }
                _ => {
                    before.push(None);
                    at_node.push(tangent);
                }
            }
        }
        let logits = logits_of(&at_node[count - 1])?;
        Ok(Tangent { at_node, before, logits })
    }

    /// The second-order pull back: for the adjoint of `u` and the tangent along `v`, and
    /// `mu` = the derivative of `u` along `v`, the derivative of Jᵀu along `v`. With u = p − y and
    /// mu = (diag p − ppᵀ) J v it is the Hessian-vector product H v of the cross-entropy.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn second_order_pullback(
        &self,
        adjoint: &Adjoint,
        tangent: &Tangent,
        mu: &Tensor,
    ) -> Result<Tensor> {
        let second = Some((adjoint.clone(), tangent.clone()));
        let purpose = Purpose { second, keep: false, parameters: false, input: true };
        Ok(self.clone().pull(mu, purpose)?.adjoint.input)
    }

    /// The derivative along `v` of the gradient of ⟨u, f⟩ with respect to every parameter, that
    /// is ∇_θ⟨v, Jᵀu⟩ where u is a function of the logits with derivative `mu` along `v`.
    /// Arguments as in [`Linearization::second_order_pullback`]. The pull back is linear in `mu`:
    /// adding a first-order seed to it adds that seed's [`Linearization::parameter_gradient`]. Memory is let
    /// go as it is used up.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn second_order_parameter_gradient(
        self,
        adjoint: Adjoint,
        tangent: Tangent,
        mu: &Tensor,
    ) -> Result<Gradients> {
        let second = Some((adjoint, tangent));
        let purpose = Purpose { second, keep: false, parameters: true, input: false };
        Ok(Gradients::new(self.pull(mu, purpose)?.gradients))
    }

    /// H v of each sample's cross-entropy: exact, by the R-operator.
    ///
    /// # Errors
    /// If `v` does not have the shape of the images or a label is no class.
    pub fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> Result<Tensor> {
        let loss = ops::cross_entropy(&self.logits, labels)?;
        let tangent = self.tangent(v)?;
        let mu = ops::softmax_covariance(&loss.probabilities, tangent.logits())?;
        if self.program.is_curved {
            let adjoint = self.adjoint(&loss.residual)?;
            self.second_order_pullback(&adjoint, &tangent, &mu)
        } else {
            // Piecewise linear: H = Jᵀ(diag p − ppᵀ)J.
            self.pullback(&mu)
        }
    }

    /// One pass from the logits back, of first order or, with `purpose.second`, of second.
    fn pull(mut self, seed: &Tensor, mut purpose: Purpose) -> Result<Pulled> {
        let nodes = &self.program.nodes;
        let count = nodes.len();
        if seed.shape() != self.logits.shape() {
            return Err(cure_tensor::TensorError::ShapeMismatch {
                operation: "pull back",
                expected: format!("{:?}, as the logits", self.logits.shape()),
                found: seed.shape().to_vec(),
            }
            .into());
        }
        let mut arriving: Vec<Option<Tensor>> = vec![None; count];
        // Whether what arrived has already passed the node's ReLU.
        let mut passed = vec![false; count];
        let (mut at_node, mut after) = (vec![None; count], vec![None; count]);
        let mut gradients = vec![None; self.program.parameters];
        arriving[count - 1] = Some(seed_of(seed)?);
        for (id, node) in nodes.iter().enumerate().skip(1).rev() {
            let (Some(primitive), Some(g)) = (&node.primitive, arriving[id].take()) else {
                continue;
            };
            if purpose.keep && smooth(node).is_some() {
                after[id] = Some(g.clone());
            }
            let g = if passed[id] { g } else { self.through_activation(id, node, g, &purpose)? };
            let inputs = self.tape.inputs(node);
            let at = At { inputs: &inputs, kept: &self.tape.kept[id] };
            // The tangents of the inputs, once, if this pass is of second order.
            let tangents = OnceCell::new();
            let second = purpose.second.as_ref().and_then(|(adjoint, tangent)| {
                let tangents: &Vec<&Tensor> = tangents.get_or_init(|| {
                    node.inputs.iter().map(|&input| &tangent.at_node[input]).collect()
                });
                Some(Second { tangents, lambda: adjoint.at_node[id].as_ref()? })
            });
            if purpose.parameters {
                let own = primitive.parameter_gradient(&at, &g, second.as_ref())?;
                node.source.deposit(own, self.tensors, &mut gradients)?;
            }
            if purpose.input || node.inputs.iter().any(|&input| self.program.trained[input]) {
                let target = node.inputs[0];
                // The last contribution takes the sum of the others and the ReLU with it.
                let is_last =
                    self.program.first_use[target] == id && !node.inputs[1..].contains(&target);
                let mask = if is_last { self.relu_mask(target) } else { None };
                let sum = arriving[target].clone();
                let pulled = match primitive.fused_pullback(&at, &g, sum.as_ref(), mask) {
                    Some(pulled) => {
                        arriving[target] = None;
                        passed[target] = mask.is_some();
                        pulled?
                    }
                    None => match &second {
                        Some(second) => primitive.second_order(&at, second, &g)?,
                        None => primitive.pullback(&at, &g)?,
                    },
                };
                drop(sum);
                for (&input, part) in node.inputs.iter().zip(pulled) {
                    arriving[input] = Some(match arriving[input].take() {
                        Some(sum) => ops::add(sum, &part)?,
                        None => part,
                    });
                }
            }
            if purpose.keep {
                at_node[id] = Some(g);
            }
            // Nodes before this one do not read it.
            self.tape.forget(id);
            if let Some((adjoint, tangent)) = &mut purpose.second {
                adjoint.forget(id);
                tangent.forget(id);
            }
        }
        let input = match arriving[0].take() {
            Some(input) => ops::sample_major(&input)?,
            None => Tensor::zeros(&[0]),
        };
        Ok(Pulled { adjoint: Adjoint { at_node, after, input }, gradients })
    }

    /// A node's value, if a ReLU made it: its derivative is 1 where this is over zero.
    fn relu_mask(&self, id: usize) -> Option<&Tensor> {
        let is_relu = self.program.nodes[id].activation == Some(Activation::Relu);
        is_relu.then(|| &self.tape.values[id])
    }

    fn through_activation(
        &self,
        id: usize,
        node: &Node,
        g: Tensor,
        purpose: &Purpose,
    ) -> Result<Tensor> {
        let Some(activation) = node.activation else { return Ok(g) };
        let at = self.tape.before[id].as_ref().unwrap_or(&self.tape.values[id]);
        if let Some((adjoint, tangent)) = &purpose.second
            && let (Some(tangent), Some(lambda)) = (&tangent.before[id], &adjoint.after[id])
        {
            return Ok(ops::activation_second_order(activation, at, tangent, lambda, g)?);
        }
        Ok(ops::activation_pullback(activation, at, g)?)
    }
}

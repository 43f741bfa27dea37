use cure_network::{Linearized, Result};
use cure_tensor::torch::{self, Made};
use cure_tensor::{Tensor, TensorError, ops};
use tch::Kind;

use crate::script::Script;

/// The length in pixels of the steps of central differences.
const STEP: f64 = 1e-2;

/// A module at a batch of images, with autograd's graph from these to the logits.
pub(crate) struct Here<'a> {
    script: &'a Script,
    x: tch::Tensor,
    output: tch::Tensor,
    logits: Tensor,
}

/// The gradient of a number with respect to `x`.
fn gradient(value: &tch::Tensor, x: &tch::Tensor, create_graph: bool) -> Made {
    // Of what does not depend on it, or in no way that has a derivative. (Autograd itself does not survive it.)
    if !value.requires_grad() {
        return x.f_zeros_like();
    }
    let mut found = tch::Tensor::f_run_backward(&[value], &[x], true, create_graph)?;
    match found.pop() {
        Some(gradient) if gradient.defined() => Ok(gradient),
        _ => x.f_zeros_like(),
    }
}

fn dot(a: &tch::Tensor, b: &tch::Tensor) -> Made {
    a.f_mul(b)?.f_sum(Kind::Float)
}

/// Σ ℓ, the cross-entropies of a batch.
fn cross_entropy(logits: &tch::Tensor, labels: &[usize]) -> Made {
    let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let labels = torch::upload(&labels)?.f_view([-1, 1])?;
    // In f64: what a sure network leaves of ℓ's derivatives is lost in f32.
    logits
        .f_to_kind(Kind::Double)?
        .f_log_softmax(1, Kind::Double)?
        .f_gather(1, &labels, false)?
        .f_sum(Kind::Double)?
        .f_neg()
}

fn along(x: &tch::Tensor, length: f64, direction: &tch::Tensor) -> Made {
    x.f_add(&direction.f_mul_scalar(length)?)
}

impl<'a> Here<'a> {
    pub(crate) fn new(script: &'a Script, images: &Tensor) -> Result<Self> {
        let found = || {
            let x = torch::values(images)?.f_detach()?.f_set_requires_grad(true)?;
            let output = script.forward(&x)?;
            let logits = output.f_detach()?;
            Ok((x, output, logits))
        };
        let (x, output, logits) = found().map_err(|cause| torch::error("the module", &cause))?;
        Ok(Self { script, x, output, logits: torch::tensor("the module", Ok(logits))? })
    }

    fn check(&self, given: &Tensor, expected: &[usize]) -> Result<()> {
        if given.shape() == expected {
            return Ok(());
        }
        Err(TensorError::ShapeMismatch {
            operation: "derivative of a module",
            expected: format!("{expected:?}"),
            found: given.shape().to_vec(),
        }
        .into())
    }

    fn image_shape(&self) -> [usize; 4] {
        let [c, h, w] = self.script.input();
        [self.logits.shape()[0], c, h, w]
    }

    /// Whether the logits depend on the pixels in a way that has a derivative.
    pub(crate) fn has_gradient(&self) -> bool {
        self.output.requires_grad()
    }

    /// J v by the derivative of Jᵀu, which is linear in u, with respect to u.
    pub(crate) fn exact_pushforward(&self, v: &tch::Tensor) -> Made {
        let u = self.output.f_zeros_like()?.f_set_requires_grad(true)?;
        let pulled = gradient(&dot(&self.output, &u)?, &self.x, true)?;
        gradient(&dot(&pulled, v)?, &u, false)
    }

    pub(crate) fn exact_hessian_vector(&self, labels: &[usize], v: &tch::Tensor) -> Made {
        let loss = cross_entropy(&self.output, labels)?;
        let pulled = gradient(&loss, &self.x, true)?;
        gradient(&dot(&pulled, v)?, &self.x, false)
    }

    /// (f(x + hd) − f(x − hd))/2h·‖v‖, d = v/‖v‖ image by image.
    fn differences(&self, v: &Tensor, of: impl Fn(&tch::Tensor) -> Made) -> Result<Tensor> {
        let lengths = ops::sample_l2(v)?;
        let direction = ops::normalised(v)?;
        let found = || {
            let direction = torch::values(&direction)?;
            let [over, under] =
                [STEP, -STEP].map(|step| along(&self.x.f_detach()?, step, &direction));
            of(&over?)?.f_sub(&of(&under?)?)
        };
        let difference = torch::tensor("central differences of the module", found())?;
        let factors: Vec<f32> =
            lengths.iter().map(|length| (length / (2.0 * STEP)) as f32).collect();
        Ok(ops::scale_samples(&difference, &factors)?)
    }
}

impl Linearized for Here<'_> {
    fn logits(&self) -> &Tensor {
        &self.logits
    }

    fn pullback(&self, u: &Tensor) -> Result<Tensor> {
        self.check(u, self.logits.shape())?;
        let found = || gradient(&dot(&self.output, &torch::values(u)?)?, &self.x, false);
        Ok(torch::tensor("the module's backward pass", found())?)
    }

    fn pushforward(&self, v: &Tensor) -> Result<Tensor> {
        self.check(v, &self.image_shape())?;
        if !self.script.is_exact() {
            return self.differences(v, |x| tch::no_grad(|| self.script.forward(x)));
        }
        let found = || self.exact_pushforward(&torch::values(v)?);
        Ok(torch::tensor("the module's second backward pass", found())?)
    }

    fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> Result<Tensor> {
        self.check(v, &self.image_shape())?;
        let [samples, classes] = [self.logits.shape()[0], self.logits.shape()[1]];
        if labels.len() != samples || labels.iter().any(|&label| label >= classes) {
            return Err(TensorError::Argument {
                operation: "hessian_vector",
                argument: "labels",
                value: format!("{labels:?}"),
                accepted: format!("{samples} below {classes}"),
            }
            .into());
        }
        if !self.script.is_exact() {
            return self.differences(v, |x| {
                let x = x.f_detach()?.f_set_requires_grad(true)?;
                gradient(&cross_entropy(&self.script.forward(&x)?, labels)?, &x, false)
            });
        }
        let found = || self.exact_hessian_vector(labels, &torch::values(v)?);
        Ok(torch::tensor("the module's second backward pass", found())?)
    }
}

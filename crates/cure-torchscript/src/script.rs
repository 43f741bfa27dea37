use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cure_network::{Classifier, Linearized, NetworkError, Normalization, Result};
use cure_tensor::Tensor;
use cure_tensor::torch::{self, Made};
use tch::{CModule, IValue, Kind, TchError};

use crate::check::{self, Differentiable};
use crate::derivatives::Here;
use crate::error::ScriptError;

/// A TorchScript module, with what is done to pixels before it.
pub struct Script {
    module: Mutex<CModule>,
    normalization: Normalization,
    input: [usize; 3],
    classes: usize,
    differentiable: Differentiable,
}

impl Script {
    /// Reads a module that takes images of `input` (channels, height, width) and gives logits, on the device of
    /// the process. `normalization` comes before it; none where it is inside.
    ///
    /// The module is put in eval mode, and tried on two images: their logits must not depend on each other or
    /// differ from one call to the next.
    ///
    /// # Errors
    /// If there is no such module in the file, or it does not give `[N, K]` logits, image by image.
    pub fn load(
        path: &Path,
        normalization: Option<Normalization>,
        input: [usize; 3],
    ) -> std::result::Result<Self, ScriptError> {
        let normalization = normalization.unwrap_or_else(|| Normalization::none(input[0]));
        normalization.check(input[0])?;
        let unreadable = |cause: tch::TchError| ScriptError::Unreadable {
            path: path.into(),
            reason: torch::reason(&cause),
        };
        // Its own derivatives of fused operations have no derivative in turn; a plain run has, and gives the
        // same numbers from the first call on.
        tch::jit::f_set_graph_executor_optimize(false).map_err(unreadable)?;
        let mut module = CModule::load_on_device(path, torch::place()).map_err(unreadable)?;
        module.f_set_eval().map_err(unreadable)?;
        let mut script = Self {
            module: Mutex::new(module),
            normalization,
            input,
            classes: 0,
            differentiable: Differentiable::Twice,
        };
        script.classes = check::classes(&script, path)?;
        script.differentiable = check::differentiable(&script)?;
        Ok(script)
    }

    /// What is done to pixels before the module.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Whether J v and H v are autograd's; central differences where an operation has no second derivative.
    pub fn is_exact(&self) -> bool {
        self.differentiable != Differentiable::Once
    }

    /// Whether its logits have a gradient in the pixels: those of a module that makes whole numbers of them, or that
    /// was made under `no_grad`, have none, and J and H are 0.
    pub fn has_gradient(&self) -> bool {
        self.differentiable != Differentiable::Never
    }

    /// The module's output for images in ATen's memory, whatever it is.
    pub(crate) fn output(&self, images: &tch::Tensor) -> Made<IValue> {
        let mut x = images.shallow_clone();
        if !self.normalization.is_identity() {
            let row = |values: &[f32]| -> Made {
                let shape = [1, values.len() as i64, 1, 1];
                torch::upload(values)?.f_view(shape)
            };
            x = x.f_sub(&row(&self.normalization.mean)?)?.f_div(&row(&self.normalization.std)?)?;
        }
        let module = self.module.lock().unwrap_or_else(PoisonError::into_inner);
        module.forward_is(&[IValue::Tensor(x)])
    }

    /// The logits of images in ATen's memory.
    pub(crate) fn forward(&self, images: &tch::Tensor) -> Made {
        match self.output(images)? {
            IValue::Tensor(logits) => logits.f_to_kind(Kind::Float),
            other => Err(TchError::Torch(format!("the module gives {}", check::described(&other)))),
        }
    }

    fn check(&self, images: &Tensor) -> Result<()> {
        match images.shape() {
            [_, c, h, w] if [*c, *h, *w] == self.input => Ok(()),
            found => Err(NetworkError::Images { expected: self.input, found: found.to_vec() }),
        }
    }

    pub(crate) fn input(&self) -> [usize; 3] {
        self.input
    }
}

impl Classifier for Script {
    fn classes(&self) -> usize {
        self.classes
    }

    fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        self.check(images)?;
        let _plain = tch::no_grad_guard();
        Ok(torch::tensor("the module", torch::values(images).and_then(|x| self.forward(&x)))?)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        self.check(images)?;
        Ok(Box::new(Here::new(self, images)?))
    }
}

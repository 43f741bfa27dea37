use cure_tensor::Tensor;
use cure_tensor::ops::{self, Activation, ChannelSum, Epilogue, Kernel, Window};

use super::{At, Kept, Primitive, Second};
use crate::error::Result;

/// y = W ⋆ x + b (+ r): a convolution, with a residual as its second input where there is one.
/// A fully connected layer is the case of 1×1 planes.
pub(crate) struct Convolution {
    pub(crate) kernel: Kernel,
    pub(crate) bias: Option<Tensor>,
    pub(crate) window: Window,
}

impl Convolution {
    fn adjoint(&self, at: &At<'_>, g: &Tensor, epilogue: Epilogue<'_>) -> Result<Vec<Tensor>> {
        let shape = at.inputs[0].shape();
        let plane = [shape[2], shape[3]];
        let through =
            ops::convolution_input_gradient(g, &self.kernel, self.window, plane, epilogue)?;
        Ok(if at.inputs.len() == 2 { vec![through, g.clone()] } else { vec![through] })
    }
}

impl Primitive for Convolution {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        let epilogue = Epilogue {
            bias: self.bias.as_ref(),
            residual: inputs.get(1).copied(),
            activation: relu.then_some(Activation::Relu),
            mask: None,
        };
        let value = ops::convolution(inputs[0], &self.kernel, self.window, epilogue)?;
        Ok((value, Kept::Nothing))
    }

    fn tangent(&self, _at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        let epilogue = Epilogue { residual: tangents.get(1).copied(), mask, ..Epilogue::default() };
        Ok(ops::convolution(tangents[0], &self.kernel, self.window, epilogue)?)
    }

    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        self.adjoint(at, g, Epilogue::default())
    }

    fn fused_pullback(
        &self,
        at: &At<'_>,
        g: &Tensor,
        sum: Option<&Tensor>,
        mask: Option<&Tensor>,
    ) -> Option<Result<Vec<Tensor>>> {
        Some(self.adjoint(at, g, Epilogue { residual: sum, mask, ..Epilogue::default() }))
    }

    /// Weight, then bias if there is one: ∂W = g xᵀ at first order, μ xᵀ + λ ẋᵀ at second.
    fn parameter_gradient(
        &self,
        at: &At<'_>,
        g: &Tensor,
        second: Option<&Second<'_>>,
    ) -> Result<Vec<Tensor>> {
        let mut pairs = vec![(at.inputs[0], g)];
        if let Some(second) = second {
            pairs.push((second.tangents[0], second.lambda));
        }
        let shape = self.kernel.shape();
        let weight = ops::convolution_weight_gradient(&pairs, shape, self.window)?;
        if self.bias.is_none() {
            return Ok(vec![weight]);
        }
        let [bias] = ops::channel_sums([ChannelSum::of(g)])?;
        Ok(vec![weight, bias.to_tensor()])
    }
}

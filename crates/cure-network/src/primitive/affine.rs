use cure_tensor::ops::{self, ChannelSum};
use cure_tensor::{Numbers, Tensor};

use super::{At, Kept, Primitive, Second, finish, masked};
use crate::error::Result;

/// y = s ⊙ x + t for each channel: input normalisation, and batch normalisation with fixed
/// statistics where no convolution comes before it to fold it into.
pub(crate) struct Affine {
    pub(crate) scale: Numbers,
    pub(crate) shift: Numbers,
}

impl Affine {
    fn linear(&self, x: &Tensor) -> Result<Tensor> {
        Ok(ops::channel_combination(&[(x, &self.scale)], None)?)
    }
}

impl Primitive for Affine {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        let value = ops::channel_combination(&[(inputs[0], &self.scale)], Some(&self.shift))?;
        Ok((finish(value, relu), Kept::Nothing))
    }

    fn tangent(&self, _at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(self.linear(tangents[0])?, mask)
    }

    fn pullback(&self, _at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.linear(g)?])
    }

    /// Scale, then shift: ∂s = Σ g x at first order, Σ (μ x + λ ẋ) at second; ∂t = Σ g.
    fn parameter_gradient(
        &self,
        at: &At<'_>,
        g: &Tensor,
        second: Option<&Second<'_>>,
    ) -> Result<Vec<Tensor>> {
        let (first, plain) = (ChannelSum::of(at.inputs[0]).times(g), ChannelSum::of(g));
        let [mut scale, shift] = ops::channel_sums([first, plain])?;
        if let Some(second) = second {
            let product = ChannelSum::of(second.tangents[0]).times(second.lambda);
            let [more] = ops::channel_sums([product])?;
            scale = scale + more;
        }
        Ok(vec![scale.to_tensor(), shift.to_tensor()])
    }
}

//! Linear maps without parameters: for all of them second order is the pull back.

use cure_tensor::Tensor;
use cure_tensor::ops;

use super::{At, Kept, Primitive, finish, masked};
use crate::error::Result;

/// y = a + b.
pub(crate) struct Add;

impl Primitive for Add {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        Ok((finish(ops::add(inputs[0].clone(), inputs[1])?, relu), Kept::Nothing))
    }

    fn tangent(&self, _at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(ops::add(tangents[0].clone(), tangents[1])?, mask)
    }

    fn pullback(&self, _at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![g.clone(), g.clone()])
    }
}

/// The mean of each plane.
pub(crate) struct GlobalAverage;

impl Primitive for GlobalAverage {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        Ok((finish(ops::global_average(inputs[0])?, relu), Kept::Nothing))
    }

    fn tangent(&self, _at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(ops::global_average(tangents[0])?, mask)
    }

    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        let shape = at.inputs[0].shape();
        Ok(vec![ops::global_average_transpose(g, shape[2], shape[3])?])
    }
}

/// The option-A shortcut: every `stride`-th pixel, new channels zero.
pub(crate) struct Subsample {
    pub(crate) stride: usize,
    pub(crate) channels: usize,
}

impl Primitive for Subsample {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        let value = ops::subsample(inputs[0], self.stride, self.channels)?;
        Ok((finish(value, relu), Kept::Nothing))
    }

    fn tangent(&self, _at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(ops::subsample(tangents[0], self.stride, self.channels)?, mask)
    }

    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        let shape = at.inputs[0].shape();
        Ok(vec![ops::subsample_transpose(g, self.stride, shape[0], shape[2], shape[3])?])
    }
}

/// Planes to features, in the order channel, row, column.
pub(crate) struct Flatten;

impl Primitive for Flatten {
    fn value(&self, inputs: &[&Tensor], relu: bool) -> Result<(Tensor, Kept)> {
        Ok((finish(ops::flatten(inputs[0])?, relu), Kept::Nothing))
    }

    fn tangent(&self, _at: &At<'_>, tangents: &[&Tensor], mask: Option<&Tensor>) -> Result<Tensor> {
        masked(ops::flatten(tangents[0])?, mask)
    }

    fn pullback(&self, at: &At<'_>, g: &Tensor) -> Result<Vec<Tensor>> {
        let shape = at.inputs[0].shape();
        Ok(vec![ops::unflatten(g, shape[0], shape[2], shape[3])?])
    }
}

//! Convolution (the cross-correlation of deep learning), its pull back to the input and its
//! weight gradient, tiled over one matrix product.
//!
//! The columns of a tile of output positions are gathered into cache ([`columns`]), multiplied
//! by the weights, and written out once with bias, residual and activation applied. Matrix
//! products are cut by us, along the channels, into inner lengths that the product does not
//! cut again: every output is then one fixed chain of additions, whatever the batch. 3×3 convolutions
//! of stride 1 take a quarter of the products, on transformed tiles ([`winograd`]), with the same
//! promise.

mod direct;
mod epilogue;
mod forward;
mod geometry;
mod input_gradient;
mod scratch;
mod tile;
mod weight_gradient;
mod winograd;

pub use epilogue::Epilogue;
pub use forward::convolution;
pub use geometry::{Kernel, Window};
pub use input_gradient::convolution_input_gradient;
pub use weight_gradient::convolution_weight_gradient;

fn path(geometry: &geometry::Geometry) -> &'static str {
    if winograd::applies(geometry) { "transformed" } else { "direct" }
}

#[cfg(test)]
mod tests;

//! Convolution (the cross-correlation of deep learning), its pull back to the input and its weight gradient.
//!
//! What the taps of a tile of output positions read is gathered into cache and multiplied by packed weights in
//! register tiles ([`direct`], [`tile`]); 3×3 convolutions take fewer products, a quarter of them
//! with stride 1, on transformed tiles ([`winograd`]). Results are written out once with bias, residual and activation applied.
//! Every output is one fixed chain of additions, whatever the batch, the threads and the vectors.

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

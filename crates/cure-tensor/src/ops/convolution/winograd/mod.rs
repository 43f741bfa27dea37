//! 3×3 convolutions of stride 1 by Winograd's F(4×4, 3×3): 36 products for a tile of 4×4 outputs
//! instead of 144.
//!
//! Tiles of 4×4 outputs are transformed in one dimension and then the other ([`points`]), side by
//! side in vectors ([`block`]); at each of the 36 points a product sums over input channels
//! ([`tile`](super::tile)). A block of tiles stays in cache from the transform of its inputs to that of its
//! outputs. Each tile's outputs are fixed chains of additions over its own inputs, whatever the batch.

mod block;
mod forward;
mod gradient;
mod kernel;
mod points;

pub(super) use forward::correlate;
pub(super) use gradient::weight_gradient;
#[cfg(test)]
pub(super) use gradient::{block_by_block, planes_first};
pub(super) use kernel::Packed;

use block::Tiling;

use super::super::machine::takes_plain_sums;
use super::geometry::{Geometry, Window};
use super::tile::CHANNELS;

/// Outputs of a tile, in one dimension.
const TILE: usize = 4;
/// Inputs that a tile reads, in one dimension.
const PATCH: usize = 6;
/// Points at which products are taken, in two dimensions.
const POINTS: usize = PATCH * PATCH;

/// Whether a convolution is of the kind that this can compute.
pub(super) fn fits(geometry: &Geometry) -> bool {
    geometry.kernel == [3, 3] && geometry.window == Window { stride: 1, padding: 1, groups: 1 }
}

/// Whether it is also quicker this way. The image itself takes other paths: transforms would not pay
/// with three channels, and pixels without influence keep a gradient of exactly zero there.
pub(super) fn applies(geometry: &Geometry) -> bool {
    const FEWEST_CHANNELS: usize = 8;
    const LEAST_SAVING: f64 = 2.0;
    fits(geometry)
        && !takes_plain_sums()
        && geometry.channels_in.min(geometry.channels_out) >= FEWEST_CHANNELS
        && Tiling::new(geometry.input).saving() >= LEAST_SAVING
}

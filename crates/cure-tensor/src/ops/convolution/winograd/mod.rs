//! 3×3 convolutions by Winograd's F(4×4, 3×3), 36 products for a tile of 4×4 outputs instead of 144, and
//! those of stride 2 by F(4×4, 2×2) at odd places, 81 products.
//!
//! Tiles are transformed in one dimension and then the other ([`scheme`], [`points`]), side by side in
//! vectors ([`block`], [`input`], [`output`]); at each point a product sums over input channels
//! ([`tile`](super::tile)). A block of tiles stays in cache from the transform of its inputs to that of its
//! outputs. Each tile's outputs are fixed chains of additions over its own inputs, whatever the batch.

mod block;
mod forward;
mod gradient;
mod input;
mod kernel;
mod output;
mod points;
mod scheme;
mod sums;
mod tiling;

pub(super) use forward::{correlate, pull_back};
pub(super) use gradient::{Way, weight_gradient};
pub(super) use kernel::Packed;

use super::super::machine::takes_plain_sums;
use super::geometry::{Geometry, Window};
use super::tile::CHANNELS;
use scheme::{Halving, Same};
use tiling::Tiling;

/// Whether a convolution, and with it its pull back, is of the kind that this can compute.
pub(super) fn fits(geometry: &Geometry) -> bool {
    let Window { stride, padding, groups } = geometry.window;
    geometry.kernel == [3, 3] && (1..=2).contains(&stride) && padding == 1 && groups == 1
}

/// Whether it is also quicker this way. The image itself takes other paths: transforms would not pay
/// with three channels, and pixels without influence keep a gradient of exactly zero there.
pub(super) fn applies(geometry: &Geometry) -> bool {
    const FEWEST_CHANNELS: usize = 8;
    let saves = || match geometry.window.stride {
        1 => Tiling::saving::<Same>(geometry) >= 2.0,
        _ => Tiling::saving::<Halving>(geometry) >= 1.5,
    };
    fits(geometry)
        && !takes_plain_sums()
        && geometry.channels_in.min(geometry.channels_out) >= FEWEST_CHANNELS
        && saves()
}

/// Products of a pair of channels over the batch.
pub(super) fn products(geometry: &Geometry) -> usize {
    match geometry.window.stride {
        1 => Tiling::new::<Same>(geometry, false).products::<Same>(),
        _ => Tiling::new::<Halving>(geometry, false).products::<Halving>(),
    }
}

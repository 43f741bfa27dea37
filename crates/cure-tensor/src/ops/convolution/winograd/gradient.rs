//! The weight gradient on transformed tiles: Gᵀ[Σ (A ȳ Aᵀ) ⊙ (Bᵀ x B)]G.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::super::parallel::{SharedOutput, for_each, map};
use super::super::geometry::Geometry;
use super::super::scratch::with_scratch;
use super::super::tile::LONGEST_VECTOR;
use super::block::Block;
use super::forward::rows_a_block;
use super::scheme::{Halving, Same, WeightScheme};
use super::sums::{BLOCK, Finish, Pair, Places, Products, TAPS};
use super::tiling::Tiling;
use crate::Tensor;
use crate::buffer::Buffer;

/// The two ways, and the quicker one.
#[derive(Clone, Copy)]
pub(in super::super) enum Way {
    Quicker,
    #[cfg(test)]
    BlockByBlock,
    #[cfg(test)]
    PlanesFirst,
}

/// As [`convolution_weight_gradient`](crate::ops::convolution_weight_gradient).
pub(in super::super) fn weight_gradient(
    pairs: &[(&Tensor, &Tensor)],
    geometry: &Geometry,
    way: Way,
) -> Buffer {
    match geometry.window.stride {
        1 => run::<Same>(pairs, geometry, way),
        _ => run::<Halving>(pairs, geometry, way),
    }
}

fn run<C: WeightScheme>(pairs: &[(&Tensor, &Tensor)], geometry: &Geometry, way: Way) -> Buffer {
    /// Pairs of blocks of channels that may transform the same planes each for itself.
    const FEW: usize = 4;
    /// Values that the transformed planes of the whole batch may take of memory.
    const MOST: usize = 12 * 1024 * 1024;
    let all = Pair::all(geometry);
    let tiling = Tiling::new::<C>(geometry, false);
    if tiling.rows() == 0 {
        return Buffer::zeros(geometry.channels_out * geometry.channels_in * TAPS);
    }
    let tiles = tiling.rows() * tiling.across.next_multiple_of(LONGEST_VECTOR);
    let lengths = Places::new(&all, tiles).lengths::<C>();
    let planes: usize = lengths.iter().sum::<usize>() * pairs.len();
    let planes_are_first = match way {
        Way::Quicker => all.blocks().len() > FEW && planes <= MOST,
        #[cfg(test)]
        Way::BlockByBlock => false,
        #[cfg(test)]
        Way::PlanesFirst => true,
    };
    if planes_are_first {
        planes_first::<C>(pairs, geometry, tiling)
    } else {
        block_by_block::<C>(pairs, geometry, tiling)
    }
}

/// For many channels, which have few tiles: all planes of the batch are transformed, then a task takes a pair
/// of blocks of channels.
fn planes_first<C: WeightScheme>(
    pairs: &[(&Tensor, &Tensor)],
    geometry: &Geometry,
    tiling: Tiling,
) -> Buffer {
    let block = &Block::<C>::new(tiling, 0..tiling.rows());
    let all = &Pair::all(geometry);
    let places = Places::new(all, block.width());
    let mut planes: Vec<[Buffer; 2]> =
        pairs.iter().map(|_| places.lengths::<C>().map(Buffer::stale)).collect();
    let mut tasks = Vec::new();
    for (&pair, planes) in pairs.iter().zip(&mut planes) {
        let planes = planes.each_mut().map(|plane| SharedOutput::new(plane));
        let task = |channels| Transform { pair, block, all, channels, places, planes };
        for first in (0..geometry.channels_in).step_by(LONGEST_VECTOR) {
            let inner = first..(first + LONGEST_VECTOR).min(geometry.channels_in);
            tasks.push(task(Pair { outer: 0..0, inner }));
        }
        for first in (0..geometry.channels_out).step_by(LONGEST_VECTOR) {
            let outer = first..(first + LONGEST_VECTOR).min(geometry.channels_out);
            tasks.push(task(Pair { outer, inner: 0..0 }));
        }
    }
    for_each(tasks, |task| {
        with_scratch(block.staging(), 0, |staging, _| dispatch(Staged { task, staging }));
    });

    let mut output = Buffer::stale(geometry.channels_out * geometry.channels_in * TAPS);
    let shared = SharedOutput::new(&mut output);
    for_each(all.blocks(), |channels| {
        with_scratch(channels.size(), TAPS * LONGEST_VECTOR, |sum, scratch| {
            for (index, [x, g]) in planes.iter().enumerate() {
                let (channels, order, continues) = (&channels, block.positions(), index > 0);
                let scheme = PhantomData::<C>;
                dispatch(Products { all, channels, places, order, x, g, sum, continues, scheme });
            }
            let (channels, scheme) = (&channels, PhantomData::<C>);
            dispatch(Finish { channels, sum, scratch, geometry, shared, scheme });
        });
    });
    output
}

/// A task owns a pair of blocks of channels over some rows of tiles, whose planes it transforms; partial sums
/// over tiles are added in order, before the last transform.
fn block_by_block<C: WeightScheme>(
    pairs: &[(&Tensor, &Tensor)],
    geometry: &Geometry,
    tiling: Tiling,
) -> Buffer {
    /// Tasks that let a dozen cores share the work.
    const ENOUGH: usize = 24;
    let blocks = Pair::all(geometry).blocks();
    let rows = tiling.rows();
    let step = rows_a_block::<C>(&tiling, 2 * BLOCK);
    let parts = ENOUGH.div_ceil(blocks.len()).clamp(1, rows.div_ceil(step).max(1));
    let rows_a_part = (rows.div_ceil(step).div_ceil(parts) * step).max(1);
    let tasks: Vec<(&Pair, Range<usize>)> = blocks
        .iter()
        .flat_map(|channels| {
            let part = move |first: usize| (channels, first..(first + rows_a_part).min(rows));
            (0..rows).step_by(rows_a_part).map(part)
        })
        .collect();
    let mut sums: Vec<Buffer> = map(tasks, |(channels, rows)| {
        let mut sum = Buffer::zeros(channels.size());
        for first in rows.clone().step_by(step) {
            let block = &Block::<C>::new(tiling, first..(first + step).min(rows.end));
            let (places, order) = (Places::new(channels, block.width()), block.positions());
            let [x_len, g_len] = places.lengths::<C>();
            with_scratch(x_len + g_len, block.staging(), |planes, staging| {
                let (x, g) = planes.split_at_mut(x_len);
                for &pair in pairs {
                    let planes = [SharedOutput::new(x), SharedOutput::new(g)];
                    let (all, own) = (channels, channels.clone());
                    let task = Transform { pair, block, all, channels: own, places, planes };
                    dispatch(Staged { task, staging });
                    let (sum, continues, scheme) = (&mut sum, true, PhantomData::<C>);
                    dispatch(Products {
                        all,
                        channels,
                        places,
                        order,
                        x,
                        g,
                        sum,
                        continues,
                        scheme,
                    });
                }
            });
        }
        sum
    });

    let mut output = Buffer::zeros(geometry.channels_out * geometry.channels_in * TAPS);
    let shared = SharedOutput::new(&mut output);
    let parts = (sums.len() / blocks.len().max(1)).max(1);
    let finished = blocks.iter().zip(sums.chunks_mut(parts)).collect();
    for_each(finished, |(channels, parts): (&Pair, &mut [Buffer])| {
        let Some((sum, others)) = parts.split_first_mut() else { return };
        for other in others {
            sum.iter_mut().zip(&**other).for_each(|(sum, value)| *sum += value);
        }
        with_scratch(0, TAPS * LONGEST_VECTOR, |_, scratch| {
            let scheme = PhantomData::<C>;
            dispatch(Finish { channels, sum, scratch, geometry, shared, scheme });
        });
    });
    output
}

/// The transforms of some channels of a block of tiles.
struct Transform<'a, C> {
    pair: (&'a Tensor, &'a Tensor),
    block: &'a Block<C>,
    /// The channels that the planes hold, and those of them that are transformed here.
    all: &'a Pair,
    channels: Pair,
    places: Places,
    /// Of x and of the adjoint.
    planes: [SharedOutput; 2],
}

struct Staged<'a, C> {
    task: Transform<'a, C>,
    staging: &'a mut [f32],
}

impl<C: WeightScheme> WithSimd for Staged<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { task, staging } = self;
        let Transform { pair: (x, g), block, all, channels, places, planes } = task;
        let [x, g] = [x.cpu(), g.cpu()];
        let [x_plane, g_plane] = block.tiling.planes();
        let [xs, gs] = planes.map(SharedOutput::start);
        for channel in channels.inner.clone() {
            // SAFETY: planes are as long as `places` says; tasks transform disjoint channels.
            unsafe {
                let out = xs.add((channel - all.inner.start) * places.width);
                let x = &x[channel * x_plane..(channel + 1) * x_plane];
                block.transform_input(simd, x, staging, out, places.points[0]);
            }
        }
        if channels.inner.end == all.inner.end {
            let missing = all.inner.len()..all.padded()[0];
            for point in 0..C::POINTS * C::POINTS {
                // SAFETY: as above.
                unsafe {
                    let first = xs.add(point * places.points[0] + missing.start * places.width);
                    first.write_bytes(0, missing.len() * places.width);
                }
            }
        }
        for first in channels.outer.clone().step_by(LONGEST_VECTOR) {
            let last = (first + LONGEST_VECTOR).min(channels.outer.end);
            // SAFETY: as above.
            unsafe {
                let out = gs.add(first - all.outer.start);
                let strides = [places.points[1], places.row];
                let g = &g[first * g_plane..last * g_plane];
                block.transform_output_adjoint(simd, g, g_plane, staging, out, strides);
            }
        }
    }
}

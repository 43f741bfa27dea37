//! The weight gradient on transformed tiles: Gᵀ[Σ (A ȳ Aᵀ) ⊙ (Bᵀ x B)]G.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::machine::dispatch;
use super::super::super::parallel::{SharedOutput, for_each, map};
use super::super::geometry::Geometry;
use super::super::scratch::with_scratch;
use super::super::tile::{CHANNELS, LONGEST_VECTOR, accumulate};
use super::block::Block;
use super::forward::rows_a_block;
use super::kernel::{KERNEL_POINTS, transform_adjoint};
use super::scheme::{Halving, KERNEL, Same, WeightScheme};
use super::tiling::{Tiling, kernel_point};
use crate::Tensor;
use crate::buffer::Buffer;

const TAPS: usize = 9;
/// Channels of a block: the sums of a block of output channels against one of input channels stay in cache.
const BLOCK: usize = 64;

/// A block of output channels against a block of input channels.
#[derive(Clone)]
struct Pair {
    outer: Range<usize>,
    inner: Range<usize>,
}

impl Pair {
    fn all(geometry: &Geometry) -> Self {
        Self { outer: 0..geometry.channels_out, inner: 0..geometry.channels_in }
    }

    /// Cut into blocks.
    fn blocks(&self) -> Vec<Self> {
        fn cut(channels: Range<usize>) -> impl Iterator<Item = Range<usize>> + Clone {
            let count = channels.len();
            let step = count.div_ceil(count.div_ceil(BLOCK)).next_multiple_of(LONGEST_VECTOR);
            channels.step_by(step).map(move |first| first..(first + step).min(count))
        }
        let inner = cut(self.inner.clone());
        cut(self.outer.clone())
            .flat_map(|outer| inner.clone().map(move |inner| Self { outer: outer.clone(), inner }))
            .collect()
    }

    /// Rows and columns of the sums at a point, input channels first, rounded up to what is multiplied
    /// together.
    fn padded(&self) -> [usize; 2] {
        let [inner, outer] = [self.inner.len(), self.outer.len()];
        [inner.next_multiple_of(CHANNELS), outer.next_multiple_of(LONGEST_VECTOR)]
    }

    /// Distance between the sums at two points, not a power of two.
    fn point(&self) -> usize {
        let [inner, outer] = self.padded();
        inner * outer + 16
    }

    /// Values of the sums.
    fn size(&self) -> usize {
        KERNEL_POINTS * self.point()
    }
}

/// Where transformed planes lie: those of x `[points][inner][tiles]`, those of the adjoint
/// `[points][tiles][outer]`. Distances are not powers of two, so that points and tiles do not compete for the
/// same lines of the cache.
#[derive(Clone, Copy)]
struct Places {
    /// Tiles.
    width: usize,
    /// Between two tiles of the adjoint.
    row: usize,
    /// Between two points, of both.
    points: [usize; 2],
}

impl Places {
    fn new(channels: &Pair, width: usize) -> Self {
        let [inner, outer] = channels.padded();
        let row = outer + 16;
        Self { width, row, points: [inner * width + 16, width * row + 16] }
    }

    fn lengths<C: WeightScheme>(&self) -> [usize; 2] {
        self.points.map(|point| C::POINTS * C::POINTS * point)
    }
}

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

/// Adds the products of a pair of blocks at every point to `sum`, `[36][inner][outer]`.
struct Products<'a, C> {
    /// The channels that the planes hold, and those of them that are multiplied here.
    all: &'a Pair,
    channels: &'a Pair,
    places: Places,
    /// Where the tiles are, one after the other.
    order: &'a [usize],
    x: &'a [f32],
    g: &'a [f32],
    sum: &'a mut [f32],
    /// Whether to what is there, or to nothing.
    continues: bool,
    scheme: PhantomData<C>,
}

impl<C: WeightScheme> WithSimd for Products<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { all, channels, places, order, x, g, sum, continues, .. } = self;
        let [inner, outer] = channels.padded();
        let x = &x[(channels.inner.start - all.inner.start) * places.width..];
        let g = &g[channels.outer.start - all.outer.start..];
        for point in 0..C::POINTS * C::POINTS {
            let at = [point / C::POINTS, point % C::POINTS];
            // Products with the same weights come after the first one.
            let continues = continues || at.iter().any(|&at| at >= KERNEL);
            let place = kernel_point(at);
            // SAFETY: planes and sums hold every point of every channel, those rounded up included.
            unsafe {
                accumulate(
                    simd,
                    x.as_ptr().add(point * places.points[0]),
                    g.as_ptr().add(point * places.points[1]),
                    sum.as_mut_ptr().add(place * channels.point()),
                    [inner, outer / S::F32_LANES],
                    order,
                    [places.width, places.row, outer],
                    continues,
                );
            }
        }
    }
}

/// The last transform of a pair of blocks.
struct Finish<'a, C> {
    channels: &'a Pair,
    sum: &'a [f32],
    scratch: &'a mut [f32],
    geometry: &'a Geometry,
    shared: SharedOutput,
    scheme: PhantomData<C>,
}

impl<C: WeightScheme> WithSimd for Finish<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pair { outer, inner } = self.channels;
        let strides = [self.channels.padded()[1], self.channels.point()];
        let size = self.channels.padded().iter().product();
        transform_adjoint::<S, C>(simd, self.sum, size, strides, self.scratch, |i, o, taps| {
            if i < inner.len() && o < outer.len() {
                let row = (outer.start + o) * self.geometry.channels_in + inner.start + i;
                // SAFETY: pairs of blocks are disjoint.
                unsafe { self.shared.range(row * TAPS, TAPS) }.copy_from_slice(&taps);
            }
        });
    }
}

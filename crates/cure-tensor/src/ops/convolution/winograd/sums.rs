//! The sums of a weight gradient: blocks of output channels against blocks of input channels.

use std::marker::PhantomData;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::super::super::parallel::SharedOutput;
use super::super::geometry::Geometry;
use super::super::tile::{CHANNELS, LONGEST_VECTOR, accumulate};
use super::kernel::{KERNEL_POINTS, transform_adjoint};
use super::scheme::{KERNEL, WeightScheme};
use super::tiling::kernel_point;

/// Taps of a kernel.
pub(super) const TAPS: usize = 9;
/// Channels of a block: the sums of a block of output channels against one of input channels stay in cache.
pub(super) const BLOCK: usize = 64;

/// A block of output channels against a block of input channels.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) outer: Range<usize>,
    pub(super) inner: Range<usize>,
}

impl Pair {
    pub(super) fn all(geometry: &Geometry) -> Self {
        Self { outer: 0..geometry.channels_out, inner: 0..geometry.channels_in }
    }

    /// Cut into blocks.
    pub(super) fn blocks(&self) -> Vec<Self> {
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
    pub(super) fn padded(&self) -> [usize; 2] {
        let [inner, outer] = [self.inner.len(), self.outer.len()];
        [inner.next_multiple_of(CHANNELS), outer.next_multiple_of(LONGEST_VECTOR)]
    }

    /// Distance between the sums at two points, not a power of two.
    fn point(&self) -> usize {
        let [inner, outer] = self.padded();
        inner * outer + 16
    }

    /// Values of the sums.
    pub(super) fn size(&self) -> usize {
        KERNEL_POINTS * self.point()
    }
}

/// Where transformed planes lie: those of x `[points][inner][tiles]`, those of the adjoint
/// `[points][tiles][outer]`. Distances are not powers of two, so that points and tiles do not compete for the
/// same lines of the cache.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// Tiles.
    pub(super) width: usize,
    /// Between two tiles of the adjoint.
    pub(super) row: usize,
    /// Between two points, of both.
    pub(super) points: [usize; 2],
}

impl Places {
    pub(super) fn new(channels: &Pair, width: usize) -> Self {
        let [inner, outer] = channels.padded();
        let row = outer + 16;
        Self { width, row, points: [inner * width + 16, width * row + 16] }
    }

    pub(super) fn lengths<C: WeightScheme>(&self) -> [usize; 2] {
        self.points.map(|point| C::POINTS * C::POINTS * point)
    }
}

/// Adds the products of a pair of blocks at every point to `sum`, `[36][inner][outer]`.
pub(super) struct Products<'a, C> {
    /// The channels that the planes hold, and those of them that are multiplied here.
    pub(super) all: &'a Pair,
    pub(super) channels: &'a Pair,
    pub(super) places: Places,
    /// Where the tiles are, one after the other.
    pub(super) order: &'a [usize],
    pub(super) x: &'a [f32],
    pub(super) g: &'a [f32],
    pub(super) sum: &'a mut [f32],
    /// Whether to what is there, or to nothing.
    pub(super) continues: bool,
    pub(super) scheme: PhantomData<C>,
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
pub(super) struct Finish<'a, C> {
    pub(super) channels: &'a Pair,
    pub(super) sum: &'a [f32],
    pub(super) scratch: &'a mut [f32],
    pub(super) geometry: &'a Geometry,
    pub(super) shared: SharedOutput,
    pub(super) scheme: PhantomData<C>,
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

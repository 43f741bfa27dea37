//! The ways a tile is computed, in one dimension: 3×3 convolutions of stride 1, those of stride 2, and the
//! pull back of the latter.
//!
//! With stride 2 the outer taps meet the inputs of odd places only, which is a correlation with two taps,
//! and the middle tap those of even places, where there is nothing to save:
//!
//! y(i) = w₀ x(2i − 1) + w₂ x(2i + 1) + w₁ x(2i).
//!
//! Four outputs take five products at odd places and four at even ones instead of twelve; in two dimensions
//! 81 instead of 144. Its pull back has the same products:
//!
//! x̄(2j + 1) = w₂ ȳ(j) + w₀ ȳ(j + 1), x̄(2j) = w₁ ȳ(j).

use pulp::Simd;

use super::points;

/// Lengths that arrays of any scheme have; places after those that it uses are not read.
pub(super) const MOST_POINTS: usize = 9;
pub(super) const MOST_OUTPUTS: usize = 8;

/// Products with taps of their own, in one dimension. Those of even places share the middle tap.
pub(super) const KERNEL: usize = 6;

/// Columns of input side by side in vectors: a tile's share of a staged line.
pub(super) const COLUMNS: usize = 4;

pub(super) type Points<V> = [V; MOST_POINTS];
pub(super) type Outputs<V> = [V; MOST_OUTPUTS];

/// A tile in one dimension.
pub(super) trait Scheme: Copy + Send + Sync + 'static {
    /// Its products. Product p takes the transformed tap min(p, 5).
    const POINTS: usize;
    /// Inputs it reads.
    const PATCH: usize;
    /// Inputs from one tile to the next.
    const STEP: usize;
    /// Inputs it reads before the first of its step.
    const BEFORE: usize;
    /// Outputs it makes.
    const OUTPUTS: usize;

    /// The transform of a patch, in order.
    fn input<S: Simd>(simd: S, d: Points<S::f32s>) -> Points<S::f32s>;

    /// The outputs, in order, from the products.
    fn output<S: Simd>(simd: S, m: Points<S::f32s>) -> Outputs<S::f32s>;

    /// The transform of three taps.
    fn taps<S: Simd>(simd: S, w: [S::f32s; 3]) -> [S::f32s; KERNEL];
}

/// A scheme whose weight gradient is taken with it.
pub(super) trait WeightScheme: Scheme {
    /// The adjoint of [`Scheme::output`].
    fn output_adjoint<S: Simd>(simd: S, y: [S::f32s; COLUMNS]) -> Points<S::f32s>;

    /// The adjoint of [`Scheme::taps`].
    fn taps_adjoint<S: Simd>(simd: S, m: [S::f32s; KERNEL]) -> [S::f32s; 3];
}

/// Stride 1, padding 1, which is also its own pull back.
#[derive(Clone, Copy)]
pub(super) struct Same;

/// Stride 2, padding 1.
#[derive(Clone, Copy)]
pub(super) struct Halving;

/// The pull back of [`Halving`].
#[derive(Clone, Copy)]
pub(super) struct Doubling;

/// `values` and what is not read.
#[inline(always)]
fn filled<S: Simd, const N: usize, const M: usize>(simd: S, values: [S::f32s; N]) -> [S::f32s; M] {
    let zero = simd.splat_f32s(0.0);
    std::array::from_fn(|i| values.get(i).copied().unwrap_or(zero))
}

impl Scheme for Same {
    const POINTS: usize = 6;
    const PATCH: usize = 6;
    const STEP: usize = 4;
    const BEFORE: usize = 1;
    const OUTPUTS: usize = 4;

    #[inline(always)]
    fn input<S: Simd>(simd: S, d: Points<S::f32s>) -> Points<S::f32s> {
        filled(simd, points::input(simd, [d[0], d[1], d[2], d[3], d[4], d[5]]))
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: Points<S::f32s>) -> Outputs<S::f32s> {
        filled(simd, points::output(simd, [m[0], m[1], m[2], m[3], m[4], m[5]]))
    }

    #[inline(always)]
    fn taps<S: Simd>(simd: S, w: [S::f32s; 3]) -> [S::f32s; KERNEL] {
        points::taps(simd, w)
    }
}

impl WeightScheme for Same {
    #[inline(always)]
    fn output_adjoint<S: Simd>(simd: S, y: [S::f32s; COLUMNS]) -> Points<S::f32s> {
        filled(simd, points::output_adjoint(simd, y))
    }

    #[inline(always)]
    fn taps_adjoint<S: Simd>(simd: S, m: [S::f32s; KERNEL]) -> [S::f32s; 3] {
        points::taps_adjoint(simd, m)
    }
}

impl Scheme for Halving {
    const POINTS: usize = 9;
    const PATCH: usize = 9;
    const STEP: usize = 8;
    const BEFORE: usize = 1;
    const OUTPUTS: usize = 4;

    #[inline(always)]
    fn input<S: Simd>(simd: S, d: Points<S::f32s>) -> Points<S::f32s> {
        let p = points::two::input(simd, [d[0], d[2], d[4], d[6], d[8]]);
        [p[0], p[1], p[2], p[3], p[4], d[1], d[3], d[5], d[7]]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: Points<S::f32s>) -> Outputs<S::f32s> {
        let odd = points::two::output(simd, [m[0], m[1], m[2], m[3], m[4]]);
        let sums: [S::f32s; COLUMNS] = std::array::from_fn(|i| simd.add_f32s(odd[i], m[5 + i]));
        filled(simd, sums)
    }

    #[inline(always)]
    fn taps<S: Simd>(simd: S, w: [S::f32s; 3]) -> [S::f32s; KERNEL] {
        let p = points::two::taps(simd, [w[0], w[2]]);
        [p[0], p[1], p[2], p[3], p[4], w[1]]
    }
}

impl WeightScheme for Halving {
    #[inline(always)]
    fn output_adjoint<S: Simd>(simd: S, y: [S::f32s; COLUMNS]) -> Points<S::f32s> {
        let p = points::two::output_adjoint(simd, y);
        [p[0], p[1], p[2], p[3], p[4], y[0], y[1], y[2], y[3]]
    }

    #[inline(always)]
    fn taps_adjoint<S: Simd>(simd: S, m: [S::f32s; KERNEL]) -> [S::f32s; 3] {
        let [first, last] = points::two::taps_adjoint(simd, [m[0], m[1], m[2], m[3], m[4]]);
        [first, m[5], last]
    }
}

impl Scheme for Doubling {
    const POINTS: usize = 9;
    const PATCH: usize = 5;
    const STEP: usize = 4;
    const BEFORE: usize = 0;
    const OUTPUTS: usize = 8;

    #[inline(always)]
    fn input<S: Simd>(simd: S, d: Points<S::f32s>) -> Points<S::f32s> {
        let p = points::two::input(simd, [d[0], d[1], d[2], d[3], d[4]]);
        [p[0], p[1], p[2], p[3], p[4], d[0], d[1], d[2], d[3]]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: Points<S::f32s>) -> Outputs<S::f32s> {
        let odd = points::two::output(simd, [m[0], m[1], m[2], m[3], m[4]]);
        [m[5], odd[0], m[6], odd[1], m[7], odd[2], m[8], odd[3]]
    }

    #[inline(always)]
    fn taps<S: Simd>(simd: S, w: [S::f32s; 3]) -> [S::f32s; KERNEL] {
        Halving::taps(simd, w)
    }
}

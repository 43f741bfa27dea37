//! The one-dimensional transforms of F(4, 3): four outputs of a correlation with three taps from six
//! products instead of twelve (Winograd 1980; Lavin and Gray, *Fast algorithms for convolutional
//! neural networks*, 2016). With w the taps and d six inputs,
//!
//! y = Aᵀ[(G w) ⊙ (Bᵀ d)],
//!
//! and what is linear in w has the adjoint Gᵀ[(A ȳ) ⊙ (Bᵀ d)]. The rows of the three matrices are
//! evaluations of polynomials at the points 0, ±√½, ±√2 and ∞. With the customary 0, ±1, ±2, ∞ the
//! error is twice as large, the largest four times (`docs/decisions.md`).
//!
//! The divisors of Lagrange's formula are kept with G: 1 at 0, −3/2 at ±√½, 6 at ±√2, 1 at ∞.

pub(super) mod two;

use pulp::Simd;

/// The inner points ±√½ and the outer points ±√2.
const INNER: f32 = std::f32::consts::FRAC_1_SQRT_2;
const OUTER: f32 = std::f32::consts::SQRT_2;

/// Bᵀd, the transform of six inputs.
#[inline(always)]
pub(super) fn input<S: Simd>(simd: S, d: [S::f32s; 6]) -> [S::f32s; 6] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let (even_inner, odd_inner) = (fma(-2.0, d[2], d[4]), fma(-2.0, d[1], d[3]));
    let (even_outer, odd_outer) = (fma(-0.5, d[2], d[4]), fma(-0.5, d[1], d[3]));
    [
        fma(-2.5, d[2], simd.add_f32s(d[0], d[4])),
        fma(INNER, odd_inner, even_inner),
        fma(-INNER, odd_inner, even_inner),
        fma(OUTER, odd_outer, even_outer),
        fma(-OUTER, odd_outer, even_outer),
        fma(-2.5, d[3], simd.add_f32s(d[1], d[5])),
    ]
}

/// Aᵀm, four outputs from six products.
#[inline(always)]
pub(super) fn output<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let scaled = |factor: f32, a| simd.mul_f32s(simd.splat_f32s(factor), a);
    let (even_inner, odd_inner) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (even_outer, odd_outer) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], simd.add_f32s(even_inner, even_outer)),
        fma(INNER, odd_inner, scaled(OUTER, odd_outer)),
        fma(0.5, even_inner, scaled(2.0, even_outer)),
        fma(0.5 * INNER, odd_inner, fma(2.0 * OUTER, odd_outer, m[5])),
    ]
}

/// A ȳ, the transform of the adjoints of four outputs.
#[inline(always)]
pub(super) fn output_adjoint<S: Simd>(simd: S, y: [S::f32s; 4]) -> [S::f32s; 6] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let (even_inner, odd_inner) = (fma(0.5, y[2], y[0]), fma(0.5, y[3], y[1]));
    let (even_outer, odd_outer) = (fma(2.0, y[2], y[0]), fma(2.0, y[3], y[1]));
    [
        y[0],
        fma(INNER, odd_inner, even_inner),
        fma(-INNER, odd_inner, even_inner),
        fma(OUTER, odd_outer, even_outer),
        fma(-OUTER, odd_outer, even_outer),
        y[3],
    ]
}

/// G w, the transform of three taps.
#[inline(always)]
pub(super) fn taps<S: Simd>(simd: S, w: [S::f32s; 3]) -> [S::f32s; 6] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let scaled = |factor: f32, a| simd.mul_f32s(simd.splat_f32s(factor), a);
    let even_inner = scaled(-2.0 / 3.0, fma(0.5, w[2], w[0]));
    let even_outer = scaled(1.0 / 6.0, fma(2.0, w[2], w[0]));
    [
        w[0],
        fma(-2.0 / 3.0 * INNER, w[1], even_inner),
        fma(2.0 / 3.0 * INNER, w[1], even_inner),
        fma(OUTER / 6.0, w[1], even_outer),
        fma(-OUTER / 6.0, w[1], even_outer),
        w[2],
    ]
}

/// Gᵀm, the adjoint of [`taps`].
#[inline(always)]
pub(super) fn taps_adjoint<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 3] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let scaled = |factor: f32, a| simd.mul_f32s(simd.splat_f32s(factor), a);
    let even_inner = scaled(-2.0 / 3.0, simd.add_f32s(m[1], m[2]));
    let even_outer = scaled(1.0 / 6.0, simd.add_f32s(m[3], m[4]));
    let odd_inner = scaled(-2.0 / 3.0 * INNER, simd.sub_f32s(m[1], m[2]));
    [
        simd.add_f32s(m[0], simd.add_f32s(even_inner, even_outer)),
        fma(OUTER / 6.0, simd.sub_f32s(m[3], m[4]), odd_inner),
        fma(0.5, even_inner, fma(2.0, even_outer, m[5])),
    ]
}

//! F(4, 2): four outputs of a correlation with two taps from five products instead of eight, at the
//! points ±½, ±1 and ∞, which of those that we tried round least (`docs/decisions.md`).
//!
//! The divisors of Lagrange's formula are kept with the taps: ∓¾ at ±½, ±1½ at ±1, 1 at ∞.

use pulp::Simd;

/// The transform of five inputs.
#[inline(always)]
pub(in super::super) fn input<S: Simd>(simd: S, d: [S::f32s; 5]) -> [S::f32s; 5] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let (odd_inner, even_inner) = (simd.sub_f32s(d[3], d[1]), simd.sub_f32s(d[2], d[0]));
    let (odd_outer, even_outer) = (fma(-0.25, d[1], d[3]), fma(-0.25, d[0], d[2]));
    [
        fma(0.5, even_inner, odd_inner),
        fma(-0.5, even_inner, odd_inner),
        simd.add_f32s(odd_outer, even_outer),
        simd.sub_f32s(odd_outer, even_outer),
        fma(0.25, d[0], fma(-1.25, d[2], d[4])),
    ]
}

/// Four outputs from five products.
#[inline(always)]
pub(in super::super) fn output<S: Simd>(simd: S, m: [S::f32s; 5]) -> [S::f32s; 4] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let (even_inner, odd_inner) = (simd.add_f32s(m[0], m[1]), simd.sub_f32s(m[0], m[1]));
    let (even_outer, odd_outer) = (simd.add_f32s(m[2], m[3]), simd.sub_f32s(m[2], m[3]));
    [
        simd.add_f32s(even_inner, even_outer),
        fma(0.5, odd_inner, odd_outer),
        fma(0.25, even_inner, even_outer),
        fma(0.125, odd_inner, simd.add_f32s(odd_outer, m[4])),
    ]
}

/// The adjoint of [`output`].
#[inline(always)]
pub(in super::super) fn output_adjoint<S: Simd>(simd: S, y: [S::f32s; 4]) -> [S::f32s; 5] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let (even_inner, odd_inner) = (fma(0.25, y[2], y[0]), fma(0.25, y[3], y[1]));
    let (even_outer, odd_outer) = (simd.add_f32s(y[0], y[2]), simd.add_f32s(y[1], y[3]));
    [
        fma(0.5, odd_inner, even_inner),
        fma(-0.5, odd_inner, even_inner),
        simd.add_f32s(even_outer, odd_outer),
        simd.sub_f32s(even_outer, odd_outer),
        y[3],
    ]
}

/// The transform of two taps.
#[inline(always)]
pub(in super::super) fn taps<S: Simd>(simd: S, w: [S::f32s; 2]) -> [S::f32s; 5] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let scaled = |factor: f32, a| simd.mul_f32s(simd.splat_f32s(factor), a);
    [
        scaled(-4.0 / 3.0, fma(0.5, w[1], w[0])),
        scaled(4.0 / 3.0, fma(-0.5, w[1], w[0])),
        scaled(2.0 / 3.0, simd.add_f32s(w[0], w[1])),
        scaled(-2.0 / 3.0, simd.sub_f32s(w[0], w[1])),
        w[1],
    ]
}

/// The adjoint of [`taps`].
#[inline(always)]
pub(in super::super) fn taps_adjoint<S: Simd>(simd: S, m: [S::f32s; 5]) -> [S::f32s; 2] {
    let fma = |factor: f32, a, b| simd.mul_add_f32s(simd.splat_f32s(factor), a, b);
    let scaled = |factor: f32, a| simd.mul_f32s(simd.splat_f32s(factor), a);
    let (minus_inner, plus_inner) = (simd.sub_f32s(m[1], m[0]), simd.add_f32s(m[0], m[1]));
    let (minus_outer, plus_outer) = (simd.sub_f32s(m[2], m[3]), simd.add_f32s(m[2], m[3]));
    [
        fma(4.0 / 3.0, minus_inner, scaled(2.0 / 3.0, minus_outer)),
        fma(-2.0 / 3.0, plus_inner, fma(2.0 / 3.0, plus_outer, m[4])),
    ]
}

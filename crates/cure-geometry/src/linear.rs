//! Sums over vectors, in f64 and in one order.

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    /// Sums side by side, so that the processor's vectors are used; their number is fixed, and so is
    /// the rounding.
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f64>() + rest
}

pub(crate) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// y ← y + factor·x.
pub(crate) fn add_scaled(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

pub(crate) fn scaled(factor: f64, x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| factor * x).collect()
}

/// Takes out of `v` what lies along the orthonormal `basis`, twice: once leaves rounding of the size
/// of what was taken. Gives the coefficients.
pub(crate) fn orthogonalise(v: &mut [f64], basis: &[Vec<f64>]) -> Vec<f64> {
    let mut coefficients = vec![0.0; basis.len()];
    for _ in 0..2 {
        for (coefficient, b) in coefficients.iter_mut().zip(basis) {
            let along = dot(v, b);
            add_scaled(v, -along, b);
            *coefficient += along;
        }
    }
    coefficients
}

//! Pointwise non-linearities σ with their first and second derivatives.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::parallel::over_pieces;
use crate::buffer::Buffer;
use crate::{Result, Tensor, TensorError};

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(a, 0). Its second derivative is zero everywhere it exists.
    Relu,
    /// log(1 + exp(βa)) / β; tends to ReLU as β grows.
    Softplus {
        /// Sharpness β > 0.
        beta: f32,
    },
    /// a·sigmoid(a), also called Swish.
    Silu,
    /// a·Φ(a) with the exact Gaussian distribution function Φ.
    Gelu,
}

fn sigmoid(a: f32) -> f32 {
    if a >= 0.0 {
        1.0 / (1.0 + (-a).exp())
    } else {
        let e = a.exp();
        e / (1.0 + e)
    }
}

/// The Gaussian distribution function, through the complementary error function: Abramowitz
/// and Stegun's rational forms lose too much; this is W. J. Cody's scheme by way of the series
/// and the continued fraction, evaluated in `f64`, good to 1e-9.
fn normal_cdf(a: f32) -> f32 {
    let x = f64::from(a * FRAC_1_SQRT_2);
    let half_erfc = 0.5 * erfc(x.abs());
    (if x >= 0.0 { 1.0 - half_erfc } else { half_erfc }) as f32
}

/// erfc(x) for x ≥ 0: the Taylor series of erf below 2.5, Lentz's continued fraction above.
fn erfc(x: f64) -> f64 {
    let two_over_sqrt_pi = std::f64::consts::FRAC_2_SQRT_PI;
    if x < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            let next = term / f64::from(2 * n + 1);
            sum += next;
            if next.abs() < 1e-12 {
                break;
            }
        }
        1.0 - two_over_sqrt_pi * sum
    } else {
        // erfc(x) = exp(−x²)/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …)))), evaluated from the inside.
        let fraction = (1..=40).rev().fold(x, |tail, n| x + 0.5 * f64::from(n) / tail);
        (-x * x).exp() / fraction * two_over_sqrt_pi / 2.0
    }
}

fn normal_density(a: f32) -> f32 {
    (-0.5 * a * a).exp() / (2.0 * PI).sqrt()
}

impl Activation {
    /// σ(a).
    pub fn value(self, a: f32) -> f32 {
        match self {
            // Not `max`, which would turn NaN into 0 and hide a network gone wrong.
            Self::Relu => {
                if a <= 0.0 {
                    0.0
                } else {
                    a
                }
            }
            Self::Softplus { beta } => (a.max(0.0)) + (-(beta * a).abs()).exp().ln_1p() / beta,
            Self::Silu => a * sigmoid(a),
            Self::Gelu => a * normal_cdf(a),
        }
    }

    /// σ′(a); at a kink of ReLU it is 0, as in PyTorch.
    pub fn derivative(self, a: f32) -> f32 {
        match self {
            Self::Relu => f32::from(u8::from(a > 0.0)),
            Self::Softplus { beta } => sigmoid(beta * a),
            Self::Silu => {
                let s = sigmoid(a);
                s + a * s * (1.0 - s)
            }
            Self::Gelu => normal_cdf(a) + a * normal_density(a),
        }
    }

    /// σ″(a).
    pub fn second_derivative(self, a: f32) -> f32 {
        match self {
            Self::Relu => 0.0,
            Self::Softplus { beta } => {
                let s = sigmoid(beta * a);
                beta * s * (1.0 - s)
            }
            Self::Silu => {
                let s = sigmoid(a);
                let slope = s * (1.0 - s);
                2.0 * slope + a * slope * (1.0 - 2.0 * s)
            }
            Self::Gelu => (2.0 - a * a) * normal_density(a),
        }
    }

    /// Whether σ is twice differentiable everywhere (everything but ReLU).
    pub fn is_smooth(self) -> bool {
        self != Self::Relu
    }
}

/// σ(a), in the memory of `a` when nobody shares it.
pub fn activate(kind: Activation, a: Tensor) -> Tensor {
    let _running = crate::meter::operation("activate");
    on_torch!(activate(kind, &a));
    // The match is outside the loop so that the ReLU loop vectorises.
    match kind {
        Activation::Relu => super::map(a, |value| if value <= 0.0 { 0.0 } else { value }),
        _ => super::map(a, |value| kind.value(value)),
    }
}

fn check(operation: &'static str, a: &Tensor, others: &[&Tensor]) -> Result<()> {
    for other in others {
        if other.shape() != a.shape() {
            return Err(TensorError::shape(operation, format!("{:?}", a.shape()), other.shape()));
        }
    }
    Ok(())
}

/// σ′(a)·g: the rule of the tangent and of the first-order adjoint alike. For ReLU, `a` may be
/// the input or the output of the activation: both are positive in the same places.
///
/// # Errors
/// If the shapes differ.
pub fn activation_pullback(kind: Activation, a: &Tensor, g: Tensor) -> Result<Tensor> {
    let _running = crate::meter::operation("activation_pullback");
    check("activation_pullback", a, &[&g])?;
    on_torch!(activation_pullback(kind, a, &g));
    let shape = g.shape().to_vec();
    let mut output = g.into_buffer();
    let a = a.cpu();
    over_pieces(&mut output, |offset, piece| {
        let a = &a[offset..offset + piece.len()];
        match kind {
            Activation::Relu => {
                for (out, &a) in piece.iter_mut().zip(a) {
                    *out = if a > 0.0 { *out } else { 0.0 };
                }
            }
            _ => {
                for (out, &a) in piece.iter_mut().zip(a) {
                    *out *= kind.derivative(a);
                }
            }
        }
    });
    Ok(Tensor::trusted(&shape, output))
}

/// σ′(a)·μ + σ″(a)·ȧ·λ: the second-order adjoint (design: Pearlmutter's R-operator).
///
/// # Errors
/// If the shapes differ.
pub fn activation_second_order(
    kind: Activation,
    a: &Tensor,
    tangent: &Tensor,
    lambda: &Tensor,
    mu: Tensor,
) -> Result<Tensor> {
    let _running = crate::meter::operation("activation_second_order");
    if !kind.is_smooth() {
        return activation_pullback(kind, a, mu);
    }
    check("activation_second_order", a, &[tangent, lambda, &mu])?;
    on_torch!(activation_second_order(kind, a, tangent, lambda, &mu));
    let mut output = Buffer::stale(a.len());
    let (a_values, tangent, lambda, mu) = (a.cpu(), tangent.cpu(), lambda.cpu(), mu.cpu());
    over_pieces(&mut output, |offset, piece| {
        for (index, out) in piece.iter_mut().enumerate() {
            let i = offset + index;
            let a = a_values[i];
            *out = kind.derivative(a) * mu[i] + kind.second_derivative(a) * tangent[i] * lambda[i];
        }
    });
    Ok(Tensor::trusted(a.shape(), output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_match_central_differences() {
        for kind in [Activation::Softplus { beta: 3.0 }, Activation::Silu, Activation::Gelu] {
            for step in -40..=40 {
                let a = step as f32 * 0.1;
                let h = 1e-2;
                let first = (kind.value(a + h) - kind.value(a - h)) / (2.0 * h);
                let second = (kind.derivative(a + h) - kind.derivative(a - h)) / (2.0 * h);
                assert!((first - kind.derivative(a)).abs() < 1e-3, "{kind:?} at {a}");
                assert!((second - kind.second_derivative(a)).abs() < 2e-3, "{kind:?} at {a}");
            }
        }
    }

    #[test]
    fn gaussian_distribution_function() {
        // Values from tables of Φ.
        for (a, expected) in
            [(0.0, 0.5), (1.0, 0.841_344_7), (-2.0, 0.022_750_13), (3.6, 0.999_840_9)]
        {
            assert!((normal_cdf(a) - expected).abs() < 1e-6, "Φ({a}) = {}", normal_cdf(a));
        }
        assert!((normal_cdf(-5.0) - 2.866_516e-7).abs() < 1e-12);
    }
}

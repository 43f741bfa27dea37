//! How ticks read: exactly the digits that their spacing needs.

use std::sync::Arc;

use kuva::TickFormat;

/// The next of 1, 2, 5 times a power of ten at or above `step`.
pub(in crate::plot) fn nice_step(step: f64) -> f64 {
    let decade = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * decade >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * decade
}

/// Digits after the point that tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
}

pub(in crate::plot) fn number_format(step: f64, size: f64) -> TickFormat {
    let digits = (size.log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
    let places = decimals(step);
    let scientific = !(1e-3..1e6).contains(&size);
    TickFormat::Custom(Arc::new(move |value| {
        if value.abs() < step * 1e-6 {
            "0".to_string()
        } else if scientific {
            shortest_exponential(value, digits)
        } else {
            format!("{value:.places$}")
        }
    }))
}

/// `2e6` rather than `2.00e6`.
fn shortest_exponential(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A tick of a logarithmic axis: one digit and a power of ten.
pub(super) fn one_digit(value: f64) -> String {
    let text = format!("{value:.0e}");
    match text.parse::<f64>() {
        Ok(rounded) if rounded == 0.0 || (1e-3..1e6).contains(&rounded.abs()) => {
            rounded.to_string()
        }
        _ => text,
    }
}

pub(super) fn percent_format(step: f64, size: f64) -> TickFormat {
    let numbers = number_format(100.0 * step, 100.0 * size);
    TickFormat::Custom(Arc::new(move |value| format!("{} %", numbers.format(100.0 * value))))
}

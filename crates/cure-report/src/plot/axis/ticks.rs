//! Round numbers along a length that is not an axis of kuva.

use super::{nice_step, number_format};
use crate::plot::Unit;
use crate::plot::axis::format::percent_format;

/// A place on an axis and what is written there.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::plot) struct Tick {
    /// The value.
    pub(in crate::plot) at: f64,
    /// How it reads.
    pub(in crate::plot) label: String,
}

/// At most about `most` round numbers from `low` to `high`.
pub(in crate::plot) fn ticks(low: f64, high: f64, most: usize, unit: Unit) -> Vec<Tick> {
    // Nor between ends that are no numbers.
    if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) {
        return Vec::new();
    }
    let step = nice_step((high - low) / most.max(1) as f64);
    let size = low.abs().max(high.abs());
    let format = match unit {
        Unit::Number => number_format(step, size),
        Unit::Percent => percent_format(step, size),
    };
    // An end that is itself a round number keeps its tick through rounding.
    let first = (low / step - 1e-6).ceil();
    let count = ((high / step + 1e-6).floor() - first).clamp(-1.0, 2.0 * most as f64 + 2.0);
    (0..(count + 1.0) as usize)
        .map(|i| (first + i as f64) * step)
        .map(|at| Tick { at: at.clamp(low, high), label: format.format(at) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_are_round_have_ticks() {
        let labels = |low, high, most| -> Vec<String> {
            ticks(low, high, most, Unit::Number).into_iter().map(|t| t.label).collect()
        };
        assert_eq!(labels(-5.0, 5.0, 5), ["-4", "-2", "0", "2", "4"]);
        assert_eq!(labels(-5.0, 5.0, 2), ["-5", "0", "5"]);
        assert_eq!(labels(0.1, 0.3, 2), ["0.1", "0.2", "0.3"]);
        assert!(labels(1e9, 1e9 + 1e-6, 4).len() <= 10);
        assert!(labels(f64::NAN, 1.0, 4).is_empty());
        assert!(labels(1.0, 1.0, 4).is_empty());
    }
}

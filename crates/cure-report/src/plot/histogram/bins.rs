//! Bins that all samples share.

use crate::plot::Scale;
use crate::plot::axis::{drawable, nice_step, open_up};

/// Bins aimed for where none are asked for.
const BINS: f64 = 50.0;
/// Most bins.
const MOST_BINS: usize = 1000;
/// Bins of equal width.
pub(super) struct Bins {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) count: usize,
}

impl Bins {
    /// Those asked for if they can be used, or else round ones around the values.
    pub(super) fn fit(asked: Option<(f64, f64, usize)>, values: impl Iterator<Item = f64>) -> Self {
        if let Some((low, high, count)) = asked
            && drawable(low, Scale::Linear)
            && drawable(high, Scale::Linear)
            && high - low > 1e-9 * low.abs().max(high.abs())
            && high - low > 1e-150
            && (1..=MOST_BINS).contains(&count)
        {
            return Self { low, high, count };
        }
        let ends = values.fold(None, |ends, v| match ends {
            None => Some((v, v)),
            Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
        });
        let (low, high) = ends.map_or((0.0, 1.0), |(low, high)| open_up(low, high));
        let step = nice_step((high - low) / BINS);
        let (first, last) = ((low / step).floor(), (high / step).floor() + 1.0);
        let count = ((last - first) as usize).clamp(1, MOST_BINS);
        Self { low: first * step, high: last * step, count }
    }

    pub(super) fn edge(&self, index: usize) -> f64 {
        self.low + (self.high - self.low) * index as f64 / self.count as f64
    }

    /// The bin of a value: it holds its lower edge, the last one both edges.
    pub(super) fn index(&self, value: f64) -> Option<usize> {
        if !(self.low <= value && value <= self.high) {
            return None;
        }
        let share = (value - self.low) / (self.high - self.low);
        let mut index = ((share * self.count as f64) as usize).min(self.count - 1);
        // The share is rounded; the edges decide.
        if index > 0 && value < self.edge(index) {
            index -= 1;
        } else if index + 1 < self.count && value >= self.edge(index + 1) {
            index += 1;
        }
        Some(index)
    }

    pub(super) fn fill(&self, values: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; self.count];
        for index in values.iter().filter_map(|&value| self.index(value)) {
            counts[index] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bin() {
        let bins = Bins { low: 0.0, high: 1.0, count: 10 };
        assert_eq!(bins.fill(&[0.0, 0.1, 0.3, 0.7, 0.999, 1.0]), [1, 1, 0, 1, 0, 0, 0, 1, 0, 2]);
        assert_eq!(bins.fill(&[-0.1, 1.1, f64::NAN]), [0; 10]);
    }

    #[test]
    fn bins_are_round() {
        let bins = Bins::fit(None, [0.013, 0.297].into_iter());
        assert!((bins.low - 0.01).abs() < 1e-12 && (bins.high - 0.3).abs() < 1e-12);
        assert_eq!(bins.count, 29);
    }
}

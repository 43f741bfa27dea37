//! Medians and spreads.

/// The middle, the least and the most of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// None of no numbers.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: 0.5 * (low + high), least, most })
    }

    /// As `2.05 (1.98–2.11)`; the median alone where nothing spreads.
    pub(super) fn shown(&self, decimals: usize) -> String {
        let number = |value: f64| format!("{value:.decimals$}");
        let (median, least, most) = (number(self.median), number(self.least), number(self.most));
        if least == most { median } else { format!("{median} ({least}–{most})") }
    }

    /// As [`Self::shown`] for milliseconds: three digits that count, at least.
    pub(super) fn milliseconds(&self) -> String {
        self.shown(match self.median {
            ..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(Spread::of([]), None);
        let odd = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!(odd, Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(odd.shown(1), "2.0 (1.0–3.0)");
        assert_eq!(Spread::of([2.0, 2.0]).unwrap().shown(1), "2.0");
    }
}

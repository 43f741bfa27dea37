//! A logarithm for numbers of both signs.

/// Linear within ± 10^decade, logarithmic beyond, and continuous where they meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SignedLog {
    decade: i32,
    /// 10^decade.
    threshold: f64,
}

impl SignedLog {
    pub(super) fn new(decade: i32) -> Self {
        // Beyond ± 1e150 nothing is drawn.
        let decade = decade.clamp(-149, 149);
        Self { decade, threshold: 10f64.powi(decade) }
    }

    pub(super) fn decade(self) -> i32 {
        self.decade
    }

    pub(super) fn is_linear(self, value: f64) -> bool {
        value.abs() <= self.threshold
    }

    /// 0 at 0, ±1 at ± 10^decade, and one more for each further power of ten.
    pub(super) fn forth(self, value: f64) -> f64 {
        if self.is_linear(value) {
            value / self.threshold
        } else {
            (1.0 + (value.abs() / self.threshold).log10()).copysign(value)
        }
    }

    pub(super) fn back(self, at: f64) -> f64 {
        if at.abs() <= 1.0 {
            at * self.threshold
        } else {
            (self.threshold * 10f64.powf(at.abs() - 1.0)).copysign(at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forth_and_back() {
        let scale = SignedLog::new(-2);
        assert_eq!(scale.forth(0.005), 0.5);
        assert_eq!(scale.forth(-0.01), -1.0);
        assert!((scale.forth(-1.0) + 3.0).abs() < 1e-12);
        for value in [-40.0, -0.01, -0.003, 0.0, 0.02, 1e9] {
            assert!((scale.back(scale.forth(value)) - value).abs() <= 1e-12 * value.abs());
        }
    }
}

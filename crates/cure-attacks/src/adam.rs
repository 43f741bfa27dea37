//! Adam (Kingma and Ba 2015), for attacks whose gradients are noisy.

/// Decay of the mean of the gradients, as everywhere.
const FIRST: f64 = 0.9;
/// Decay of the mean of their squares.
const SECOND: f64 = 0.999;
/// Added to the root of the second mean.
const TINY: f64 = 1e-8;

/// The state of one sample.
pub(crate) struct Adam {
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Adam {
    /// Before the first step, of `length` pixels.
    pub(crate) fn new(length: usize) -> Self {
        Self { first: vec![0.0; length], second: vec![0.0; length], steps: 0 }
    }

    /// Turns a gradient into the change of each pixel that climbs along it.
    pub(crate) fn climb(&mut self, gradient: &mut [f64], rate: f64) {
        self.steps = self.steps.saturating_add(1);
        // Both means start at 0; these undo it.
        let (unbias_first, unbias_second) =
            (1.0 - FIRST.powi(self.steps), 1.0 - SECOND.powi(self.steps));
        let means = self.first.iter_mut().zip(&mut self.second);
        for (value, (first, second)) in gradient.iter_mut().zip(means) {
            *first = FIRST * *first + (1.0 - FIRST) * *value;
            *second = SECOND * *second + (1.0 - SECOND) * *value * *value;
            *value = rate * (*first / unbias_first) / ((*second / unbias_second).sqrt() + TINY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_is_the_rate_and_later_ones_are_by_hand() {
        let mut adam = Adam::new(2);
        let mut change = [4.0, 0.0];
        adam.climb(&mut change, 0.01);
        assert!((change[0] - 0.01).abs() < 1e-9 && change[1] == 0.0, "{change:?}");
        let mut change = [-2.0, 0.0];
        adam.climb(&mut change, 0.01);
        // m = 0.9·0.4 − 0.2 = 0.16, v = 0.999·0.016 + 0.004 = 0.019984.
        let expected = 0.01 * (0.16 / 0.19) / (0.019984f64 / 0.001999).sqrt();
        assert!((change[0] - expected).abs() < 1e-9, "{change:?} {expected}");
    }
}

/// The 0.975 quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a proportion of which `successes` of `n` were seen: Wilson's score
/// interval (1927), which stays in [0, 1] and is right near its ends, where a robust accuracy
/// often is. Of nothing, nothing is known: [0, 1].
pub fn wilson95(successes: usize, n: usize) -> [f64; 2] {
    if n == 0 {
        return [0.0, 1.0];
    }
    let (n, p) = (n as f64, successes as f64 / n as f64);
    let z2 = Z * Z;
    let center = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // Exactly 0 or 1 where all samples agree, rounding notwithstanding.
    let low = if p == 0.0 { 0.0 } else { (center - half).max(0.0) };
    let high = if p == 1.0 { 1.0 } else { (center + half).min(1.0) };
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: [f64; 2], expected: [f64; 2]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 5e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn known_intervals() {
        // Newcombe 1998, table I, method 3.
        close(wilson95(81, 263), [0.2553, 0.3662]);
        close(wilson95(15, 148), [0.0624, 0.1605]);
        close(wilson95(0, 20), [0.0, 0.1611]);
        close(wilson95(1, 29), [0.0061, 0.1718]);
        assert_eq!(wilson95(0, 0), [0.0, 1.0]);
        assert_eq!(wilson95(7, 7)[1], 1.0);
    }

    #[test]
    fn three_points_at_a_thousand() {
        let [low, high] = wilson95(400, 1000);
        assert!((high - low) / 2.0 > 0.030 && (high - low) / 2.0 < 0.031);
    }
}

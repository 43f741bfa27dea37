//! A number with its interval, and what two of them allow to say.

use cure_attacks::{Accuracy, AttackResult};
use serde::Serialize;
use serde_json::Value;

/// A number with its 95 % interval and how many images it is from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    pub(crate) ci95: [f64; 2],
    pub(crate) n: usize,
}

/// How one number stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Higher,
    Lower,
    Unclear,
}

impl From<&Accuracy> for Measured {
    fn from(found: &Accuracy) -> Self {
        Self { value: found.accuracy, ci95: found.ci95, n: found.n }
    }
}

impl From<&AttackResult> for Measured {
    fn from(found: &AttackResult) -> Self {
        Self { value: found.robust_accuracy, ci95: found.ci95, n: found.n }
    }
}

impl Measured {
    /// As results write an accuracy or a mean.
    pub(crate) fn read(found: &Value) -> Option<Self> {
        let names = ["robust_accuracy", "accuracy", "mean"];
        let value = names.iter().find_map(|name| found.get(name)?.as_f64())?;
        let ends = found.get("ci95")?.as_array()?;
        let ci95 = [ends.first()?.as_f64()?, ends.get(1)?.as_f64()?];
        Some(Self { value, ci95, n: usize::try_from(found.get("n")?.as_u64()?).ok()? })
    }

    pub(crate) fn percent(self) -> String {
        format!("{:.1} %", 100.0 * self.value)
    }

    /// With its interval.
    pub(crate) fn percent_in_full(self) -> String {
        let [low, high] = self.ci95;
        format!("{} ({:.1}–{:.1})", self.percent(), 100.0 * low, 100.0 * high)
    }

    /// Three digits, and those of its interval.
    pub(crate) fn number_in_full(self) -> String {
        let [value, low, high] = [self.value, self.ci95[0], self.ci95[1]].map(short);
        match low.starts_with('−') || high.starts_with('−') {
            true => format!("{value} ({low} to {high})"),
            false => format!("{value} ({low}–{high})"),
        }
    }

    /// How this one stands to another. Intervals that do not touch are a stricter test than one at 5 % would be, and one
    /// that a reader can repeat by eye.
    pub(crate) fn against(self, other: Self) -> Change {
        // A mean of one value has no interval.
        let is_single = |of: Self| of.n < 2 && of.ci95[0] == of.ci95[1];
        if is_single(self) || is_single(other) {
            Change::Unclear
        } else if self.ci95[0] > other.ci95[1] {
            Change::Higher
        } else if self.ci95[1] < other.ci95[0] {
            Change::Lower
        } else {
            Change::Unclear
        }
    }
}

/// Three significant digits.
pub(crate) fn short(value: f64) -> String {
    if value < 0.0 {
        return format!("−{}", short(-value));
    }
    if value != 0.0 && !(1e-3..1e5).contains(&value) {
        return format!("{value:.2e}");
    }
    let decimals = match value {
        value if value < 1.0 => 3,
        value if value < 10.0 => 2,
        value if value < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_decide() {
        let measured =
            |value: f64, half: f64| Measured { value, ci95: [value - half, value + half], n: 100 };
        assert_eq!(measured(0.2, 0.1).against(measured(0.5, 0.1)), Change::Lower);
        assert_eq!(measured(0.5, 0.1).against(measured(0.2, 0.1)), Change::Higher);
        assert_eq!(measured(0.2, 0.1).against(measured(0.35, 0.1)), Change::Unclear);
        let single = Measured { n: 1, ..measured(0.2, 0.0) };
        assert_eq!(single.against(measured(0.5, 0.1)), Change::Unclear);
        assert_eq!(measured(0.5, 0.1).against(single), Change::Unclear);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0.000"),
            (0.4321, "0.432"),
            (8.852, "8.85"),
            (195.1, "195"),
            (1.2e-5, "1.20e-5"),
            (12.34, "12.3"),
            (-0.568, "−0.568"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn accuracies_and_means_are_read() {
        let found = serde_json::json!({"robust_accuracy": 0.5, "ci95": [0.4, 0.6], "n": 10});
        assert_eq!(Measured::read(&found), Some(Measured { value: 0.5, ci95: [0.4, 0.6], n: 10 }));
        assert_eq!(Measured::read(&serde_json::json!({"mean": null, "ci95": null, "n": 0})), None);
    }
}

//! What the paper says, and whether the numbers found agree.

use serde::Serialize;
use serde_json::Value;

/// A sentence of the paper that numbers can agree or differ with.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Claim {
    /// What the paper says, with its number where it has one.
    pub(super) paper: String,
    /// What was found.
    pub(super) found: String,
    pub(super) verdict: Verdict,
    /// What may be behind a difference.
    pub(super) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Agrees,
    Differs,
    /// So few images cannot tell.
    Undecided,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::Undecided => "undecided",
        }
    }

    pub(super) fn of(agrees: bool) -> Self {
        if agrees { Self::Agrees } else { Self::Differs }
    }
}

impl Claim {
    pub(super) fn new(paper: &str, found: String, verdict: Verdict) -> Self {
        Self { paper: paper.to_owned(), found, verdict, reason: None }
    }

    /// What may be behind it, if it differs.
    pub(super) fn because(mut self, reason: &str) -> Self {
        if self.verdict != Verdict::Agrees {
            self.reason = Some(reason.to_owned());
        }
        self
    }
}

/// A number with its 95 % interval and how many images it is from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Measured {
    pub(super) value: f64,
    pub(super) ci95: [f64; 2],
    pub(super) n: u64,
}

impl Measured {
    /// As results write an accuracy or a mean.
    pub(super) fn read(found: &Value) -> Option<Self> {
        let names = ["robust_accuracy", "accuracy", "mean"];
        let value = names.iter().find_map(|name| found.get(name)?.as_f64())?;
        let ends = found.get("ci95")?.as_array()?;
        let ci95 = [ends.first()?.as_f64()?, ends.get(1)?.as_f64()?];
        Some(Self { value, ci95, n: found.get("n")?.as_u64()? })
    }

    pub(super) fn percent(self) -> String {
        format!("{:.1} %", 100.0 * self.value)
    }

    /// With its interval.
    pub(super) fn percent_in_full(self) -> String {
        let [low, high] = self.ci95;
        format!("{} ({:.1}–{:.1})", self.percent(), 100.0 * low, 100.0 * high)
    }

    /// Three digits.
    pub(super) fn number(self) -> String {
        short(self.value)
    }

    pub(super) fn number_in_full(self) -> String {
        let [low, high] = self.ci95.map(short);
        match low.starts_with('−') || high.starts_with('−') {
            true => format!("{} ({low} to {high})", self.number()),
            false => format!("{} ({low}–{high})", self.number()),
        }
    }

    /// Whether this is below another: decided where the intervals do not touch, which is stricter than a test at 5 %
    /// and can be repeated by eye.
    pub(super) fn below(self, other: Self) -> Verdict {
        if self.ci95[1] < other.ci95[0] {
            Verdict::Agrees
        } else if self.ci95[0] > other.ci95[1] {
            Verdict::Differs
        } else {
            Verdict::Undecided
        }
    }
}

/// Three significant digits.
pub(super) fn short(value: f64) -> String {
    if value < 0.0 {
        return format!("−{}", short(-value));
    }
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e5).contains(&size) {
        return format!("{value:.2e}");
    }
    let before = if size >= 1.0 { size.log10().floor() as usize + 1 } else { 1 };
    let decimals = if size >= 1.0 { 3_usize.saturating_sub(before) } else { 3 };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_decide() {
        let measured =
            |value: f64, half: f64| Measured { value, ci95: [value - half, value + half], n: 100 };
        assert_eq!(measured(0.2, 0.1).below(measured(0.5, 0.1)), Verdict::Agrees);
        assert_eq!(measured(0.5, 0.1).below(measured(0.2, 0.1)), Verdict::Differs);
        assert_eq!(measured(0.2, 0.1).below(measured(0.35, 0.1)), Verdict::Undecided);
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

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text::{Refusal, Written, number, range, split};
use crate::error::TrainingError;

const ACCEPTED: &str = "a number (8e-4), steps:RATE@EPOCH,…xFACTOR (steps:8e-4@7,14x0.1), \
    exponential:FROM..TO (exponential:1e-4..1e-6), cosine:FROM..TO (cosine:0.1..0), \
    one-cycle:PEAK@SHARE (one-cycle:0.1@0.3) and cyclic:LOW..HIGH@EPOCHS (cyclic:0..0.2@10)";

/// How far below its peak the one-cycle rate starts (PyTorch's `div_factor`).
const ONE_CYCLE_START: f64 = 25.0;
/// How far below its start the one-cycle rate ends (PyTorch's `final_div_factor`).
const ONE_CYCLE_END: f64 = 1e4;

/// The learning rate over a run, as a function of the time in epochs: batch `b` of `B` in epoch
/// `e` (from 0) is at `e + b/B`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum LearningRate {
    /// The same throughout: `8e-4`.
    Constant(f64),
    /// Multiplied by `factor` when each milestone, in completed epochs, is reached:
    /// `steps:8e-4@7,14x0.1`.
    Steps {
        /// Rate at the start.
        rate: f64,
        /// Completed epochs at which it changes, ascending.
        milestones: Vec<f64>,
        /// What it is multiplied by.
        factor: f64,
    },
    /// Falls by equal factors: `exponential:1e-4..1e-6`, the paper's.
    Exponential {
        /// Rate at the start.
        from: f64,
        /// Rate at the end of the run.
        to: f64,
    },
    /// Half a cosine (Loshchilov & Hutter 2017): `cosine:0.1..0`.
    Cosine {
        /// Rate at the start.
        from: f64,
        /// Rate at the end of the run.
        to: f64,
    },
    /// Half a cosine up from peak/25, then one down to peak/250000 (Smith & Topin 2018, with
    /// PyTorch's constants): `one-cycle:0.1@0.3`.
    OneCycle {
        /// The largest rate.
        peak: f64,
        /// The share of the run after which it is reached, above 0 and below 1.
        rise: f64,
    },
    /// Up and down along straight lines (Smith 2017): `cyclic:0..0.2@10`.
    Cyclic {
        /// Rate at the start of each period.
        low: f64,
        /// Rate in the middle of each period.
        high: f64,
        /// Length of a period in epochs, above 0.
        period: f64,
    },
}

/// From `from` to `to` along half a cosine, for a share in [0, 1].
fn half_cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * share).cos()) / 2.0
}

impl LearningRate {
    /// The rate at a time in epochs, of a run of `epochs`.
    pub fn at(&self, time: f64, epochs: f64) -> f64 {
        let share = if epochs > 0.0 { (time / epochs).clamp(0.0, 1.0) } else { 0.0 };
        match self {
            Self::Constant(rate) => *rate,
            Self::Steps { rate, milestones, factor } => {
                let passed = milestones.iter().filter(|&&milestone| time >= milestone).count();
                rate * factor.powi(passed as i32)
            }
            Self::Exponential { from, to } => from.powf(1.0 - share) * to.powf(share),
            Self::Cosine { from, to } => half_cosine(*from, *to, share),
            Self::OneCycle { peak, rise } => {
                let start = peak / ONE_CYCLE_START;
                if share < *rise {
                    half_cosine(start, *peak, share / rise)
                } else {
                    half_cosine(*peak, start / ONE_CYCLE_END, (share - rise) / (1.0 - rise))
                }
            }
            Self::Cyclic { low, high, period } => {
                let phase = (time / period).fract();
                low + (high - low) * (1.0 - (2.0 * phase - 1.0).abs())
            }
        }
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let Some((kind, rest)) = text.split_once(':') else {
            return number(text).map(Self::Constant);
        };
        Ok(match kind {
            "steps" => {
                let (rate, rest) = split(rest, '@')?;
                let (milestones, factor) = split(rest, 'x')?;
                Self::Steps {
                    rate: number(rate)?,
                    milestones: milestones.split(',').map(number).collect::<Result<_, _>>()?,
                    factor: number(factor)?,
                }
            }
            "exponential" => {
                let (from, to) = range(rest)?;
                Self::Exponential { from, to }
            }
            "cosine" => {
                let (from, to) = range(rest)?;
                Self::Cosine { from, to }
            }
            "one-cycle" => {
                let (peak, rise) = split(rest, '@')?;
                Self::OneCycle { peak: number(peak)?, rise: number(rise)? }
            }
            "cyclic" => {
                let (rates, period) = split(rest, '@')?;
                let (low, high) = range(rates)?;
                Self::Cyclic { low, high, period: number(period)? }
            }
            _ => return Err(format!("unknown kind `{kind}`")),
        })
    }

    /// Whether its numbers make a schedule.
    fn check(&self) -> Result<(), Refusal> {
        let positive = |what: &str, value: f64| {
            let fits = value > 0.0 && value.is_finite();
            fits.then_some(()).ok_or(format!("{what} is {value}, accepted is above 0"))
        };
        let not_negative = |what: &str, value: f64| {
            let fits = value >= 0.0 && value.is_finite();
            fits.then_some(()).ok_or(format!("{what} is {value}, accepted is 0 or more"))
        };
        match self {
            Self::Constant(rate) => positive("the rate", *rate),
            Self::Steps { rate, milestones, factor } => {
                positive("the rate", *rate)?;
                positive("the factor", *factor)?;
                positive("the first milestone", milestones.first().copied().unwrap_or(0.0))?;
                match milestones.windows(2).find(|pair| pair[0] >= pair[1]) {
                    Some(pair) => {
                        Err(format!("milestones must ascend, {} is before {}", pair[0], pair[1]))
                    }
                    None => Ok(()),
                }
            }
            Self::Exponential { from, to } => {
                positive("the first rate", *from).and_then(|()| positive("the last rate", *to))
            }
            Self::Cosine { from, to } => {
                positive("the first rate", *from).and_then(|()| not_negative("the last rate", *to))
            }
            Self::OneCycle { peak, rise } => {
                positive("the peak", *peak)?;
                let fits = *rise > 0.0 && *rise < 1.0;
                fits.then_some(())
                    .ok_or(format!("the share is {rise}, accepted is between 0 and 1"))
            }
            Self::Cyclic { low, high, period } => {
                not_negative("the lowest rate", *low)?;
                positive("the highest rate", *high)?;
                positive("the period", *period)
            }
        }
    }
}

impl FromStr for LearningRate {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self, TrainingError> {
        let refuse = |reason| TrainingError::Schedule {
            what: "learning rate",
            text: text.to_owned(),
            reason,
            accepted: ACCEPTED,
        };
        let schedule = Self::parse(text.trim()).map_err(refuse)?;
        schedule.check().map_err(refuse)?;
        Ok(schedule)
    }
}

impl fmt::Display for LearningRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(rate) => write!(formatter, "{rate}"),
            Self::Steps { rate, milestones, factor } => {
                let milestones: Vec<String> = milestones.iter().map(f64::to_string).collect();
                write!(formatter, "steps:{rate}@{}x{factor}", milestones.join(","))
            }
            Self::Exponential { from, to } => write!(formatter, "exponential:{from}..{to}"),
            Self::Cosine { from, to } => write!(formatter, "cosine:{from}..{to}"),
            Self::OneCycle { peak, rise } => write!(formatter, "one-cycle:{peak}@{rise}"),
            Self::Cyclic { low, high, period } => {
                write!(formatter, "cyclic:{low}..{high}@{period}")
            }
        }
    }
}

impl TryFrom<Written> for LearningRate {
    type Error = TrainingError;

    fn try_from(written: Written) -> Result<Self, TrainingError> {
        written.into_text().parse()
    }
}

impl From<LearningRate> for String {
    fn from(schedule: LearningRate) -> Self {
        schedule.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Rates at the given times of a run of 20 epochs, within rounding.
    fn check(text: &str, expected: &[(f64, f64)]) {
        let schedule: LearningRate = text.parse().unwrap();
        for &(time, expected) in expected {
            let found = schedule.at(time, 20.0);
            assert!((found - expected).abs() <= 1e-12 * expected.max(1e-3), "{time}: {found}");
        }
    }

    #[test]
    fn closed_forms() {
        check("8e-4", &[(0.0, 8e-4), (19.9, 8e-4)]);
        check("steps:8e-4@7,14x0.1", &[(0.0, 8e-4), (6.99, 8e-4), (7.0, 8e-5), (14.0, 8e-6)]);
        check("exponential:1e-4..1e-6", &[(0.0, 1e-4), (10.0, 1e-5), (20.0, 1e-6)]);
        check("cosine:0.1..0", &[(0.0, 0.1), (5.0, 0.05 * (1.0 + 0.5f64.sqrt())), (20.0, 0.0)]);
        // PyTorch: initial_lr = max_lr/25, min_lr = initial_lr/1e4.
        check("one-cycle:0.5@0.25", &[(0.0, 0.02), (2.5, 0.26), (5.0, 0.5), (20.0, 2e-6)]);
        check(
            "cyclic:0..0.2@10",
            &[(0.0, 0.0), (2.5, 0.1), (5.0, 0.2), (7.5, 0.1), (10.0, 0.0), (15.0, 0.2)],
        );
    }

    #[test]
    fn refusals_name_the_fault_and_the_accepted_forms() {
        for (text, fault) in [
            ("0", "accepted is above 0"),
            ("inf", "no finite number"),
            ("steps:0.1@14,7x0.1", "must ascend"),
            ("steps:0.1@7", "`x` is missing"),
            ("exponential:1e-4..0", "the last rate is 0"),
            ("one-cycle:0.1@1", "between 0 and 1"),
            ("cyclic:0..0.2@0", "the period is 0"),
            ("warm:1", "unknown kind `warm`"),
        ] {
            let message = text.parse::<LearningRate>().unwrap_err().to_string();
            assert!(message.contains(fault), "{text}: {message}");
            assert!(message.contains("exponential:FROM..TO"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_give_the_same(
            kind in 0..6, a in 1e-9..10f64, b in 1e-9..10f64, share in 0.01..0.99f64,
        ) {
            let schedule = match kind {
                0 => LearningRate::Constant(a),
                1 => LearningRate::Steps { rate: a, milestones: vec![b, b + 1.5], factor: share },
                2 => LearningRate::Exponential { from: a, to: b },
                3 => LearningRate::Cosine { from: a, to: b },
                4 => LearningRate::OneCycle { peak: a, rise: share },
                _ => LearningRate::Cyclic { low: a, high: b, period: share },
            };
            prop_assert_eq!(schedule.to_string().parse::<LearningRate>().unwrap(), schedule);
        }

        #[test]
        fn rates_are_finite_and_never_negative(
            index in 0..6usize, time in 0.0..20f64,
        ) {
            let texts = ["0.1", "steps:0.1@3,9x0.5", "exponential:1e-4..1e-6", "cosine:0.1..0",
                "one-cycle:0.1@0.3", "cyclic:0..0.2@7"];
            let rate = texts[index].parse::<LearningRate>().unwrap().at(time, 20.0);
            prop_assert!(rate.is_finite() && rate >= -1e-18, "{}", rate);
        }
    }
}

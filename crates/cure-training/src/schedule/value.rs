use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text::{Refusal, Written, epochs, number, range, split};
use crate::error::TrainingError;

const ACCEPTED: &str = "a number (4 or 8/255), linear:FROM..TO@EPOCHS (linear:0.1..3@5), \
    geometric:FROM..TO@EPOCHS (geometric:0.02..0.6@5) and steps:VALUExEPOCHS,… \
    (steps:4x10,8x5,12x5)";

/// A parameter of the objective over a run: one value an epoch, which later epochs keep once the
/// schedule has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum ValueSchedule {
    /// The same in every epoch: `0.3`.
    Constant(f64),
    /// Equal steps: `from` in the first epoch, `to` in epoch `over` and after it:
    /// `linear:0.1..3@5`. (The paper's h rises from 0 to 1.5 in five epochs, section 4.)
    Linear {
        /// Value in the first epoch.
        from: f64,
        /// Value in epoch `over` and after it.
        to: f64,
        /// Number of epochs, counted from the first, in which it is reached.
        over: usize,
    },
    /// Equal factors instead of equal steps, for a ramp from a tiny start:
    /// `geometric:0.02..0.6@5`. Both ends are above 0.
    Geometric {
        /// Value in the first epoch.
        from: f64,
        /// Value in epoch `over` and after it.
        to: f64,
        /// Number of epochs, counted from the first, in which it is reached.
        over: usize,
    },
    /// Piecewise constant: `steps:4x10,8x5,12x5` is the paper's γ for SVHN. The last value stays.
    Steps(Vec<Stage>),
}

/// A value held for some epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// The value.
    pub value: f64,
    /// For how many epochs.
    pub epochs: usize,
}

impl ValueSchedule {
    /// The value in an epoch, counted from 0.
    pub fn at(&self, epoch: usize) -> f64 {
        /// Share of the way from the first epoch to the `over`-th; both ends are met exactly.
        fn share(epoch: usize, over: usize) -> f64 {
            if epoch + 1 >= over { 1.0 } else { epoch as f64 / (over - 1) as f64 }
        }
        match self {
            Self::Constant(value) => *value,
            Self::Linear { from, to, over } => {
                let share = share(epoch, *over);
                from * (1.0 - share) + to * share
            }
            Self::Geometric { from, to, over } => {
                let share = share(epoch, *over);
                from.powf(1.0 - share) * to.powf(share)
            }
            Self::Steps(stages) => {
                let mut end = 0;
                let current = stages.iter().find(|stage| {
                    end += stage.epochs;
                    epoch < end
                });
                current.or(stages.last()).map_or(0.0, |stage| stage.value)
            }
        }
    }

    /// Every value it takes, for checking their range: the ends of a ramp, each step.
    pub fn extremes(&self) -> Vec<f64> {
        match self {
            Self::Constant(value) => vec![*value],
            Self::Linear { from, to, .. } | Self::Geometric { from, to, .. } => vec![*from, *to],
            Self::Steps(stages) => stages.iter().map(|stage| stage.value).collect(),
        }
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let Some((kind, rest)) = text.split_once(':') else {
            return number(text).map(Self::Constant);
        };
        let ramp = || {
            let (values, over) = split(rest, '@')?;
            let (from, to) = range(values)?;
            Ok::<_, Refusal>((from, to, epochs(over)?))
        };
        match kind {
            "linear" => ramp().map(|(from, to, over)| Self::Linear { from, to, over }),
            "geometric" => match ramp()? {
                (from, to, over) if from > 0.0 && to > 0.0 => {
                    Ok(Self::Geometric { from, to, over })
                }
                _ => Err("both ends of a geometric ramp must be above 0".into()),
            },
            "steps" => rest
                .split(',')
                .map(|stage| {
                    let (value, length) = split(stage, 'x')?;
                    Ok(Stage { value: number(value)?, epochs: epochs(length)? })
                })
                .collect::<Result<_, _>>()
                .map(Self::Steps),
            _ => Err(format!("unknown kind `{kind}`")),
        }
    }
}

impl FromStr for ValueSchedule {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self, TrainingError> {
        let refuse = |reason| TrainingError::Schedule {
            what: "schedule",
            text: text.to_owned(),
            reason,
            accepted: ACCEPTED,
        };
        Self::parse(text.trim()).map_err(refuse)
    }
}

impl fmt::Display for ValueSchedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(formatter, "{value}"),
            Self::Linear { from, to, over } => write!(formatter, "linear:{from}..{to}@{over}"),
            Self::Geometric { from, to, over } => {
                write!(formatter, "geometric:{from}..{to}@{over}")
            }
            Self::Steps(stages) => {
                for (index, Stage { value, epochs }) in stages.iter().enumerate() {
                    let before = if index == 0 { "steps:" } else { "," };
                    write!(formatter, "{before}{value}x{epochs}")?;
                }
                Ok(())
            }
        }
    }
}

impl TryFrom<Written> for ValueSchedule {
    type Error = TrainingError;

    fn try_from(written: Written) -> Result<Self, TrainingError> {
        written.into_text().parse()
    }
}

impl From<ValueSchedule> for String {
    fn from(schedule: ValueSchedule) -> Self {
        schedule.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(text: &str, epochs: usize) -> Vec<f64> {
        let schedule: ValueSchedule = text.parse().unwrap();
        (0..epochs).map(|epoch| schedule.at(epoch)).collect()
    }

    #[test]
    fn ramps_meet_both_ends_and_stay() {
        assert_eq!(values("linear:0..1.5@4", 6), [0.0, 0.5, 1.0, 1.5, 1.5, 1.5]);
        assert_eq!(values("linear:3..1@1", 2), [1.0, 1.0]);
        let geometric = values("geometric:0.25..4@5", 6);
        for (found, expected) in geometric.iter().zip([0.25, 0.5, 1.0, 2.0, 4.0, 4.0]) {
            assert!((found / expected - 1.0).abs() < 1e-14, "{geometric:?}");
        }
        assert_eq!(geometric[4], 4.0);
    }

    #[test]
    fn lengths_may_be_fractions() {
        assert_eq!(values("linear:2/255..8/255@3", 3), [2.0 / 255.0, 5.0 / 255.0, 8.0 / 255.0]);
        assert_eq!(values("steps:1/255x1,4/255x1", 2), [1.0 / 255.0, 4.0 / 255.0]);
    }

    #[test]
    fn the_papers_gamma_for_svhn() {
        let gamma = values("steps:4x10,8x5,12x5", 22);
        assert_eq!(gamma[..10], [4.0; 10]);
        assert_eq!(gamma[10..15], [8.0; 5]);
        assert_eq!(gamma[15..], [12.0; 7]);
    }

    #[test]
    fn a_number_in_toml_needs_no_quotes() {
        #[derive(Deserialize)]
        struct Holder {
            gamma: ValueSchedule,
            h: ValueSchedule,
        }
        let holder: Holder = toml::from_str("gamma = 4\nh = 'linear:0.1..3@5'").unwrap();
        assert_eq!(holder.gamma, ValueSchedule::Constant(4.0));
        assert_eq!(holder.h, ValueSchedule::Linear { from: 0.1, to: 3.0, over: 5 });
    }

    #[test]
    fn refusals_name_the_fault_and_the_accepted_forms() {
        for (text, fault) in [
            ("", "is no finite number"),
            ("nan", "`nan` is no finite number"),
            ("8/0", "`8/0` is no finite number"),
            ("linear:0..1", "`@` is missing"),
            ("linear:01@5", "no range FROM..TO"),
            ("linear:0..1@0", "`0` is no number of epochs"),
            ("geometric:0..1@5", "above 0"),
            ("steps:4x10,", "`x` is missing"),
            ("ramp:1", "unknown kind `ramp`"),
        ] {
            let message = text.parse::<ValueSchedule>().unwrap_err().to_string();
            assert!(message.contains(fault), "{text}: {message}");
            assert!(message.contains("linear:FROM..TO@EPOCHS"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_give_the_same(
            kind in 0..4, from in 1e-9..1e9f64, to in 1e-9..1e9f64, over in 1..1000usize,
        ) {
            let schedule = match kind {
                0 => ValueSchedule::Constant(-from),
                1 => ValueSchedule::Linear { from, to: -to, over },
                2 => ValueSchedule::Geometric { from, to, over },
                _ => ValueSchedule::Steps(vec![
                    Stage { value: from, epochs: over },
                    Stage { value: -to, epochs: 1 },
                ]),
            };
            prop_assert_eq!(schedule.to_string().parse::<ValueSchedule>().unwrap(), schedule);
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = text.parse::<ValueSchedule>().map(|schedule| schedule.at(3));
        }
    }
}

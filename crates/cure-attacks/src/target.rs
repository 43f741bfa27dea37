use std::fmt;
use std::str::FromStr;

use crate::error::{AttackError, Result};

/// Which class a targeted attack aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The class after the label, the first after the last.
    Next,
    /// The class of the smallest logit of the clean image.
    LeastLikely,
    /// This class; images that belong to it are aimed at the next one.
    Class(usize),
}

impl Target {
    /// The class aimed at, from the label and the clean image's logits.
    pub(crate) fn of(self, label: usize, logits: &[f32]) -> usize {
        let next = |class: usize| (class + 1) % logits.len().max(1);
        let least = || {
            let other = (0..logits.len()).filter(|&class| class != label);
            other.min_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(label)
        };
        match self {
            Self::Next => next(label),
            Self::LeastLikely => least(),
            Self::Class(class) if class == label => next(class),
            Self::Class(class) => class,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next => out.write_str("next"),
            Self::LeastLikely => out.write_str("least-likely"),
            Self::Class(class) => write!(out, "{class}"),
        }
    }
}

impl FromStr for Target {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "next" => Ok(Self::Next),
            "least-likely" => Ok(Self::LeastLikely),
            other => other.parse().map(Self::Class).map_err(|_| AttackError::Parameter {
                attack: "any attack",
                parameter: "target",
                value: other.into(),
                reason: "accepted are next, least-likely and the number of a class".into(),
            }),
        }
    }
}

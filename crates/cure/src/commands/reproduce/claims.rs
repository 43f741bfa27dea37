//! What the paper says, and whether the numbers found agree.

use serde::Serialize;

use crate::measured::{Change, Measured};

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

    /// Of a statement about both, what the two of them leave.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Differs, _) | (_, Self::Differs) => Self::Differs,
            (Self::Undecided, _) | (_, Self::Undecided) => Self::Undecided,
            _ => Self::Agrees,
        }
    }

    /// Of a statement that something gets smaller.
    pub(super) fn lower(change: Change) -> Self {
        match change {
            Change::Lower => Self::Agrees,
            Change::Higher => Self::Differs,
            Change::Unclear => Self::Undecided,
        }
    }

    /// Of one that it gets larger.
    pub(super) fn higher(change: Change) -> Self {
        match change {
            Change::Higher => Self::Agrees,
            Change::Lower => Self::Differs,
            Change::Unclear => Self::Undecided,
        }
    }

    /// Whether one number is below another.
    pub(super) fn below(low: Measured, high: Measured) -> Self {
        Self::lower(low.against(high))
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

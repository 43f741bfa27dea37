//! The table of attacks: whatever can be named on the command line, in the order it is listed.

use std::fmt;

use crate::attack::AttackSpec;
use crate::epsilon::Norm;
use crate::error::{AttackError, Result};
use crate::parameters::{Parameter, Parameters};
use crate::{apgd, autoattack, carlini_wagner, ddn, deepfool, fab, fgsm, noise, pgd, spsa, square};

/// What an attack must know of the classifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// Gradients with respect to the input.
    Gradients,
    /// Logits alone.
    Logits,
    /// Nothing.
    Nothing,
    /// Both kinds, one after the other.
    Everything,
}

impl fmt::Display for Knowledge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Gradients => "gradients",
            Self::Logits => "logits",
            Self::Nothing => "nothing",
            Self::Everything => "gradients, logits",
        })
    }
}

/// What an attack looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A misclassified image within ε.
    Budget,
    /// The nearest misclassified image; ε, where it is given, only judges it.
    Minimal,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Budget => "budget",
            Self::Minimal => "minimal",
        })
    }
}

/// What is known of an attack without running it: a row of the table of attacks.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What stands before the colon.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it must know.
    pub knowledge: Knowledge,
    /// What it looks for.
    pub kind: Kind,
    /// The norms it knows.
    pub norms: &'static [Norm],
    /// Where it comes from.
    pub reference: &'static str,
    /// Forwards and backwards an image, at most.
    pub cost: &'static str,
    /// Its parameters with their defaults.
    pub parameters: &'static [Parameter],
    pub(crate) parse: fn(&Parameters<'_>) -> Result<AttackSpec>,
}

impl Entry {
    /// Whether the attack knows the norm.
    pub(crate) fn check_norm(&self, norm: Norm) -> Result<()> {
        if self.norms.contains(&norm) {
            return Ok(());
        }
        let known: Vec<String> = self.norms.iter().map(Norm::to_string).collect();
        Err(AttackError::Parameter {
            attack: self.name,
            parameter: "norm",
            value: norm.to_string(),
            reason: format!("accepted is {}", known.join(", ")),
        })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) const ATTACKS: &[Entry] = &[
    fgsm::ENTRY,
    pgd::ENTRY,
    apgd::ENTRY,
    apgd::TARGETED_ENTRY,
    square::ENTRY,
    spsa::ENTRY,
    noise::ENTRY,
    deepfool::ENTRY,
    fab::ENTRY,
    fab::TARGETED_ENTRY,
    ddn::ENTRY,
    carlini_wagner::ENTRY,
    autoattack::ENTRY,
];

/// The attacks that a specification can name.
pub fn attacks() -> &'static [Entry] {
    ATTACKS
}

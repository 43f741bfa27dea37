use std::fmt;

use super::carlini_wagner;
use crate::attack::{Attack, AttackSpec};
use crate::check;
use crate::epsilon::{Epsilon, Norm, written};
use crate::error::Result;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};

pub(crate) const ENTRY: Entry = Entry {
    name: "cw",
    title: "Carlini and Wagner's ℓ2 attack",
    knowledge: Knowledge::Gradients,
    kind: Kind::Minimal,
    norms: &[Norm::L2],
    reference: "Carlini and Wagner 2017",
    cost: "search-steps × (steps + 1 forwards, steps backwards)",
    parameters: &[
        Parameter::new("norm", "l2", "l2"),
        Parameter::new("eps", "none", "radius in pixels that a success is judged at"),
        Parameter::new("steps", "1000", "steps of Adam for each constant, at most"),
        Parameter::new("search-steps", "9", "constants tried for each image"),
        Parameter::new("step", "0.01", "learning rate of Adam"),
        Parameter::new("confidence", "0", "margin of the logits that a success must have"),
        Parameter::new("initial-const", "0.001", "first weight of the margin"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = CarliniWagnerOptions::new();
    Ok(AttackSpec::new(CarliniWagnerOptions {
        epsilon: given.get("eps")?,
        steps: given.or("steps", default.steps)?,
        search_steps: given.or("search-steps", default.search_steps)?,
        step: given.or("step", default.step)?,
        confidence: given.or("confidence", default.confidence)?,
        initial_const: given.or("initial-const", default.initial_const)?,
        ..default
    }))
}

/// The parameters of [`carlini_wagner`]. The defaults are those of [`CarliniWagnerOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct CarliniWagnerOptions {
    /// ε, the radius in pixels that a success is judged at. Default none.
    pub epsilon: Option<Epsilon>,
    /// Steps of Adam for each constant, at most: a sample whose loss has not fallen by a ten
    /// thousandth in a tenth of them stops. Default 1000.
    pub steps: usize,
    /// Constants tried for each sample: times ten until one succeeds, then halving the interval.
    /// Default 9.
    pub search_steps: usize,
    /// The learning rate of Adam, in the space of arctanh(2x − 1). Default 0.01.
    pub step: f64,
    /// κ, the margin max z_j − z_y that is pushed for, and that a success must exceed where κ is
    /// over 0 and the sample has such successes. Default 0.
    pub confidence: f64,
    /// The first constant c. Default 0.001.
    pub initial_const: f64,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl CarliniWagnerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            epsilon: None,
            steps: 1000,
            search_steps: 9,
            step: 0.01,
            confidence: 0.0,
            initial_const: 1e-3,
            region: None,
        }
    }
}

impl Default for CarliniWagnerOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Attack for CarliniWagnerOptions {
    usual!(carlini_wagner: name, epsilon, at, region, run);

    fn norm(&self) -> Norm {
        Norm::L2
    }

    fn check(&self, dimension: Option<usize>, _: Option<usize>) -> Result<()> {
        let name = ENTRY.name;
        self.epsilon.map_or(Ok(()), |epsilon| epsilon.check_within("ε", Norm::L2, dimension))?;
        for (parameter, value) in [("steps", self.steps), ("search-steps", self.search_steps)] {
            check::parameter(value > 0, name, parameter, value, "at least 1 is needed")?;
        }
        for (parameter, value) in [("step", self.step), ("initial-const", self.initial_const)] {
            let accepted = value > 0.0 && value.is_finite();
            check::parameter(accepted, name, parameter, value, "a finite number over 0 is needed")?;
        }
        let accepted = self.confidence >= 0.0 && self.confidence.is_finite();
        let reason = "a finite number, 0 or more, is needed";
        check::parameter(accepted, name, "confidence", self.confidence, reason)
    }
}

impl fmt::Display for CarliniWagnerOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cw:norm=l2,{}steps={}", written(self.epsilon), self.steps)?;
        write!(out, ",search-steps={},step={}", self.search_steps, self.step)?;
        write!(out, ",confidence={},initial-const={}", self.confidence, self.initial_const)
    }
}

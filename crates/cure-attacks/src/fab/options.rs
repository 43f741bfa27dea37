use std::fmt;

use super::fab;
use crate::attack::{Attack, AttackSpec};
use crate::check;
use crate::epsilon::{Epsilon, Norm, written};
use crate::error::Result;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};

const NORMS: &[Norm] = &[Norm::Linf, Norm::L2, Norm::L1];
const REFERENCE: &str = "Croce and Hein 2020 (FAB)";
const NORM: Parameter = Parameter::new("norm", "linf", "linf, l2 or l1");
const EPS: Parameter = Parameter::new(
    "eps",
    "none",
    "radius in pixels that a success is judged at, ends a sample's restarts, and bounds random starts",
);
const STEPS: Parameter = Parameter::new("steps", "100", "steps of each restart");
const RESTARTS: Parameter =
    Parameter::new("restarts", "1", "runs; all but the first from a random start");
const ALPHA_MAX: Parameter =
    Parameter::new("alpha-max", "0.1", "largest weight of the way back to the image");
const ETA: Parameter = Parameter::new("eta", "1.05", "factor by which steps are lengthened");
const BETA: Parameter =
    Parameter::new("beta", "0.9", "share of the perturbation kept after a success");

pub(crate) const ENTRY: Entry = Entry {
    name: "fab",
    title: "fast adaptive boundary attack",
    knowledge: Knowledge::Gradients,
    kind: Kind::Minimal,
    norms: NORMS,
    reference: REFERENCE,
    cost: "restarts·steps × (2 forwards, classes − 1 backwards)",
    parameters: &[NORM, EPS, STEPS, RESTARTS, ALPHA_MAX, ETA, BETA],
    parse: |given| parse(given, None),
};

pub(crate) const TARGETED_ENTRY: Entry = Entry {
    name: "fab-t",
    title: "fast adaptive boundary attack, one class after the other",
    cost: "targets·restarts·steps × (2 forwards, 1 backward)",
    parameters: &[
        NORM,
        EPS,
        STEPS,
        RESTARTS,
        Parameter::new("targets", "9", "likeliest wrong classes aimed at, at most all"),
        ALPHA_MAX,
        ETA,
        BETA,
    ],
    parse: |given| parse(given, Some(given.or("targets", 9)?)),
    ..ENTRY
};

fn parse(given: &Parameters<'_>, targets: Option<usize>) -> Result<AttackSpec> {
    let default = FabOptions::new(given.or("norm", Norm::Linf)?);
    Ok(AttackSpec::new(FabOptions {
        epsilon: given.get("eps")?,
        steps: given.or("steps", default.steps)?,
        restarts: given.or("restarts", default.restarts)?,
        targets,
        alpha_max: given.or("alpha-max", default.alpha_max)?,
        eta: given.or("eta", default.eta)?,
        beta: given.or("beta", default.beta)?,
        ..default
    }))
}

/// The parameters of [`fab`]. The defaults are those of [`FabOptions::new`], AutoAttack's.
#[derive(Clone, Debug, PartialEq)]
pub struct FabOptions {
    /// The norm to minimise. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius in pixels that a success is judged at. A sample that was solved within it sits
    /// out further restarts and targets. Random starts are at most ε/2 away; without an ε, half of
    /// 0.3 in ℓ∞, of 1 in ℓ2, of 5 in ℓ1. Default none.
    pub epsilon: Option<Epsilon>,
    /// Steps of each restart. Default 100.
    pub steps: usize,
    /// Runs; all but the first from a random start. Default 1.
    pub restarts: usize,
    /// FAB-T: how many of the clean image's likeliest wrong classes are aimed at, one run of
    /// restarts each; at most all. Default none: the nearest boundary of all classes.
    pub targets: Option<usize>,
    /// The largest weight of the way back to the image. Default 0.1.
    pub alpha_max: f64,
    /// η, the factor by which steps are lengthened. Default 1.05.
    pub eta: f64,
    /// β, the share of its perturbation that an iterate keeps after a success. Default 0.9.
    pub beta: f64,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl FabOptions {
    /// The defaults at a norm, untargeted.
    pub fn new(norm: Norm) -> Self {
        Self {
            norm,
            epsilon: None,
            steps: 100,
            restarts: 1,
            targets: None,
            alpha_max: 0.1,
            eta: 1.05,
            beta: 0.9,
            region: None,
        }
    }

    /// FAB-T's defaults at a norm: nine targets.
    pub fn targeted(norm: Norm) -> Self {
        Self { targets: Some(9), ..Self::new(norm) }
    }

    /// The radius that a success of the batch's sample `row` is judged at.
    pub(super) fn judged_at(&self, row: usize) -> Option<Epsilon> {
        self.region.as_ref().and_then(|region| region.radius(row)).or(self.epsilon)
    }

    /// How far from the image a random start would be, if that were not halved.
    pub(super) fn radius(&self, row: usize) -> f64 {
        self.judged_at(row).map_or_else(
            || match self.norm {
                Norm::Linf => 0.3,
                Norm::L2 => 1.0,
                Norm::L1 => 5.0,
            },
            Epsilon::value,
        )
    }
}

impl Attack for FabOptions {
    usual!(fab: norm, epsilon, at, region, run);

    fn name(&self) -> &'static str {
        if self.targets.is_some() { TARGETED_ENTRY.name } else { ENTRY.name }
    }

    fn check(&self, dimension: Option<usize>, _: Option<usize>) -> Result<()> {
        self.epsilon.map_or(Ok(()), |epsilon| epsilon.check_within("ε", self.norm, dimension))?;
        let counts = [("steps", self.steps), ("restarts", self.restarts)];
        for (parameter, value) in counts.into_iter().chain(self.targets.map(|n| ("targets", n))) {
            check::parameter(value > 0, self.name(), parameter, value, "at least 1 is needed")?;
        }
        for (parameter, value) in [("alpha-max", self.alpha_max), ("beta", self.beta)] {
            let accepted = (0.0..=1.0).contains(&value);
            check::parameter(
                accepted,
                self.name(),
                parameter,
                value,
                "a share, 0 to 1, is needed",
            )?;
        }
        let accepted = self.eta >= 1.0 && self.eta.is_finite();
        let reason = "a finite number, 1 or more, is needed";
        check::parameter(accepted, self.name(), "eta", self.eta, reason)
    }
}

impl fmt::Display for FabOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:norm={},{}", self.name(), self.norm, written(self.epsilon))?;
        write!(out, "steps={},restarts={}", self.steps, self.restarts)?;
        if let Some(targets) = self.targets {
            write!(out, ",targets={targets}")?;
        }
        let default = Self::new(self.norm);
        for (name, value, usual) in [
            ("alpha-max", self.alpha_max, default.alpha_max),
            ("eta", self.eta, default.eta),
            ("beta", self.beta, default.beta),
        ] {
            if value != usual {
                write!(out, ",{name}={value}")?;
            }
        }
        Ok(())
    }
}

use std::fmt;
use std::str::FromStr;

use super::deepfool;
use crate::attack::{Attack, AttackSpec};
use crate::check;
use crate::epsilon::{Epsilon, Norm, written};
use crate::error::{AttackError, Result, hint};
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};

pub(crate) const ENTRY: Entry = Entry {
    name: "deepfool",
    title: "steps to the nearest linearised boundary",
    knowledge: Knowledge::Gradients,
    kind: Kind::Minimal,
    norms: &[Norm::L2, Norm::Linf],
    reference: "Moosavi-Dezfooli et al. 2016",
    cost: "2·steps + 1 forwards, steps·(candidates − 1) backwards",
    parameters: &[
        Parameter::new("norm", "l2", "l2 or linf"),
        Parameter::new("eps", "none", "radius in pixels that a success is judged at"),
        Parameter::new("preset", "foolbox", "foolbox, paper or true-label: whose variant"),
        Parameter::new("steps", "50", "steps at most"),
        Parameter::new("overshoot", "0.02", "share by which steps go beyond the boundary"),
        Parameter::new("candidates", "10", "likeliest classes considered, the label included"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = DeepFoolOptions::new(given.or("norm", Norm::L2)?);
    let preset = given.or("preset", default.preset)?;
    let candidates: Option<usize> = given.get("candidates")?;
    if let (Preset::TrueLabel, Some(candidates)) = (preset, candidates) {
        let reason = "preset=true-label considers all classes; leave candidates out";
        check::parameter(false, ENTRY.name, "candidates", candidates, reason)?;
    }
    Ok(AttackSpec::new(DeepFoolOptions {
        epsilon: given.get("eps")?,
        preset,
        steps: given.or("steps", default.steps)?,
        overshoot: given.or("overshoot", default.overshoot)?,
        candidates: candidates.unwrap_or(default.candidates),
        ..default
    }))
}

/// Whose DeepFool. All take the label as the class to leave: who takes the predicted class instead
/// means the same, for an image that is not classified as its label is done before the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// `foolbox`, Foolbox 3.3.4: the likeliest classes of the clean image, 1e-4 added to each
    /// distance and 1e-8 to ‖w‖, the overshoot on the whole perturbation, each iterate clipped.
    #[default]
    Foolbox,
    /// `paper`, the authors' program: as Foolbox, without the 1e-8, and the iteration is not
    /// clipped. So it asks the classifier about gradients outside [0, 1]; what is judged and returned
    /// is each iterate's nearest point inside.
    Paper,
    /// `true-label`, torchattacks 3.5.1: all classes, nothing added, the overshoot on each step, each
    /// iterate clipped.
    TrueLabel,
}

const PRESETS: [&str; 3] = ["foolbox", "paper", "true-label"];

impl Preset {
    /// Added to the distance of each step, in pixels.
    pub(super) fn extra(self) -> f64 {
        if self == Self::TrueLabel { 0.0 } else { 1e-4 }
    }

    /// Added to ‖w‖.
    pub(super) fn tiny(self) -> f64 {
        if self == Self::Foolbox { 1e-8 } else { 0.0 }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Foolbox => PRESETS[0],
            Self::Paper => PRESETS[1],
            Self::TrueLabel => PRESETS[2],
        })
    }
}

impl FromStr for Preset {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "foolbox" => Ok(Self::Foolbox),
            "paper" => Ok(Self::Paper),
            "true-label" => Ok(Self::TrueLabel),
            other => Err(AttackError::Parameter {
                attack: ENTRY.name,
                parameter: "preset",
                value: other.into(),
                reason: format!("accepted are {}{}", PRESETS.join(", "), hint(other, &PRESETS)),
            }),
        }
    }
}

/// The parameters of [`deepfool`]. The defaults are those of [`DeepFoolOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct DeepFoolOptions {
    /// The norm to minimise, ℓ2 or ℓ∞. Default ℓ2.
    pub norm: Norm,
    /// ε, the radius in pixels that a success is judged at. Default none.
    pub epsilon: Option<Epsilon>,
    /// Whose variant. Default Foolbox's.
    pub preset: Preset,
    /// Steps at most. Default 50.
    pub steps: usize,
    /// The share by which steps go beyond the boundary. Default 0.02.
    pub overshoot: f64,
    /// How many of the clean image's likeliest classes are considered, the label included (all of
    /// them in [`Preset::TrueLabel`]). Default 10.
    pub candidates: usize,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl DeepFoolOptions {
    /// The defaults at a norm.
    pub fn new(norm: Norm) -> Self {
        Self {
            norm,
            epsilon: None,
            preset: Preset::default(),
            steps: 50,
            overshoot: 0.02,
            candidates: 10,
            region: None,
        }
    }
}

impl Attack for DeepFoolOptions {
    usual!(deepfool: name, norm, epsilon, at, region, run);

    fn check(&self, dimension: Option<usize>, _: Option<usize>) -> Result<()> {
        let name = ENTRY.name;
        self.epsilon.map_or(Ok(()), |epsilon| epsilon.check_within("ε", self.norm, dimension))?;
        check::parameter(self.norm != Norm::L1, name, "norm", self.norm, "accepted are l2, linf")?;
        check::parameter(self.steps > 0, name, "steps", self.steps, "at least 1 is needed")?;
        let is_share = self.overshoot >= 0.0 && self.overshoot.is_finite();
        let reason = "a finite number, 0 or more, is needed";
        check::parameter(is_share, name, "overshoot", self.overshoot, reason)?;
        let reason = "at least 2 are needed, the label and one other";
        check::parameter(self.candidates > 1, name, "candidates", self.candidates, reason)
    }
}

impl fmt::Display for DeepFoolOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "deepfool:norm={},{}", self.norm, written(self.epsilon))?;
        write!(out, "preset={},steps={}", self.preset, self.steps)?;
        write!(out, ",overshoot={}", self.overshoot)?;
        if self.preset == Preset::TrueLabel {
            return Ok(());
        }
        write!(out, ",candidates={}", self.candidates)
    }
}

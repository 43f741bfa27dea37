//! Attacks as they are written on the command line, in configurations and in results.

use std::fmt;
use std::str::FromStr;

use cure_network::Classifier;
use cure_tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::adversarial::Adversarial;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result, hint};
use crate::loss::Loss;
use crate::pgd::{PgdOptions, fgsm, pgd};
use crate::streams::Streams;
use crate::warning::Warning;

const ATTACKS: &[&str] = &["fgsm", "pgd"];
const FGSM_PARAMETERS: &[&str] = &["norm", "eps", "loss"];
const PGD_PARAMETERS: &[&str] =
    &["norm", "eps", "loss", "steps", "step", "random-start", "restarts", "early-stop"];

/// An attack with its parameters, written `NAME:PARAMETER=VALUE,…`:
///
/// * `fgsm:norm=linf,eps=1/255`
/// * `pgd:norm=linf,eps=8/255,steps=20,step=2/255,random-start=true,restarts=1,early-stop=true`
///
/// `eps` must be given. The other defaults: norm linf, steps 20, step ε/4, random-start true,
/// restarts 1, early-stop true, loss `ce` (the other is `ce-f32`, see [`Loss`]). Shown, a specification is complete: it says every parameter
/// (`early-stop` and `loss` only where they differ from it).
///
/// ```
/// use cure_attacks::AttackSpec;
/// let spec: AttackSpec = "pgd:eps=8/255".parse()?;
/// assert_eq!(
///     spec.to_string(),
///     "pgd:norm=linf,eps=8/255,steps=20,step=2/255,random-start=true,restarts=1"
/// );
/// # Ok::<(), cure_attacks::AttackError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum AttackSpec {
    /// [`fgsm`].
    Fgsm {
        /// The norm of the ball.
        norm: Norm,
        /// Its radius.
        epsilon: Epsilon,
        /// What is climbed.
        loss: Loss,
    },
    /// [`pgd`].
    Pgd(PgdOptions),
}

impl AttackSpec {
    /// The attack's name: what stands before the colon.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fgsm { .. } => "fgsm",
            Self::Pgd(_) => "pgd",
        }
    }

    /// The norm that bounds its perturbations.
    pub fn norm(&self) -> Norm {
        match self {
            Self::Fgsm { norm, .. } => *norm,
            Self::Pgd(options) => options.norm,
        }
    }

    /// Whether the attack can run, on images of `dimension` = C·H·W pixels where that is known.
    /// (Parsing has checked all that does not need to know it.)
    ///
    /// # Errors
    /// Naming the parameter, what is accepted and the likely meaning.
    pub fn check(&self, dimension: Option<usize>) -> Result<()> {
        match self {
            Self::Fgsm { norm, epsilon, .. } => epsilon.check_within("ε", *norm, dimension),
            Self::Pgd(options) => options.check(dimension),
        }
    }

    /// What is odd about the parameters, though accepted.
    pub fn warnings(&self) -> Vec<Warning> {
        let Self::Pgd(options) = self else { return Vec::new() };
        let (step, epsilon) = (options.step.value(), options.epsilon.value());
        if step > epsilon {
            vec![Warning::StepLargerThanEpsilon { attack: self.to_string() }]
        } else if step * (options.steps as f64) < epsilon * (1.0 - 1e-9) {
            vec![Warning::OutOfReach { attack: self.to_string() }]
        } else {
            Vec::new()
        }
    }

    /// Attacks a batch.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
    ///
    /// # Errors
    /// Those of the attack.
    pub fn run(
        &self,
        classifier: &dyn Classifier,
        images: &Tensor,
        labels: &[usize],
        streams: &Streams<'_>,
    ) -> Result<Adversarial> {
        match self {
            Self::Fgsm { norm, epsilon, loss } => {
                fgsm(classifier, images, labels, *norm, *epsilon, *loss)
            }
            Self::Pgd(options) => pgd(classifier, images, labels, options, streams),
        }
    }
}

impl FromStr for AttackSpec {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let spec = match name.trim() {
            "fgsm" => {
                let given = Parameters::read("fgsm", FGSM_PARAMETERS, rest)?;
                Self::Fgsm {
                    norm: given.or("norm", norm, Norm::Linf)?,
                    epsilon: given.required("eps", length)?,
                    loss: given.or("loss", loss, Loss::default())?,
                }
            }
            "pgd" => {
                let given = Parameters::read("pgd", PGD_PARAMETERS, rest)?;
                let default = PgdOptions::new(
                    given.or("norm", norm, Norm::Linf)?,
                    given.required("eps", length)?,
                );
                Self::Pgd(PgdOptions {
                    loss: given.or("loss", loss, default.loss)?,
                    steps: given.or("steps", count, default.steps)?,
                    step: given.or("step", length, default.step)?,
                    random_start: given.or("random-start", truth, default.random_start)?,
                    restarts: given.or("restarts", count, default.restarts)?,
                    early_stop: given.or("early-stop", truth, default.early_stop)?,
                    ..default
                })
            }
            name => {
                return Err(AttackError::UnknownAttack {
                    name: name.into(),
                    known: ATTACKS.join(", "),
                    hint: hint(&name.to_ascii_lowercase(), ATTACKS),
                });
            }
        };
        spec.check(None)?;
        Ok(spec)
    }
}

impl fmt::Display for AttackSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fgsm { norm, epsilon, loss } => {
                write!(out, "fgsm:norm={norm},eps={}", epsilon.notation())?;
                other_loss(out, *loss)
            }
            Self::Pgd(PgdOptions {
                norm,
                epsilon,
                loss,
                steps,
                step,
                random_start,
                restarts,
                early_stop,
            }) => {
                let (epsilon, step) = (epsilon.notation(), step.notation());
                write!(out, "pgd:norm={norm},eps={epsilon},steps={steps},step={step},")?;
                write!(out, "random-start={random_start},restarts={restarts}")?;
                if !early_stop {
                    write!(out, ",early-stop=false")?;
                }
                other_loss(out, *loss)
            }
        }
    }
}

/// The loss, where it is not the usual one.
fn other_loss(out: &mut fmt::Formatter<'_>, loss: Loss) -> fmt::Result {
    if loss == Loss::default() { Ok(()) } else { write!(out, ",loss={loss}") }
}

impl TryFrom<String> for AttackSpec {
    type Error = AttackError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<AttackSpec> for String {
    fn from(spec: AttackSpec) -> Self {
        spec.to_string()
    }
}

/// Reads a value, or says what is wrong with it.
type Reader<T> = fn(&str) -> std::result::Result<T, String>;

fn norm(text: &str) -> std::result::Result<Norm, String> {
    text.parse().map_err(|error: AttackError| error.to_string())
}

fn loss(text: &str) -> std::result::Result<Loss, String> {
    text.parse().map_err(|error: AttackError| match error {
        AttackError::Parameter { reason, .. } => reason,
        other => other.to_string(),
    })
}

fn length(text: &str) -> std::result::Result<Epsilon, String> {
    text.parse().map_err(|error| match error {
        AttackError::Length { reason, .. } => reason,
        other => other.to_string(),
    })
}

fn count(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("a whole number, at least 1, is needed".into()),
    }
}

fn truth(text: &str) -> std::result::Result<bool, String> {
    text.parse().map_err(|_| "true or false is needed".into())
}

/// The `PARAMETER=VALUE` of one attack.
struct Parameters<'a> {
    attack: &'static str,
    given: Vec<(&'static str, &'a str)>,
}

impl<'a> Parameters<'a> {
    fn read(
        attack: &'static str,
        accepted: &'static [&'static str],
        text: &'a str,
    ) -> Result<Self> {
        let mut given: Vec<(&'static str, &str)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            let Some(&parameter) = accepted.iter().find(|&&known| known == name) else {
                return Err(AttackError::UnknownParameter {
                    attack,
                    name: name.into(),
                    accepted: accepted.join(", "),
                    hint: hint(name, accepted),
                });
            };
            let refuse = |reason: String| AttackError::Parameter {
                attack,
                parameter,
                value: value.into(),
                reason,
            };
            if value.is_empty() {
                return Err(refuse(format!("it has no value; write {parameter}=VALUE")));
            }
            if given.iter().any(|&(known, _)| known == parameter) {
                return Err(refuse("it is given twice; give it once".into()));
            }
            given.push((parameter, value));
        }
        Ok(Self { attack, given })
    }

    fn get<T>(&self, name: &'static str, read: Reader<T>) -> Result<Option<T>> {
        let Some(&(_, value)) = self.given.iter().find(|&&(known, _)| known == name) else {
            return Ok(None);
        };
        read(value).map(Some).map_err(|reason| AttackError::Parameter {
            attack: self.attack,
            parameter: name,
            value: value.into(),
            reason,
        })
    }

    fn or<T>(&self, name: &'static str, read: Reader<T>, default: T) -> Result<T> {
        Ok(self.get(name, read)?.unwrap_or(default))
    }

    fn required<T>(&self, name: &'static str, read: Reader<T>) -> Result<T> {
        self.get(name, read)?.ok_or_else(|| AttackError::Parameter {
            attack: self.attack,
            parameter: name,
            value: String::new(),
            reason: format!("it must be given; write {}:{name}=8/255", self.attack),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn specifications_round_trip() {
        for text in [
            "fgsm:norm=linf,eps=1/255",
            "fgsm:norm=l2,eps=0.5",
            "fgsm:norm=linf,eps=1/255,loss=ce-f32",
            "pgd:norm=linf,eps=8/255,steps=20,step=2/255,random-start=false,restarts=1",
            "pgd:norm=l2,eps=0.5,steps=50,step=0.0125,random-start=true,restarts=3,early-stop=false",
            "pgd:norm=linf,eps=0.0314,steps=7,step=0.01,random-start=true,restarts=2",
        ] {
            let spec: AttackSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn defaults() {
        let spec: AttackSpec = "pgd:eps=1/255".parse().unwrap();
        let epsilon = Epsilon::new(1.0 / 255.0).unwrap();
        assert_eq!(spec, AttackSpec::Pgd(PgdOptions::new(Norm::Linf, epsilon)));
        assert!(spec.to_string().contains("step=0.25/255"), "{spec}");
    }

    #[test]
    fn refusals_name_what_is_accepted() {
        for (text, parts) in [
            ("pdg:eps=8/255", &["unknown attack `pdg`", "fgsm, pgd", "did you mean `pgd`"][..]),
            ("pgd:epsilon=8/255", &["no parameter `epsilon`", "norm, eps, loss, steps"]),
            ("pgd:eps=8/255,restart=3", &["did you mean `restarts`"]),
            ("fgsm:eps=8/255,steps=3", &["fgsm has no parameter `steps`", "norm, eps"]),
            ("pgd:eps=8/255,norm=inf", &["unknown norm `inf`", "did you mean `linf`"]),
            ("pgd", &["pgd: eps", "must be given", "pgd:eps=8/255"]),
            ("pgd:eps=8", &["ε = 8 is larger", "did you mean 8/255"]),
            ("fgsm:eps=8", &["ε = 8 is larger", "did you mean 8/255"]),
            ("pgd:eps=8/255,step=2", &["step = 2 is larger", "did you mean 2/255"]),
            ("pgd:eps=8/255,step=0", &["step = `0`", "over 0"]),
            ("pgd:eps=-8/255", &["eps = `-8/255`", "over 0"]),
            ("pgd:eps=nan", &["finite"]),
            ("pgd:eps=8/255,steps=0", &["steps = `0`", "at least 1"]),
            ("pgd:eps=8/255,steps=many", &["whole number"]),
            ("pgd:eps=8/255,restarts=0", &["restarts = `0`", "at least 1"]),
            ("pgd:eps=8/255,restarts=2,random-start=false", &["random-start=true"]),
            ("pgd:eps=8/255,random-start=maybe", &["true or false"]),
            ("pgd:eps=8/255,eps=4/255", &["twice"]),
            ("pgd:eps", &["no value"]),
        ] {
            let error = text.parse::<AttackSpec>().unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }

    #[test]
    fn odd_steps_warn() {
        let warnings = |text: &str| text.parse::<AttackSpec>().unwrap().warnings();
        assert!(matches!(
            warnings("pgd:eps=1/255,step=2/255")[..],
            [Warning::StepLargerThanEpsilon { .. }]
        ));
        assert!(matches!(
            warnings("pgd:eps=8/255,steps=3,step=2/255")[..],
            [Warning::OutOfReach { .. }]
        ));
        // Exactly ε in steps that are not exact in binary.
        assert!(warnings("pgd:eps=8/255,steps=4,step=2/255").is_empty());
        assert!(warnings("pgd:eps=0.3,steps=3,step=0.1").is_empty());
        assert!(warnings("fgsm:eps=8/255").is_empty());
    }

    #[test]
    fn configurations_hold_specifications_as_text() {
        let spec: AttackSpec = serde_json::from_str("\"fgsm:eps=2/255\"").unwrap();
        assert_eq!(serde_json::to_string(&spec).unwrap(), "\"fgsm:norm=linf,eps=2/255\"");
        assert!(serde_json::from_str::<AttackSpec>("\"fgsm:eps=2\"").is_err());
    }
}

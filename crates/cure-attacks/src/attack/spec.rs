//! Attacks as they are written.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Attack;
use crate::error::{AttackError, Result, hint};
use crate::parameters::Parameters;
use crate::registry::{ATTACKS, Entry};

/// An attack as it is written on the command line, in configurations and in results:
/// `NAME:PARAMETER=VALUE,…`. [`attacks`](crate::attacks) lists names, parameters and defaults. Shown,
/// a specification is complete: it says every parameter, the rarer ones only where they differ
/// from their default.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AttackSpec(Arc<dyn Attack>);

impl AttackSpec {
    /// The specification of `attack`. (It is not checked: see [`Attack::check`].)
    pub fn new(attack: impl Attack + 'static) -> Self {
        Self(Arc::new(attack))
    }

    /// Its row in the table of attacks; none for an attack that is not of this crate.
    pub fn entry(&self) -> Option<&'static Entry> {
        ATTACKS.iter().find(|entry| entry.name == self.name())
    }
}

impl std::ops::Deref for AttackSpec {
    type Target = dyn Attack;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for AttackSpec {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl FromStr for AttackSpec {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let name = name.trim();
        let Some(entry) = ATTACKS.iter().find(|entry| entry.name == name) else {
            let known: Vec<&str> = ATTACKS.iter().map(|entry| entry.name).collect();
            return Err(AttackError::UnknownAttack {
                name: name.into(),
                known: known.join(", "),
                hint: hint(&name.to_ascii_lowercase(), &known),
            });
        };
        let given = Parameters::read(entry.name, entry.parameters, rest)?;
        entry.check_norm(given.or("norm", entry.norms[0])?)?;
        let spec = (entry.parse)(&given)?;
        spec.check(None, None)?;
        Ok(spec)
    }
}

impl fmt::Display for AttackSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::epsilon::{Epsilon, Norm};
    use crate::pgd::PgdOptions;
    use crate::warning::Warning;

    #[test]
    fn specifications_round_trip() {
        for text in [
            "fgsm:norm=linf,eps=1/255",
            "fgsm:norm=l2,eps=0.5",
            "fgsm:norm=linf,eps=1/255,loss=ce-f32",
            "pgd:norm=linf,eps=8/255,steps=20,step=2/255,random-start=false,restarts=1",
            "pgd:norm=l2,eps=0.5,steps=50,step=0.0125,random-start=true,restarts=3,early-stop=false",
            "pgd:norm=l1,eps=12,steps=7,step=0.01,random-start=sphere,restarts=2,momentum=0.9,\
             target=least-likely,loss=dlr",
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
        assert_eq!(spec, AttackSpec::new(PgdOptions::new(Norm::Linf, epsilon)));
        assert!(spec.to_string().contains("step=0.25/255"), "{spec}");
    }

    #[test]
    fn refusals_name_what_is_accepted() {
        for (text, parts) in [
            ("pdg:eps=8/255", &["unknown attack `pdg`", "fgsm, pgd", "did you mean `pgd`"][..]),
            ("pgd:epsilon=8/255", &["no parameter `epsilon`", "norm, eps, steps, step"]),
            ("pgd:eps=8/255,restart=3", &["did you mean `restarts`"]),
            ("fgsm:eps=8/255,steps=3", &["fgsm has no parameter `steps`", "norm, eps"]),
            ("pgd:eps=8/255,norm=inf", &["unknown norm `inf`", "did you mean `linf`"]),
            ("pgd", &["pgd: eps must be given", "pgd:eps=8/255"]),
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
            ("pgd:eps=8/255,random-start=maybe", &["true, false or sphere"]),
            ("pgd:eps=8/255,target=cat", &["target = `cat`", "least-likely"]),
            ("pgd:eps=8/255,momentum=-1", &["0 or more"]),
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
    fn another_radius_takes_the_step_along() {
        let spec: AttackSpec = "pgd:eps=8/255,step=2/255".parse().unwrap();
        let other = spec.at(Epsilon::new(4.0 / 255.0).unwrap());
        assert!(other.to_string().contains("eps=4/255,steps=20,step=1/255"), "{other}");
    }

    /// Every row of the table reads its own defaults back.
    #[test]
    fn the_table_is_true() {
        for entry in crate::attacks() {
            let spec = format!("{}:eps=1/255", entry.name);
            let spec: AttackSpec = spec.parse().unwrap();
            assert_eq!(spec.to_string().parse::<AttackSpec>().unwrap(), spec);
            assert_eq!(spec.entry().unwrap().name, entry.name);
            for norm in entry.norms {
                let text = format!("{}:eps=1/255,norm={norm}", entry.name);
                assert_eq!(text.parse::<AttackSpec>().unwrap().norm(), *norm);
            }
            for parameter in entry.parameters {
                assert!(!parameter.meaning.is_empty() && !parameter.default.is_empty());
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

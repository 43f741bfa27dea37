//! Which attacks make an AutoAttack.

use std::fmt;
use std::str::FromStr;

use crate::attack::AttackSpec;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result, hint};

/// Which attacks are run, in this order. Written `standard`, `plus`, `rand` or `custom`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// APGD on the cross-entropy, targeted APGD, targeted FAB, Square: the benchmark of RobustBench.
    #[default]
    Standard,
    /// APGD on cross-entropy and DLR and FAB with five restarts each, Square, targeted APGD, targeted
    /// FAB.
    Plus,
    /// For networks that answer at random: APGD on cross-entropy and DLR, with gradients averaged
    /// over twenty looks.
    Rand,
    /// Those named: any attack of the table, and `apgd-ce` and `apgd-dlr`.
    Custom(Vec<String>),
}

/// The names behind `members=`, joined by `+`.
pub(crate) struct Names(pub(super) Vec<String>);

const VERSIONS: [&str; 4] = ["standard", "plus", "rand", "custom"];

impl Version {
    /// The fewest classes that every member can do with, and what to do with fewer.
    pub(super) fn classes(&self) -> (usize, &'static str) {
        match self {
            Self::Standard | Self::Plus => {
                (crate::apgd::CLASSES, "use version=custom,members=apgd+fab+square")
            }
            Self::Rand => (crate::loss::CLASSES_OF_DLR, "use apgd:loss=ce,eot=20"),
            Self::Custom(_) => (0, ""),
        }
    }

    /// The complete specification of each member.
    pub(super) fn members(&self, norm: Norm, epsilon: Epsilon) -> Result<Vec<AttackSpec>> {
        let read = |text: &str| {
            let (name, rest) = text.split_once(':').unwrap_or((text, ""));
            format!("{name}:norm={norm},eps={},{rest}", epsilon.notation()).parse()
        };
        let written: &[&str] = match self {
            Self::Standard => &["apgd", "apgd-t", "fab-t:targets=9,restarts=1,steps=100", "square"],
            Self::Plus => &[
                "apgd:restarts=5",
                "apgd:loss=dlr,restarts=5",
                "fab:restarts=5",
                "square",
                "apgd-t",
                "fab-t:targets=9,restarts=1,steps=100",
            ],
            Self::Rand => &["apgd:eot=20", "apgd:loss=dlr,eot=20"],
            Self::Custom(names) => return names.iter().map(|name| read(&spelled(name))).collect(),
        };
        written.iter().map(|text| read(text)).collect()
    }
}

/// The names that AutoAttack's own program knows are understood too, with a parameter or without.
fn spelled(member: &str) -> String {
    let (name, parameter) = member.split_once(':').unwrap_or((member, ""));
    match name {
        "apgd-ce" => format!("apgd:loss=ce,{parameter}"),
        "apgd-dlr" => format!("apgd:loss=dlr,{parameter}"),
        _ => member.into(),
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => out.write_str(VERSIONS[0]),
            Self::Plus => out.write_str(VERSIONS[1]),
            Self::Rand => out.write_str(VERSIONS[2]),
            Self::Custom(names) => write!(out, "{},members={}", VERSIONS[3], names.join("+")),
        }
    }
}

/// The members of `custom` are read apart.
impl FromStr for Version {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "standard" => Ok(Self::Standard),
            "plus" => Ok(Self::Plus),
            "rand" => Ok(Self::Rand),
            "custom" => Ok(Self::Custom(Vec::new())),
            other => Err(AttackError::Parameter {
                attack: super::ENTRY.name,
                parameter: "version",
                value: other.into(),
                reason: format!("accepted are {}{}", VERSIONS.join(", "), hint(other, &VERSIONS)),
            }),
        }
    }
}

impl FromStr for Names {
    type Err = AttackError;

    fn from_str(text: &str) -> Result<Self> {
        Ok(Self(text.split('+').map(|name| name.trim().to_owned()).collect()))
    }
}

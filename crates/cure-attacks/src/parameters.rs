//! The `PARAMETER=VALUE` of an attack as it is written, and how values are read.

use std::str::FromStr;

use crate::epsilon::Epsilon;
use crate::error::{AttackError, Result, hint};

/// A parameter of an attack, or of whatever else is specified so, for lists and documentation.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// What stands before the `=`.
    pub name: &'static str,
    /// Its value where it is not given.
    pub default: &'static str,
    /// What it is, with its unit.
    pub meaning: &'static str,
}

impl Parameter {
    /// For the tables of what can be specified.
    pub const fn new(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { name, default, meaning }
    }
}

/// What was given for one attack, or for whatever else is written `NAME:PARAMETER=VALUE,…`.
pub struct Parameters<'a> {
    attack: &'static str,
    given: Vec<(&'static str, &'a str)>,
}

impl<'a> Parameters<'a> {
    /// The pairs of `text`, `PARAMETER=VALUE,…`; values are not looked at.
    ///
    /// # Errors
    /// A name that is not `accepted`, no value, or a name given twice.
    pub fn read(
        attack: &'static str,
        accepted: &'static [Parameter],
        text: &'a str,
    ) -> Result<Self> {
        let mut given: Vec<(&'static str, &str)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            let names: Vec<&str> = accepted.iter().map(|parameter| parameter.name).collect();
            let Some(parameter) = accepted.iter().map(|p| p.name).find(|&known| known == name)
            else {
                return Err(AttackError::UnknownParameter {
                    attack,
                    name: name.into(),
                    accepted: names.join(", "),
                    hint: hint(name, &names),
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

    /// Names and values, in the order given.
    pub fn pairs(&self) -> &[(&'static str, &'a str)] {
        &self.given
    }

    /// The value of `name` where it was given, read by [`FromStr`].
    pub(crate) fn get<T: Value>(&self, name: &'static str) -> Result<Option<T>> {
        let Some(&(_, value)) = self.given.iter().find(|&&(known, _)| known == name) else {
            return Ok(None);
        };
        T::read(value).map(Some).map_err(|reason| AttackError::Parameter {
            attack: self.attack,
            parameter: name,
            value: value.into(),
            reason,
        })
    }

    pub(crate) fn or<T: Value>(&self, name: &'static str, default: T) -> Result<T> {
        Ok(self.get(name)?.unwrap_or(default))
    }

    /// ε, which has no default.
    pub(crate) fn epsilon(&self) -> Result<Epsilon> {
        self.get("eps")?.ok_or(AttackError::NoEpsilon { attack: self.attack })
    }
}

/// What can stand behind the `=`.
pub(crate) trait Value: Sized {
    /// The value, or what is wrong with the text and what is accepted.
    fn read(text: &str) -> std::result::Result<Self, String>;
}

/// What is wrong, without the name of the parameter, which the caller knows better.
fn reason(error: AttackError) -> String {
    match error {
        AttackError::Parameter { reason, .. } | AttackError::Length { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// Values that know how to read themselves.
macro_rules! read_by_from_str {
    ($($kind:ty),*) => {$(
        impl Value for $kind {
            fn read(text: &str) -> std::result::Result<Self, String> {
                <$kind as FromStr>::from_str(text).map_err(reason)
            }
        }
    )*};
}
read_by_from_str!(
    Epsilon,
    crate::autoattack::Names,
    crate::autoattack::Version,
    crate::deepfool::Preset,
    crate::epsilon::Norm,
    crate::loss::Loss,
    crate::pgd::Start,
    crate::target::Target
);

impl Value for usize {
    fn read(text: &str) -> std::result::Result<Self, String> {
        match text.parse() {
            Ok(0) => Err("at least 1 is needed".into()),
            Ok(number) => Ok(number),
            Err(_) => Err("a whole number, at least 1, is needed".into()),
        }
    }
}

impl Value for bool {
    fn read(text: &str) -> std::result::Result<Self, String> {
        text.parse().map_err(|_| "true or false is needed".into())
    }
}

impl Value for f64 {
    fn read(text: &str) -> std::result::Result<Self, String> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err("a finite number, 0 or more, is needed".into()),
        }
    }
}

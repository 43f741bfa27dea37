//! Objectives as they are written.

use std::fmt;
use std::str::FromStr;

use cure_attacks::{AttackError, Parameters, hint};
use serde_json::{Map, Value};

use super::{Objective, objectives};
use crate::error::TrainingError;

/// How a parameter that has no default says so in the table.
const REQUIRED: &str = "–";

/// `NAME:PARAMETER=VALUE,…`, names and parameters as in the table and in configurations.
///
/// ```
/// use cure_training::Objective;
/// let objective: Objective = "pgd-at:eps=8/255,steps=7".parse()?;
/// assert_eq!(objective.name(), "pgd-at");
/// # Ok::<(), cure_training::TrainingError>(())
/// ```
impl FromStr for Objective {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self, TrainingError> {
        parse(text, None)
    }
}

impl Objective {
    /// What a specification says on top of this objective: parameters that it leaves out are this
    /// one's where both have one name, else the defaults.
    ///
    /// # Errors
    /// An unknown name or parameter, or a value that is not accepted.
    pub fn respecified(&self, text: &str) -> Result<Self, TrainingError> {
        parse(text, Some(self))
    }
}

impl Objective {
    /// Whether a pass that has a gradient in θ has BatchNorm over the batch: where none has,
    /// running statistics stay what they are.
    pub fn moves_statistics(&self) -> bool {
        let table = table_of(self).unwrap_or_default();
        let is_train =
            |name: &str, default| table.get(name).unwrap_or(&Value::from(default)) == "train";
        // β's loss has the regulariser's mode.
        let has_loss = !matches!(self, Self::Cure(options) if options.alpha == 0.0);
        has_loss && is_train("loss_mode", "train") || is_train("regularizer_mode", "eval")
    }
}

fn parse(text: &str, base: Option<&Objective>) -> Result<Objective, TrainingError> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let name = name.trim();
    let Some(entry) = objectives().iter().find(|entry| entry.name == name) else {
        let known: Vec<&str> = objectives().iter().map(|entry| entry.name).collect();
        let lower = name.to_ascii_lowercase();
        // `pgd` is `pgd-at`, though `llr` has letters as different.
        let begun = known.iter().find(|known| !lower.is_empty() && known.starts_with(&lower));
        let hint = begun.map_or_else(|| hint(&lower, &known), |known| hint(known, &[known]));
        let accepted = format!("one of {}{hint}", known.join(", "));
        return Err(TrainingError::setting("objective", format!("`{name}`"), accepted));
    };
    let given = Parameters::read(entry.name, entry.parameters, rest)?;
    let mut table = match base.filter(|base| base.name() == name) {
        Some(base) => table_of(base).unwrap_or_default(),
        None => Map::new(),
    };
    table.insert("method".into(), entry.name.into());
    let mut pairs = given.pairs().to_vec();
    // With what must be given first, whatever is refused is what came last.
    let must_be_given =
        |name: &str| entry.parameters.iter().any(|row| row.name == name && row.default == REQUIRED);
    pairs.sort_by_key(|(name, _)| !must_be_given(name));
    let has = |name: &str| table.contains_key(name) || pairs.iter().any(|pair| pair.0 == name);
    if entry.parameters.iter().any(|row| row.default == REQUIRED && !has(row.name)) {
        return Err(AttackError::NoEpsilon { attack: entry.name }.into());
    }
    let mut objective = read(&table);
    for (parameter, value) in pairs {
        table.insert(parameter.into(), meant(value));
        objective = read(&table);
        if let Err(reason) = &objective {
            let (value, reason) = (value.into(), reason.clone());
            return Err(
                AttackError::Parameter { attack: entry.name, parameter, value, reason }.into()
            );
        }
    }
    let refuse = |reason| TrainingError::setting("objective", format!("`{text}`"), reason);
    let objective = objective.map_err(refuse)?;
    objective.check(None)?;
    Ok(objective)
}

/// What a configuration says of an objective.
fn table_of(objective: &Objective) -> Option<Map<String, Value>> {
    match serde_json::to_value(objective) {
        Ok(Value::Object(table)) => Some(table),
        _ => None,
    }
}

/// The objective, or what is wrong with the value that was put in last.
fn read(table: &Map<String, Value>) -> Result<Objective, String> {
    serde_json::from_value(Value::Object(table.clone())).map_err(|error| said(&error.to_string()))
}

/// A reader's words as ours: what is needed, without the value, which is named already.
fn said(reason: &str) -> String {
    const WORDS: [(&str, &str); 3] =
        [("usize", "a whole number"), ("f64", "a number"), ("a boolean", "true or false")];
    if let Some((_, needed)) = reason.rsplit_once(", expected ") {
        let ours = WORDS.iter().find(|(theirs, _)| *theirs == needed).map_or(needed, |word| word.1);
        return format!("{ours} is needed");
    }
    // A length says what it was.
    reason.split_once("` is not accepted: ").map_or(reason, |(_, reason)| reason).to_owned()
}

/// A number or a truth value where the text is one.
fn meant(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(text.into()),
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = table_of(self).ok_or(fmt::Error)?;
        let pairs = table.iter().filter(|(name, _)| *name != "method");
        out.write_str(self.name())?;
        for (position, (name, value)) in pairs.enumerate() {
            out.write_str(if position == 0 { ":" } else { "," })?;
            match (value, value.as_f64()) {
                (Value::String(text), _) => write!(out, "{name}={text}")?,
                // Without the `.0` of whole numbers.
                (_, Some(number)) => write!(out, "{name}={number}")?,
                (other, None) => write!(out, "{name}={other}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Every row with all its defaults is the objective of its name, and reads back from its text
    /// and from TOML.
    #[test]
    fn the_table_is_true() {
        for entry in objectives() {
            let needs_eps = entry.parameters.iter().any(|row| row.default == REQUIRED);
            let text = entry.name.to_owned() + if needs_eps { ":eps=8/255" } else { "" };
            let short: Objective = text.parse().unwrap();
            assert_eq!((short.name(), short.entry().name), (entry.name, entry.name));
            let mut pairs = Vec::from_iter(needs_eps.then(|| "eps=8/255".to_owned()));
            for row in entry.parameters {
                assert!(!row.meaning.is_empty(), "{}", row.name);
                // Defaults that are computed from ε are words.
                if row.default != REQUIRED && !row.default.contains("eps") {
                    pairs.push(format!("{}={}", row.name, row.default));
                }
            }
            let text = format!("{}:{}", entry.name, pairs.join(","));
            let long: Objective = text.parse().unwrap();
            assert_eq!(long, short, "{text}");
            assert_eq!(short.to_string().parse::<Objective>().unwrap(), short, "{short}");
            let toml = toml::to_string(&short).unwrap();
            assert_eq!(toml::from_str::<Objective>(&toml).unwrap(), short, "{toml}");
            let unknown = toml + "\nsmoothness = 1\n";
            let error = toml::from_str::<Objective>(&unknown).unwrap_err().to_string();
            assert!(error.contains("smoothness"), "{}: {error}", entry.name);
            // Whatever is written down is in the table.
            let written = serde_json::to_value(&short).unwrap();
            for name in written.as_object().unwrap().keys().filter(|name| *name != "method") {
                assert!(entry.parameters.iter().any(|row| row.name == name), "{name}");
            }
        }
    }

    #[test]
    fn refusals_name_what_is_accepted() {
        for (text, parts) in [
            (
                "pgd_at:eps=8/255",
                &["`pgd_at`", "standard, cure, pgd-at", "did you mean `pgd-at`"][..],
            ),
            ("pgd-at", &["pgd-at: eps must be given", "pgd-at:eps=8/255"]),
            ("pgd-at:step=1/255", &["eps must be given"]),
            ("pgd-at:eps=8", &["ε = 8 is larger", "did you mean 8/255"]),
            ("pgd-at:eps=8/255,stepz=3", &["no parameter `stepz`", "did you mean `step"]),
            ("pgd-at:eps=8/255,steps=many", &["pgd-at: steps = `many`", "a whole number"]),
            ("pgd-at:steps=0,eps=8/255", &["steps is 0", "1 or more"]),
            ("pgd-at:eps=-8/255", &["eps = `-8/255` is not accepted: it must be over 0"]),
            ("pgd-at:eps=8/255,norm=l3", &["norm = `l3`", "accepted: one of `linf`, `l2`"]),
            ("pgd-at:eps=true", &["accepted: a length in pixels"]),
            ("pgd-at:eps=8/255,steps=-1", &["`-1` is not accepted: a whole number is needed"]),
            ("pgd-at:eps=8/255,step=1e-320", &["step = 1e-320", "0.0314"]),
            ("pgd:eps=8/255", &["did you mean `pgd-at`"]),
            ("gradientpenalty", &["did you mean `gradient-penalty`"]),
            ("fgsm-rs:eps=0.9", &["eps is 0.9", "1.25·eps", "1.125", "unless one is given"]),
            ("n-fgsm:eps=8/255,noise=1000", &["noise is 1000", "noise·eps", "[0, 1]"]),
            ("elle:eps=8/255,noise=1000", &["noise is 1000", "noise·eps", "[0, 1]"]),
            ("trades:eps=4/255,start=8/255", &["objective.start", "at most eps, 4/255"]),
            ("mart:eps=4/255,start=8/255", &["objective.start", "at most eps, 4/255"]),
            ("free:eps=8/255,replays=1000000000000", &["replays is", "up to 1000"]),
            ("deepfool:steps=1000000000000", &["steps is", "up to 1000"]),
            ("gradient-penalty:lambda=1e308", &["lambda is 1e308", "0 to 1e6"]),
            ("elle:eps=8/255,lambda=1e300", &["lambda is 1e300", "0 to 1e6"]),
            ("mart:eps=8/255,lambda=1e200", &["lambda is 1e200", "0 to 1e6"]),
            ("cure:beta=1e300", &["beta is 1e300", "0 to 1e6"]),
            ("cure:noise=1e300", &["noise is 1e300", "0 to 1e6"]),
            ("pgd-at:eps=8/255,awp=1e30", &["awp is 1e30", "below 1"]),
            ("trades:eps=8/255,awp=1", &["awp is 1", "below 1"]),
            ("trades:eps=8/255,beta=-1", &["beta is -1", "from 0 to 1e6"]),
            ("trades:eps=8/255,loss_mode=both", &["loss_mode = `both`", "`train`"]),
            ("standard:smoothing=1", &["smoothing is 1", "below 1"]),
            ("cure:beta=nan", &["beta = `nan`", "a number"]),
            ("n-fgsm:eps=8/255,noise=0", &["noise is 0", "above 0"]),
        ] {
            let error = text.parse::<Objective>().unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }

    /// What depends on the images is refused once they are known.
    #[test]
    fn lengths_that_images_do_not_have() {
        for (text, part) in [
            ("pgd-at:eps=30,norm=l2", "√64"),
            ("fgsm-rs:eps=7,norm=l2", "1.25·eps"),
            ("n-fgsm:eps=7,norm=l2", "noise·eps"),
            ("free:eps=30,norm=l2", "√64"),
            ("trades:eps=30,norm=l2", "√64"),
            ("mart:eps=65,norm=l1", "64"),
            ("gradalign:eps=30,norm=l2", "√64"),
            ("llr:eps=30,norm=l2", "√64"),
            ("elle:eps=30,norm=l2", "√64"),
        ] {
            let objective: Objective = text.parse().unwrap();
            let error = objective.check(Some(64)).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            objective.check(Some(3 * 224 * 224)).unwrap();
        }
        // A default that a tiny ball has no room for is cut, not refused.
        "trades:eps=0.0001".parse::<Objective>().unwrap();
    }

    #[test]
    fn a_specification_on_top_of_another() {
        let base: Objective = "cure:squared=true,beta=0.5".parse().unwrap();
        let both = base.respecified("cure:alpha=0.5").unwrap();
        assert_eq!(both, "cure:squared=true,beta=0.5,alpha=0.5".parse().unwrap());
        assert_eq!(base.respecified("cure").unwrap(), base);
        assert_eq!(base.respecified("standard").unwrap(), Objective::default());
        let trades: Objective = "trades:eps=8/255,beta=3".parse().unwrap();
        assert_eq!(
            trades.respecified("trades:steps=5").unwrap(),
            "trades:eps=8/255,beta=3,steps=5".parse().unwrap()
        );
        assert!(base.respecified("trades:steps=5").is_err());
    }

    /// What runs wrote before objectives had these parameters is what they write now.
    #[test]
    fn configurations_of_earlier_runs_are_the_same() {
        let standard = toml::to_string(&Objective::default()).unwrap();
        assert_eq!(standard, "method = \"standard\"\n");
        let cure = toml::to_string(&Objective::Cure(Default::default())).unwrap();
        let keys: Vec<&str> = cure.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(
            keys,
            [
                "method",
                "direction",
                "scale",
                "squared",
                "loss_mode",
                "regularizer_mode",
                "direction_mode",
                "recompute"
            ]
        );
    }
}

//! Schedules of an objective's own parameters.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ValueSchedule;
use crate::error::{Result, TrainingError};

/// Schedules by the name of the parameter they give values to, as configurations write it.
pub type ParameterSchedules = BTreeMap<String, ValueSchedule>;

/// `objective` with its parameters of those names at these values. What a configuration can say
/// of an objective can be scheduled: names and values go the same way, and what is refused there
/// is refused here.
///
/// # Errors
/// [`TrainingError::Scheduled`] naming the parameter that the objective does not have, or does not
/// take this number for.
pub(super) fn with_values<T: Clone + Serialize + DeserializeOwned>(
    objective: &T,
    values: &BTreeMap<String, f64>,
) -> Result<T> {
    let mut current = objective.clone();
    for (name, &value) in values {
        let refuse =
            |reason: String| TrainingError::Scheduled { name: name.clone(), value, reason };
        let table = toml::Table::try_from(&current).map_err(|error| refuse(error.to_string()))?;
        let with = |value: toml::Value| {
            let mut table = table.clone();
            table.insert(name.clone(), value);
            table.try_into::<T>()
        };
        current = match with(value.into()) {
            Ok(objective) => objective,
            // A parameter that counts something takes whole numbers.
            Err(error) => {
                let whole = (value.fract() == 0.0).then(|| with((value as i64).into()));
                whole.and_then(|read| read.ok()).ok_or(refuse(error.message().to_owned()))?
            }
        };
    }
    Ok(current)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
    enum Method {
        Attacked(Options),
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        radius: f64,
        steps: usize,
        squared: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        smoothing: Option<f64>,
    }

    impl Default for Options {
        fn default() -> Self {
            Self { radius: 0.0, steps: 1, squared: false, smoothing: None }
        }
    }

    fn with(pairs: &[(&str, f64)]) -> Result<Method> {
        let values = pairs.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        with_values(&Method::Attacked(Options { squared: true, ..Options::default() }), &values)
    }

    #[test]
    fn lengths_counts_and_what_is_not_written_take_values() {
        let found = with(&[("radius", 8.0 / 255.0), ("steps", 7.0), ("smoothing", 0.1)]).unwrap();
        let expected =
            Options { radius: 8.0 / 255.0, steps: 7, squared: true, smoothing: Some(0.1) };
        assert_eq!(found, Method::Attacked(expected));
        assert_eq!(with(&[]).unwrap(), with(&[("steps", 1.0)]).unwrap());
    }

    #[test]
    fn names_and_numbers_that_it_does_not_take_are_refused() {
        for (name, value, part) in [
            ("eps", 0.1, "unknown field `eps`"),
            ("steps", 1.5, "floating point"),
            ("squared", 1.0, "boolean"),
            ("method", 1.0, "objective"),
        ] {
            let error = with(&[(name, value)]).unwrap_err();
            assert!(matches!(error, TrainingError::Scheduled { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains(part) && message.contains(name), "{message}");
        }
    }
}

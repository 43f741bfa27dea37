//! Configurations as files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Result, TrainingError};
use crate::objective::objectives;

/// Reads a TOML file into a configuration.
///
/// # Errors
/// [`TrainingError::Configuration`] with the line and the known keys;
/// [`TrainingError::Io`].
pub fn read_configuration<C: DeserializeOwned>(path: &Path) -> Result<C> {
    let text = std::fs::read_to_string(path).map_err(TrainingError::io("read", path))?;
    parse_configuration(path, &text)
}

/// Reads a TOML text, which errors call `path`, into a configuration.
///
/// # Errors
/// [`TrainingError::Configuration`] with the line and the known keys.
pub fn parse_configuration<C: DeserializeOwned>(path: &Path, text: &str) -> Result<C> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        // One sentence: the parser's own rendering quotes the line over several.
        if let Some(reason) = unknown_parameter(text) {
            return TrainingError::Configuration { path: path.to_owned(), reason };
        }
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let reason = format!("{place}{}", error.message());
        TrainingError::Configuration { path: path.to_owned(), reason }
    })
}

/// A key of the objective's table that its method does not have. (Of such tables the parser says
/// neither the line nor what is accepted.)
fn unknown_parameter(text: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let training = table.get("training").and_then(toml::Value::as_table).unwrap_or(&table);
    let objective = training.get("objective")?.as_table()?;
    let method = objective.get("method")?.as_str()?;
    let entry = objectives().iter().find(|entry| entry.name == method)?;
    let known: Vec<&str> = entry.parameters.iter().map(|row| row.name).collect();
    let mut keys = objective.keys().map(String::as_str);
    let key = keys.find(|key| *key != "method" && !known.contains(key))?;
    let mut lines = text.lines().enumerate().skip_while(|(_, line)| !line.contains("objective"));
    let own = lines.find(|(_, line)| line.split('=').next().map(str::trim) == Some(key));
    let place = own.map(|(index, _)| format!("line {}: ", index + 1)).unwrap_or_default();
    let known = known.join("`, `");
    Some(format!("{place}unknown field `{key}` of `{method}`; accepted are `method`, `{known}`"))
}

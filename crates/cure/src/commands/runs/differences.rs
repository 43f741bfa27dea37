//! In what runs differ: settings, and what makes a comparison of their numbers doubtful.

use std::collections::BTreeMap;

use cure_report::{Cell, Table};
use cure_training::Session;

use super::folder::{ATTACKED, CLEAN, Run};

/// Settings that differ: the key, joined by dots, and each run's value, if it has one.
pub(super) fn settings(runs: &[Run]) -> Vec<(String, Vec<Option<String>>)> {
    let flat: Vec<BTreeMap<String, String>> = runs
        .iter()
        .map(|run| {
            let mut values = BTreeMap::new();
            flatten("", &run.config, &mut values);
            values
        })
        .collect();
    let mut keys: Vec<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    let rows = keys.into_iter().map(|key| {
        let values: Vec<Option<String>> =
            flat.iter().map(|values| values.get(key).cloned()).collect();
        (key.clone(), values)
    });
    rows.filter(|(_, values)| values.iter().any(|value| *value != values[0])).collect()
}

fn flatten(prefix: &str, table: &toml::Table, values: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&path, table, values),
            toml::Value::String(text) => drop(values.insert(path, text.clone())),
            other => drop(values.insert(path, other.to_string())),
        }
    }
}

/// The settings that differ, as a table: a row each.
pub(super) fn table(runs: &[Run], settings: &[(String, Vec<Option<String>>)]) -> Table {
    let names = runs.iter().map(|run| run.name.as_str());
    let columns: Vec<&str> = std::iter::once("setting").chain(names).collect();
    let caption = "Settings that differ (all others are equal; – is not set)";
    settings.iter().fold(Table::new(caption, columns), |table, (key, values)| {
        let cells = values.iter().map(|value| value.as_deref().map_or(Cell::Missing, Cell::from));
        table.row(std::iter::once(Cell::from(key.as_str())).chain(cells))
    })
}

/// Sentences on what hinders a comparison.
pub(super) fn doubts(runs: &[Run]) -> Vec<String> {
    let of = |field: fn(&Session) -> String| move |run: &Run| run.last_session().map(field);
    let images = |run: &Run| Some((run.images(CLEAN), run.images(ATTACKED)));
    let sessions = runs.iter().flat_map(|run| &run.record.sessions);
    let codes: Vec<&str> = sessions.map(|session| session.code.as_str()).collect();
    let checks: [(bool, &str); 9] = [
        (
            differ(runs, of(|session| session.data_sha256.clone())),
            "The runs were not trained on the same data.",
        ),
        (
            differ(runs, of(|session| format!("{}, {}", session.data, session.training_images))),
            "The runs were not trained on the same images: name or number differ.",
        ),
        (
            differ(runs, |run| run.network().map(str::to_owned)),
            "The networks differ: seconds and accuracies are of other architectures.",
        ),
        (
            differ(runs, of(|session| session.weights_sha256.clone().unwrap_or_default())),
            "The runs did not start from the same weights.",
        ),
        (
            differ(runs, |run| run.attack().map(str::to_owned)),
            "The attacks on the validation images differ: attacked accuracies are not comparable.",
        ),
        (
            differ(runs, images),
            "The numbers of validation images differ: the accuracies are of other images.",
        ),
        (
            differ(runs, of(|session| format!("{}, {}", session.machine, session.threads))),
            "The machines or their threads differ: seconds are not comparable.",
        ),
        (
            codes.iter().any(|code| *code != codes[0]),
            "The runs were made by other versions of the program, or one of them by several.",
        ),
        (
            runs.iter().any(|run| run.record.sessions.is_empty()),
            "Of a run without run.json, code, machine, data and start are not known.",
        ),
    ];
    let general = checks.into_iter().filter(|(holds, _)| *holds).map(|(_, text)| text.to_owned());
    let overfitted = runs.iter().filter_map(|run| {
        let epoch = run.overfitted()?;
        Some(format!("{} overfitted catastrophically, first in epoch {epoch}.", run.name))
    });
    general.chain(overfitted).collect()
}

/// Whether what is known of the runs is not the same.
fn differ<T: PartialEq>(runs: &[Run], of: impl Fn(&Run) -> Option<T>) -> bool {
    let known: Vec<T> = runs.iter().filter_map(of).collect();
    known.iter().any(|value| *value != known[0])
}

//! What a study comes to: figures, rows, results in JSON and the text that is printed.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use cure_attacks::{Journal, Shard};
use cure_geometry::Mean;
use cure_report::{Cell, Figure, Table};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::manifest::{Manifest, NetworkFacts};
use super::study::{Entry, Found, Measured, OfNetwork, Record, Study, groups};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::{check_folder, check_outputs, write_json};

/// What a study makes of its rows.
pub(super) struct Report {
    /// Figures under the names of their files.
    pub(super) figures: Vec<(String, Figure)>,
    /// A row or more for each sample.
    pub(super) samples: Table,
    /// What results say of each network.
    pub(super) summaries: Vec<Value>,
    /// What they say of all of them.
    pub(super) details: Map<String, Value>,
    /// What is printed.
    pub(super) text: String,
}

/// The names of all files.
pub(super) fn files<S: Study>(study: &S, indices: &[usize]) -> Vec<String> {
    let figures = study.figures(indices);
    let pictures =
        figures.iter().flat_map(|stem| ["svg", "png", "csv"].map(|e| format!("{stem}.{e}")));
    pictures.chain([rows_of(S::NAME), results_of(S::NAME)]).collect()
}

fn rows_of(name: &str) -> String {
    format!("{name}-samples.csv")
}

fn results_of(name: &str) -> String {
    format!("{name}.json")
}

/// Refuses, before any work is done for them, files that cannot be written or would replace something
/// else: those of a study, or of a shard of it, and `--json`, which may lie in the same folder.
pub(super) fn check_places(
    files: Vec<String>,
    folder: &Path,
    json: Option<&Path>,
    inputs: &[&Path],
) -> Outcome {
    let mut files = files;
    let beside = json
        .filter(|json| resolved(json.parent().unwrap_or(json)) == resolved(folder))
        .and_then(Path::file_name);
    match (beside.map(|name| name.to_string_lossy().into_owned()), json) {
        // The same results twice are one file.
        (Some(name), _) if name.ends_with(".json") && files.contains(&name) => {}
        (Some(name), _) if files.contains(&name) => {
            return Err(Failure::Input(format!(
                "--json {}: another file of {} has this name; name another",
                name,
                folder.display()
            )));
        }
        (Some(name), _) => files.push(name),
        (None, Some(json)) => check_outputs(&[json], inputs)?,
        (None, None) => {}
    }
    check_folder(folder, &files.iter().map(String::as_str).collect::<Vec<_>>(), inputs)
}

/// A folder under the one name it has, be it there yet or not.
fn resolved(folder: &Path) -> PathBuf {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = whole.ancestors().find_map(|above| {
        Some((above.canonicalize().ok()?, whole.strip_prefix(above).ok()?.to_owned()))
    });
    there.map_or(whole, |(there, rest)| there.join(rest))
}

/// The samples of a network that one part has measured, in their order.
struct Reader<'j> {
    shard: Shard,
    journal: &'j Journal,
    network: usize,
    groups: std::vec::IntoIter<Vec<usize>>,
    place: usize,
    seconds: f64,
}

impl Reader<'_> {
    /// The samples of the next group; none where they are not measured.
    fn next<R: Serialize + DeserializeOwned>(&mut self) -> Option<Vec<Entry<R>>> {
        self.groups.next()?;
        let record = self.journal.recall::<Record<R>>((self.network, self.place))?;
        self.place += 1;
        self.seconds += record.seconds;
        Some(record.samples)
    }
}

/// Everything that journals know of a measurement; refused where a part is not done. Samples are read one
/// group of each part at a time, and absorbed in their order.
pub(super) fn gather<'a, S: Study>(
    study: &S,
    manifest: &'a Manifest,
    parts: &[(Shard, &Journal)],
) -> Outcome<Found<'a, S::Row, S::Sums>> {
    let count = manifest.indices.len();
    let mut networks = Vec::with_capacity(manifest.networks.len());
    for (network, facts) in manifest.networks.iter().enumerate() {
        let mut readers: Vec<(Reader<'_>, VecDeque<Entry<S::Row>>)> = Vec::new();
        for &(shard, journal) in parts {
            let groups = groups(count, shard, study.group()).into_iter();
            let reader = Reader { shard, journal, network, groups, place: 0, seconds: 0.0 };
            readers.push((reader, VecDeque::new()));
        }
        let (mut samples, mut sums) = (Vec::with_capacity(count), S::Sums::default());
        for row in 0..count {
            let Some((reader, read)) = readers.iter_mut().find(|(r, _)| r.shard.has(row)) else {
                return Err(Failure::Input(format!("{row} of {count} samples are measured")));
            };
            if read.is_empty() {
                read.extend(reader.next().unwrap_or_default());
            }
            let Some(mut entry) = read.pop_front() else {
                return Err(Failure::Input(format!(
                    "part {} is not finished: `{}` is not measured on all of its samples; let its \
                     command come to its end first",
                    reader.shard, facts.name
                )));
            };
            if let Measured::Row(row) = &mut entry.found {
                study.absorb(&mut sums, row);
            }
            samples.push(entry);
        }
        let seconds = readers.iter().map(|(reader, _)| reader.seconds).sum();
        networks.push(OfNetwork { facts, samples, sums, seconds });
    }
    Ok(Found { manifest, networks })
}

/// Writes all files; gives the text to print.
pub(super) fn write<S: Study>(
    study: &S,
    found: &Found<'_, S::Row, S::Sums>,
    folder: &Path,
    json: Option<&Path>,
) -> Outcome<String> {
    let report = study.report(found)?;
    std::fs::create_dir_all(folder).failed()?;
    let mut text = report.text + &found.remarks();
    for (stem, figure) in &report.figures {
        for file in figure.save(folder, stem).failed()? {
            text += &format!("{}\n", file.display());
        }
    }
    let rows = folder.join(rows_of(S::NAME));
    cure_report::write_atomically(&rows, report.samples.to_csv().as_bytes()).failed()?;
    let mut results = found.results(&report.summaries, &report.details);
    let captions = report.figures.iter().map(
        |(stem, figure)| json!({ "file": stem, "title": figure.title, "caption": figure.caption }),
    );
    results.insert("figures".into(), captions.collect());
    let own = folder.join(results_of(S::NAME));
    for path in [Some(own.as_path()), json].into_iter().flatten() {
        write_json(path, &results)?;
    }
    text += &format!("{}\n{}\n", rows.display(), own.display());
    text.extend(json.map(|path| format!("{}\n", path.display())));
    Ok(text)
}

impl<R, Sums> Found<'_, R, Sums> {
    fn results(&self, summaries: &[Value], details: &Map<String, Value>) -> Map<String, Value> {
        let mut results = self.manifest.head.clone();
        results.insert("measurement".into(), self.manifest.study.as_str().into());
        results.insert("scale".into(), json!(self.manifest.scale));
        results.insert("dimension".into(), self.manifest.dimension().into());
        results.insert("options".into(), self.manifest.options.clone());
        let networks = self.networks.iter().zip(summaries).map(|(network, summary)| {
            let NetworkFacts { name, identity, classes, piecewise_linear } = network.facts;
            let mut entry = Map::new();
            entry.insert("name".into(), json!(name));
            entry.extend(identity.clone());
            entry.insert("classes".into(), json!(classes));
            entry.insert("piecewise_linear".into(), json!(piecewise_linear));
            entry.insert("n".into(), network.samples.len().into());
            entry.insert("misclassified".into(), network.misclassified().into());
            entry.insert("left_out".into(), json!(network.left_out()));
            entry.insert("summary".into(), summary.clone());
            entry.insert("seconds".into(), json!((1e3 * network.seconds).round() / 1e3));
            Value::Object(entry)
        });
        results.insert("networks".into(), networks.collect());
        results.extend(details.clone());
        results
    }

    /// A line for each network that has misclassified samples, and one where samples are left out.
    fn remarks(&self) -> String {
        let line = |network: &OfNetwork<'_, R, Sums>| {
            let (name, n) = (&network.facts.name, network.samples.len());
            let reasons = network.left_out();
            let all: usize = reasons.values().sum();
            let each: Vec<String> =
                reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            let mut text = match network.misclassified() {
                0 => String::new(),
                wrong => format!("{name}: {wrong} of {n} misclassified\n"),
            };
            if all > 0 {
                text += &format!("{name}: {all} of {n} left out: {}\n", each.join("; "));
            }
            text
        };
        self.networks.iter().map(line).collect()
    }

    /// The table of samples: `columns` besides those that every study has, and for each row its lines.
    pub(super) fn table<'s>(
        &self,
        columns: impl IntoIterator<Item = &'s str>,
        lines: impl Fn(&R) -> Vec<Vec<Cell>>,
    ) -> Table {
        let shared = ["network", "index", "label", "predicted", "loss", "left_out"];
        let mut table = Table::new("", shared.into_iter().chain(columns));
        for network in &self.networks {
            for sample in &network.samples {
                let (lines, reason) = match &sample.found {
                    Measured::Row(row) => (lines(row), ""),
                    Measured::LeftOut(reason) => (vec![Vec::new()], reason.as_str()),
                };
                for line in lines {
                    let shared = [
                        Cell::from(network.facts.name.as_str()),
                        Cell::from(sample.index),
                        Cell::from(sample.label),
                        Cell::from(sample.predicted),
                        exact(sample.loss),
                        Cell::from(reason),
                    ];
                    table = table.row(shared.into_iter().chain(line));
                }
            }
        }
        table
    }
}

impl<R, Sums> OfNetwork<'_, R, Sums> {
    /// What was found, sample by sample.
    pub(super) fn rows(&self) -> impl Iterator<Item = &R> {
        self.entries().map(|(_, row)| row)
    }

    /// The same with the samples.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Entry<R>, &R)> {
        self.samples.iter().filter_map(|entry| match &entry.found {
            Measured::Row(row) => Some((entry, row)),
            Measured::LeftOut(_) => None,
        })
    }

    /// Samples left out by reason.
    pub(super) fn left_out(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for entry in &self.samples {
            if let Measured::LeftOut(reason) = &entry.found {
                *reasons.entry(reason.as_str()).or_default() += 1;
            }
        }
        reasons
    }

    /// Samples that are measured.
    pub(super) fn measured(&self) -> usize {
        self.rows().count()
    }

    fn misclassified(&self) -> usize {
        let is_wrong = |entry: &&Entry<R>| entry.predicted != entry.label && entry.loss.is_some();
        self.samples.iter().filter(is_wrong).count()
    }

    /// The mean of a value over the rows that have it.
    pub(super) fn mean(&self, value: impl Fn(&R) -> Option<f64>) -> Option<Mean> {
        Mean::of(&self.rows().filter_map(value).collect::<Vec<_>>())
    }
}

/// A number with every digit, for CSV.
pub(super) fn exact(value: Option<f64>) -> Cell {
    value.map_or(Cell::Missing, |value| Cell::Number(value, 17))
}

/// A mean and its interval as they are read.
pub(super) fn shown(mean: Option<Mean>) -> Cell {
    match mean {
        Some(Mean { mean, n: 1, .. }) => number(mean).into(),
        Some(Mean { mean, ci95: [low, high], .. }) => {
            Cell::from(format!("{} ({} – {})", number(mean), number(low), number(high)))
        }
        None => Cell::Missing,
    }
}

/// The median beside a mean.
pub(super) fn middle(mean: Option<Mean>) -> Cell {
    mean.map_or(Cell::Missing, |mean| number(mean.median).into())
}

/// Four digits that count.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let exponent = value.abs().log10().floor() as i32;
    match exponent {
        -3..=4 => format!("{value:.*}", (3 - exponent).max(0) as usize),
        _ => format!("{value:.2e}"),
    }
}

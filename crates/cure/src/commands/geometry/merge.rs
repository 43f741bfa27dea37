//! `cure geometry merge`: the parts of a measurement as the whole command would have written it.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{Journal, Shard};
use serde_json::{Value, json};

use super::manifest::{Manifest, ShardManifest};
use super::measure::{COMMAND, JOURNAL};
use super::study::Study;
use super::{alignment, boundary, bounds, frobenius, gallery, profile, report, surface};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::print;

#[derive(Args, Debug)]
#[command(after_help = "\
  cure geometry profile … --shard 1/2 --out part-1      on one machine
  cure geometry profile … --shard 2/2 --out part-2      on another
  cure geometry merge part-1 part-2 --out profile")]
pub(super) struct Options {
    /// The folders of all parts.
    #[arg(value_name = "SHARD_DIR", required = true)]
    parts: Vec<PathBuf>,
    /// Where figures, rows and results go; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the results here too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A folder that a shard was measured into.
struct Part<'a> {
    folder: &'a Path,
    shard: Shard,
    manifest: Manifest,
}

pub(super) fn run(options: &Options) -> Outcome {
    let parts: Vec<Part<'_>> =
        options.parts.iter().map(|folder| Part::read(folder)).collect::<Outcome<_>>()?;
    check_alike(&parts)?;
    check_complete(&parts)?;
    match parts.first().map(|part| part.manifest.study.as_str()) {
        Some(profile::Whole::NAME) => join::<profile::Whole>(options, &parts),
        Some(profile::Ends::NAME) => join::<profile::Ends>(options, &parts),
        Some(profile::Spread::NAME) => join::<profile::Spread>(options, &parts),
        Some(profile::Sweep::NAME) => join::<profile::Sweep>(options, &parts),
        Some(frobenius::Norms::NAME) => join::<frobenius::Norms>(options, &parts),
        Some(alignment::Cosines::NAME) => join::<alignment::Cosines>(options, &parts),
        Some(bounds::Distances::NAME) => join::<bounds::Distances>(options, &parts),
        Some(surface::Surfaces::NAME) => join::<surface::Surfaces>(options, &parts),
        Some(boundary::Regions::NAME) => join::<boundary::Regions>(options, &parts),
        Some(gallery::Examples::NAME) => join::<gallery::Examples>(options, &parts),
        other => Err(Failure::Input(format!(
            "{} is of a measurement that this version does not know: {}",
            COMMAND,
            other.unwrap_or_default()
        ))),
    }
}

impl<'a> Part<'a> {
    fn read(folder: &'a Path) -> Outcome<Self> {
        let path = folder.join(COMMAND);
        let refuse = |reason: String| {
            Failure::Input(format!(
                "{}: {reason}; name folders that --shard was measured into",
                path.display()
            ))
        };
        let text = std::fs::read(&path).map_err(|error| refuse(error.to_string()))?;
        let read: ShardManifest =
            serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        Ok(Self { folder, shard: read.shard.parse().input()?, manifest: read.manifest })
    }
}

/// Refuses parts of different measurements, and says in what they differ.
fn check_alike(parts: &[Part<'_>]) -> Outcome {
    let Some((first, others)) = parts.split_first() else { return Ok(()) };
    for part in others {
        if let Some(what) = difference("", &json!(first.manifest), &json!(part.manifest)) {
            return Err(Failure::Input(format!(
                "{} and {} are not of one measurement: they differ in {what}",
                first.folder.display(),
                part.folder.display(),
            )));
        }
        if part.shard.count() != first.shard.count() {
            return Err(Failure::Input(format!(
                "{} is part {} and {} part {}; name parts of one division",
                first.folder.display(),
                first.shard,
                part.folder.display(),
                part.shard,
            )));
        }
    }
    Ok(())
}

/// Where two values differ first.
fn difference(place: &str, a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        _ if a == b => None,
        (Value::Object(a), Value::Object(b)) => a.iter().find_map(|(key, value)| {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            difference(&place, value, b.get(key).unwrap_or(&Value::Null))
        }),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(i, (a, b))| difference(&format!("{place}[{i}]"), a, b))
        }
        (Value::Array(_), _) | (_, Value::Array(_)) => Some(place.to_owned()),
        _ => Some(format!("{place} ({a} and {b})")),
    }
}

fn check_complete(parts: &[Part<'_>]) -> Outcome {
    let count = parts.first().map_or(0, |part| part.shard.count());
    for shard in (0..count).filter_map(|index| Shard::new(index, count)) {
        let of: Vec<&Path> =
            parts.iter().filter(|part| part.shard == shard).map(|part| part.folder).collect();
        match of[..] {
            [_] => {}
            [] => {
                return Err(Failure::Input(format!(
                    "part {shard} is missing; name its folder too"
                )));
            }
            [first, second, ..] => {
                return Err(Failure::Input(format!(
                    "{} and {} are both part {shard}; name each part once",
                    first.display(),
                    second.display()
                )));
            }
        }
    }
    Ok(())
}

fn join<S: Study>(options: &Options, parts: &[Part<'_>]) -> Outcome {
    let Some(first) = parts.first() else { return Ok(()) };
    let manifest = &first.manifest;
    let study: S = serde_json::from_value(manifest.options.clone()).map_err(|error| {
        Failure::Input(format!("{}: {error}", first.folder.join(COMMAND).display()))
    })?;
    let inputs: Vec<PathBuf> = parts
        .iter()
        .flat_map(|part| [COMMAND, JOURNAL].map(|file| part.folder.join(file)))
        .collect();
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let files = report::files(&study, &manifest.indices);
    report::check_places(files, &options.out, options.json.as_deref(), &inputs)?;

    let mut journals = Vec::with_capacity(parts.len());
    for part in parts {
        let mut journal = Journal::default();
        let path = part.folder.join(JOURNAL);
        journal.adopt(&path, &part.manifest.identity(part.shard)).input()?;
        journals.push((part.shard, journal));
    }
    let journals: Vec<(Shard, &Journal)> =
        journals.iter().map(|(shard, journal)| (*shard, journal)).collect();
    let found = report::gather(&study, manifest, &journals)?;
    print(&report::write(&study, &found, &options.out, options.json.as_deref())?)
}

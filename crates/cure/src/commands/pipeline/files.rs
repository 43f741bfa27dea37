//! What steps have left, read.

use std::collections::BTreeMap;
use std::path::Path;

use cure_report::Figure;
use serde_json::Value;

use super::{RESULTS, ROWS, file};
use crate::failure::{Blame, Failure, Outcome};
use crate::measured::Measured;
use crate::paired::Pairs;

/// The files of a plan's steps.
#[derive(Clone, Copy)]
pub(in crate::commands) struct Files<'a> {
    /// The plan's folder.
    pub(in crate::commands) out: &'a Path,
}

impl Files<'_> {
    /// A step's file.
    pub(in crate::commands) fn json(&self, step: &str, name: &str) -> Outcome<Value> {
        let path = self.out.join(file(step, name));
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    }

    /// The measurements of geometry of a step, whose file is called after them.
    pub(in crate::commands) fn geometry(&self, step: &str, what: &str) -> Outcome<Geometry> {
        let found = self.json(step, &format!("{what}.json"))?;
        Ok(Geometry { step: step.to_owned(), found })
    }

    /// A column of what a measurement of geometry found of each image, by the image's place, of one network; without
    /// images that have no such value.
    fn values(
        &self,
        step: &str,
        what: &str,
        network_name: &str,
        column: &str,
    ) -> Outcome<BTreeMap<usize, f64>> {
        let path = self.out.join(file(step, &format!("{what}-samples.csv")));
        let mut rows = csv::Reader::from_path(&path).failed()?;
        let header = rows.headers().failed()?;
        let place = |name: &str| header.iter().position(|other| other == name);
        let [Some(network), Some(index), Some(column)] = ["network", "index", column].map(place)
        else {
            return Err(lacks(step));
        };
        let mut found = BTreeMap::new();
        for row in rows.records() {
            let row = row.failed()?;
            let value = row.get(column).and_then(|value| value.parse().ok());
            if let (Some(name), Some(Ok(index)), Some(value)) =
                (row.get(network), row.get(index).map(str::parse), value)
                && name == network_name
            {
                found.insert(index, value);
            }
        }
        Ok(found)
    }

    /// A value of each image in two networks.
    pub(in crate::commands) fn pairs(
        &self,
        step: &str,
        what: &str,
        networks: [&str; 2],
        column: &str,
    ) -> Outcome<Pairs> {
        let [before, after] = networks.map(|network| self.values(step, what, network, column));
        Ok(Pairs::of(&before?, &after?))
    }

    /// Whether each image of an evaluation stands: as it is, then under each attack. One that an attack could say
    /// nothing about does not.
    pub(in crate::commands) fn standing(&self, step: &str) -> Outcome<Vec<Vec<bool>>> {
        self.outcomes(step, |verdict| verdict == "robust")
    }

    /// Whether each image is classified correctly, then whether `counts` each attack's verdict on it.
    pub(in crate::commands) fn outcomes(
        &self,
        step: &str,
        counts: impl Fn(&str) -> bool,
    ) -> Outcome<Vec<Vec<bool>>> {
        let mut rows = csv::Reader::from_path(self.out.join(file(step, ROWS))).failed()?;
        let mut found: Vec<Vec<bool>> = vec![Vec::new()];
        let (mut last, mut attack) = (None, 0);
        for row in rows.records() {
            let row = row.failed()?;
            let [Some(index), Some(label), Some(clean), Some(verdict)] =
                [0, 1, 2, 4].map(|column| row.get(column).map(str::to_owned))
            else {
                return Err(lacks(step));
            };
            if last.as_ref() != Some(&index) {
                found[0].push(label == clean);
                (last, attack) = (Some(index), 0);
            }
            attack += 1;
            if found.len() == attack {
                found.push(Vec::new());
            }
            found[attack].push(counts(&verdict));
        }
        match found.iter().all(|images| images.len() == found[0].len()) && found.len() > 1 {
            true => Ok(found),
            false => Err(lacks(step)),
        }
    }

    /// Clean accuracy, then that under each attack, of an evaluation.
    pub(in crate::commands) fn accuracies(&self, step: &str) -> Outcome<Vec<Measured>> {
        let found = self.json(step, RESULTS)?;
        let attacks = found["attacks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let read = |value| Measured::read(value).ok_or_else(|| lacks(step));
        std::iter::once(&found["clean"]).chain(attacks).map(read).collect()
    }
}

pub(in crate::commands) fn lacks(step: &str) -> Failure {
    Failure::Failed(format!(
        "the results of step {step} lack a number; delete its folder and start again"
    ))
}

/// What `cure geometry` wrote.
pub(in crate::commands) struct Geometry {
    step: String,
    pub(in crate::commands) found: Value,
}

impl Geometry {
    /// A mean over images of each network, none where no image has it.
    pub(in crate::commands) fn means(&self, path: &str) -> Vec<Option<Measured>> {
        let networks = self.found["networks"].as_array().map(Vec::as_slice).unwrap_or_default();
        networks.iter().map(|network| Measured::read(network["summary"].pointer(path)?)).collect()
    }

    /// Medians likewise.
    pub(in crate::commands) fn medians(&self, path: &str) -> Vec<Option<f64>> {
        let networks = self.found["networks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let median = |network: &Value| network["summary"].pointer(path)?.get("median")?.as_f64();
        networks.iter().map(median).collect()
    }

    /// Its figures.
    pub(in crate::commands) fn figures(
        &self,
        out: &Path,
        keep: impl Fn(&str) -> bool,
    ) -> Outcome<Vec<Figure>> {
        let figures = self.found["figures"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut drawn = Vec::new();
        for figure in figures {
            let text = |name: &str| figure[name].as_str().unwrap_or_default();
            if keep(text("file")) {
                let stem = out.join(file(&self.step, text("file")));
                drawn.push(Figure::read(&stem, text("title"), text("caption")).failed()?);
            }
        }
        Ok(drawn)
    }
}

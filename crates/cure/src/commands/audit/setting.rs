//! What an audit was asked for, and the sizes that its minutes allow: kept in its folder, so that what goes on is the
//! same audit.

use std::path::Path;

use cure_attacks::Epsilon;
use cure_data::{DataSpec, Dataset};
use serde::{Deserialize, Serialize};

use super::Options;
use super::budget::{Pace, Sizes};
use crate::arguments::{General, whole};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::write_json;

/// The file that keeps it.
pub(super) const RECORD: &str = "audit.json";

/// What the command line says. Paths are whole ones: steps run in the audit's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The network's file.
    pub(super) network: String,
    /// What names it to a command of this program.
    pub(super) model: Vec<String>,
    /// What `--data` takes.
    pub(super) data: String,
    /// The SHA-256 of what it read.
    pub(super) data_sha256: String,
    pub(super) split: String,
    /// The first image, where a part of the split was asked for.
    pub(super) first: usize,
    /// How many images there are.
    pub(super) images: usize,
    pub(super) epsilon: String,
    pub(super) minutes: f64,
    pub(super) seed: u64,
    pub(super) plain_sums: bool,
}

/// With what was chosen for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) asked: Asked,
    pub(super) sizes: Sizes,
    pub(super) pace: Pace,
    /// The network's classes.
    pub(super) classes: usize,
}

impl Asked {
    pub(super) fn new(
        general: &General,
        options: &Options,
        epsilon: Epsilon,
        images: &Dataset,
    ) -> Outcome<Self> {
        let (arguments, file) = (&options.model, options.model.file()?);
        let network = whole(file)?.to_string_lossy().into_owned();
        let mut model = match arguments.weights {
            Some(_) => vec!["--weights".to_owned(), network.clone()],
            None => Vec::new(),
        };
        match arguments.weights {
            Some(_) => model.extend(["--model".to_owned(), arguments.model.clone()]),
            None => model.extend(["--model".to_owned(), format!("torchscript:{network}")]),
        }
        if let Some(normalize) = &arguments.normalize {
            model.extend(["--normalize".to_owned(), normalize.clone()]);
        }
        let spec: DataSpec = options.data.data.parse().input()?;
        let data = match (spec.place(), options.data.data.split_once(':')) {
            (Some(place), Some((name, _))) => format!("{name}:{}", whole(place)?.display()),
            _ => options.data.data.clone(),
        };
        Ok(Self {
            network,
            model,
            data,
            data_sha256: images.sha256().to_owned(),
            split: options.data.split.clone(),
            // Images of a part of the split follow each other in it.
            first: images.indices().first().copied().unwrap_or(0),
            images: images.len(),
            epsilon: epsilon.notation(),
            minutes: options.minutes,
            seed: general.seed(),
            plain_sums: general.plain_sums,
        })
    }

    pub(super) fn with(self, sizes: Sizes, pace: Pace, classes: usize) -> Setting {
        Setting { asked: self, sizes, pace, classes }
    }
}

impl Setting {
    /// Whether a command asks for the same audit.
    pub(super) fn check(&self, now: &Asked, out: &Path) -> Outcome {
        let [before, now] =
            [&self.asked, now].map(|asked| serde_json::to_value(asked).unwrap_or_default());
        let fields = before.as_object().into_iter().flatten();
        let other = fields.map(|(name, was)| (name, was, &now[name])).find(|(_, a, b)| a != b);
        match other {
            None => Ok(()),
            Some((name, was, is)) => Err(Failure::Input(format!(
                "{} was begun with {name} {was}, and this command has {is}; give the same, or another folder with --out",
                out.display()
            ))),
        }
    }

    pub(super) fn save(&self, out: &Path) -> Outcome {
        write_json(&out.join(RECORD), self)
    }
}

/// What a folder was begun with, if it was.
pub(super) fn read(out: &Path) -> Outcome<Option<Setting>> {
    let path = out.join(RECORD);
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::Input(format!(
            "{}: not what this program keeps of an audit ({error}); choose another folder with --out",
            path.display()
        ))
    })
}

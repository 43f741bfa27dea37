//! Where in an image an attack may go: `--mask` and `--budgets`.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{AttackSpec, Epsilon, EvaluationSet, Region};
use cure_data::Dataset;
use serde_json::{Map, Value, json};

use crate::failure::{Blame, Failure, Outcome};

/// Which pixels may change.
#[derive(Args, Debug, Clone)]
pub(crate) struct MaskArguments {
    /// Only these pixels may change: a PNG of the images' size, white (may) and black (may not); or
    /// a .npy of bool or 0 and 1, [H,W], [C,H,W] or [N,C,H,W].
    #[arg(long, value_name = "FILE", help_heading = "Attacks")]
    mask: Option<PathBuf>,
}

/// Which pixels may change, and how far each image may go.
#[derive(Args, Debug, Clone)]
pub(crate) struct RegionArguments {
    #[command(flatten)]
    mask: MaskArguments,
    /// Each image's own ε in pixels, in the data's order: a .npy [N], or a .csv of one column. It
    /// replaces eps, which attacks may then leave out.
    #[arg(long, value_name = "FILE", help_heading = "Attacks")]
    budgets: Option<PathBuf>,
}

/// What `--mask` and `--budgets` say of some images.
#[derive(Default)]
pub(crate) struct Confinement {
    region: Option<Region>,
    /// `mask` and `budgets` as results hold them.
    pub(crate) json: Map<String, Value>,
    /// A line for each.
    pub(crate) text: String,
}

impl MaskArguments {
    /// The files that are read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.mask.as_deref().into_iter()
    }

    pub(crate) fn load(&self, data: &Dataset) -> Outcome<Confinement> {
        let mut found = Confinement::default();
        if let Some(path) = &self.mask {
            let mask = cure_data::read_mask(path, data.shape(), data.len()).input()?;
            found.note_mask(path, &mask, data);
            found.region.get_or_insert_default().mask = Some(mask.values);
        }
        Ok(found)
    }
}

impl RegionArguments {
    /// The files that are read.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.mask.inputs().chain(self.budgets.as_deref())
    }

    pub(crate) fn load(&self, data: &Dataset) -> Outcome<Confinement> {
        let mut found = self.mask.load(data)?;
        if let Some(path) = &self.budgets {
            let length = |text: &str| text.parse::<Epsilon>().map(Epsilon::value);
            let parse = |text: &str| length(text).map_err(|error| error.to_string());
            let column = cure_data::read_column(path, data.len(), parse).input()?;
            let radii = column.values.iter().enumerate().map(|(image, &value)| {
                let refuse = |error| {
                    Failure::Input(format!("{}: budget of image {image}: {error}", path.display()))
                };
                Epsilon::new(value).map_err(refuse)
            });
            let radii: Vec<Epsilon> = radii.collect::<Outcome<_>>()?;
            found.note_budgets(path, &column.sha256, &radii);
            found.region.get_or_insert_default().radii = Some(radii);
        }
        Ok(found)
    }

    /// Reads an attack; with budgets its ε is the largest of them.
    pub(crate) fn attack(&self, text: &str, confinement: &Confinement) -> Outcome<AttackSpec> {
        let radii = confinement.region.as_ref().and_then(|region| region.radii.as_ref());
        let largest = radii
            .and_then(|radii| radii.iter().copied().max_by(|a, b| a.value().total_cmp(&b.value())));
        let Some(largest) = largest else { return text.parse().input() };
        match text.parse::<AttackSpec>() {
            Ok(spec) => Ok(spec.at(largest)),
            Err(cure_attacks::AttackError::NoEpsilon { .. }) => {
                let separator = if text.contains(':') { "," } else { ":" };
                format!("{text}{separator}eps={}", largest.notation()).parse().input()
            }
            Err(error) => Err(error).input(),
        }
    }
}

impl Confinement {
    /// The images of `data`, for attacks to be kept in here.
    pub(crate) fn set(&self, data: &Dataset) -> Outcome<EvaluationSet> {
        let positions: Vec<usize> = (0..data.len()).collect();
        let batch = data.batch(&positions).input()?;
        let set = EvaluationSet::new(batch.images, batch.labels, batch.indices).input()?;
        match &self.region {
            None => Ok(set),
            Some(region) => set.within(region.clone()).input(),
        }
    }

    fn note_mask(&mut self, path: &Path, mask: &cure_data::Mask, data: &Dataset) {
        let length: usize = data.shape().iter().product();
        let count = |values: &[bool]| values.iter().filter(|&&free| free).count();
        let mut free: Vec<usize> = mask.values.chunks_exact(length.max(1)).map(count).collect();
        free.sort_unstable();
        let (least, most) = (free.first().copied(), free.last().copied());
        let file = name(path);
        self.json.insert(
            "mask".into(),
            json!({
                "file": file,
                "sha256": mask.sha256,
                "pixels": length,
                "free_min": least,
                "free_max": most,
            }),
        );
        let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
        let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
        self.text += &format!("mask {file}: {range} of {length} pixel values may change\n");
    }

    fn note_budgets(&mut self, path: &Path, sha256: &str, radii: &[Epsilon]) {
        let mut values: Vec<f64> = radii.iter().map(|radius| radius.value()).collect();
        values.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (values.first(), values.last()) else { return };
        let middle = values.len() / 2;
        let median = (values[middle] + values[(values.len() - 1) / 2]) / 2.0;
        let file = name(path);
        self.json.insert(
            "budgets".into(),
            json!({ "file": file, "sha256": sha256, "min": least, "median": median, "max": most }),
        );
        let shown =
            |value| Epsilon::new(value).map_or_else(|_| value.to_string(), Epsilon::notation);
        let [least, median, most] = [least, median, most].map(shown);
        self.text +=
            &format!("budgets {file}: each image its own ε, {least} to {most}, median {median}\n");
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

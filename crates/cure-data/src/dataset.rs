use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use cure_tensor::StoredImages;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::hexadecimal;
use crate::info::{ClassCount, DatasetInfo, PublishedChecksum};
use crate::{DataError, Result};

/// How far outside [0, 1] a float pixel may lie and still be taken for rounding noise, which is
/// clamped: under a hundred units in the last place of `f32` at 1.
const ROUNDING_NOISE: f32 = 1e-5;

/// Which part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The training samples.
    Train,
    /// Samples cut from the training split to choose checkpoints by; see
    /// [`Dataset::split_validation`].
    Validation,
    /// The test samples: never trained on, never chosen by.
    Test,
    /// Everything, of a source without splits (`npz:FILE`, a folder without `train` and `test`).
    All,
}

impl std::fmt::Display for Split {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::All => "all",
        })
    }
}

impl std::str::FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Train, Self::Validation, Self::Test, Self::All]
            .into_iter()
            .find(|split| split.to_string() == text)
            .ok_or_else(|| DataError::argument("split", text, "train, validation, test or all"))
    }
}

/// The pixels of all samples one after another, each sample channel-major `[C, H, W]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels {
    /// 8-bit pixels; the value in [0, 1] is byte / 255.
    Bytes(Vec<u8>),
    /// Pixels in [0, 1].
    Floats(Vec<f32>),
}

impl Pixels {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Floats(values) => values.len(),
        }
    }
}

/// What every subset of one source shares.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) name: String,
    pub(crate) layout: &'static str,
    pub(crate) shape: [usize; 3],
    pub(crate) class_names: Vec<String>,
    pub(crate) sha256: String,
    pub(crate) published: PublishedChecksum,
    pub(crate) pixels: Pixels,
    /// 8-bit pixels on the device; none in it where batches are cut on the host.
    pub(crate) on_device: OnceLock<Option<StoredImages>>,
}

/// Labelled images of one size: a split as stored, or a subset of one. Subsets share the pixels.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(crate) origin: Arc<Origin>,
    pub(crate) split: Split,
    /// Where each sample lies in `origin.pixels`.
    pub(crate) rows: Vec<usize>,
    pub(crate) labels: Vec<usize>,
    pub(crate) indices: Vec<usize>,
}

impl Dataset {
    /// A dataset from memory, its checksum being that of the pixels and labels.
    ///
    /// # Shapes
    /// `pixels` holds `[N, C, H, W]`, `labels` `[N]`, `shape` is `[C, H, W]`.
    ///
    /// # Errors
    /// Lengths that do not agree, no sample, a label without a class name, a float pixel that is
    /// NaN or outside [0, 1] (rounding noise is clamped).
    pub fn new(
        name: &str,
        split: Split,
        shape: [usize; 3],
        pixels: Pixels,
        labels: Vec<usize>,
        class_names: Vec<String>,
    ) -> Result<Self> {
        let mut digest = Sha256::new();
        match &pixels {
            Pixels::Bytes(values) => digest.update(values),
            Pixels::Floats(values) => {
                values.iter().for_each(|value| digest.update(value.to_le_bytes()));
            }
        }
        labels.iter().for_each(|&label| digest.update((label as u64).to_le_bytes()));
        let origin = Origin {
            name: name.to_owned(),
            layout: "memory",
            shape,
            class_names,
            sha256: hexadecimal(&digest.finalize()),
            published: PublishedChecksum::NotPublished,
            pixels,
            on_device: OnceLock::new(),
        };
        Self::from_origin(origin, split, labels, None, PathBuf::from(name))
    }

    /// Checks what a reader has brought together. `place` is where errors point to.
    pub(crate) fn from_origin(
        mut origin: Origin,
        split: Split,
        labels: Vec<usize>,
        indices: Option<Vec<usize>>,
        place: PathBuf,
    ) -> Result<Self> {
        if labels.is_empty() {
            return Err(DataError::Empty { what: format!("`{}`", place.display()) });
        }
        let n = labels.len();
        let indices = indices.unwrap_or_else(|| (0..n).collect());
        let features = origin
            .shape
            .iter()
            .try_fold(1, |size: usize, &extent| size.checked_mul(extent).filter(|&size| size > 0));
        let agrees = features.and_then(|features| features.checked_mul(n));
        if agrees != Some(origin.pixels.len()) || indices.len() != n {
            return Err(DataError::Shape {
                path: place,
                what: format!("{} pixels for {n} labels", origin.pixels.len()),
                found: origin.shape.iter().map(|&extent| extent as u64).collect(),
                expected: "channels × height × width pixels for every label, none of them 0".into(),
            });
        }
        let classes = origin.class_names.len();
        if let Some(record) = labels.iter().position(|&label| label >= classes) {
            return Err(DataError::Label {
                path: place,
                field: "label",
                record,
                value: labels[record] as i128,
                accepted: [0, classes.saturating_sub(1)],
            });
        }
        if let Pixels::Floats(values) = &mut origin.pixels {
            clamp_rounding_noise(values, n, place)?;
        }
        Ok(Self { origin: Arc::new(origin), split, rows: (0..n).collect(), labels, indices })
    }

    /// The dataset's name, such as `cifar10`.
    pub fn name(&self) -> &str {
        &self.origin.name
    }

    /// Which part of the dataset this is.
    pub fn split(&self) -> Split {
        self.split
    }

    /// The shape of one image, `[C, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        self.origin.shape
    }

    /// The names of the classes; a label is a position in this list. For `npz:FILE` they are the
    /// numbers up to the largest label there.
    pub fn class_names(&self) -> &[String] {
        &self.origin.class_names
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.origin.class_names.len()
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample. Never true: emptiness is refused where it would arise.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each sample.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The position of each sample in the split as stored, or what an `.npz` says in `index`.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// sha256 of the split's files one after another, in lower-case hexadecimal; of the pixels
    /// and labels where there is no file. A subset keeps its source's.
    pub fn sha256(&self) -> &str {
        &self.origin.sha256
    }

    /// Whether the files are those that the dataset's authors published.
    pub fn published(&self) -> &PublishedChecksum {
        &self.origin.published
    }

    /// Everything `cure data info` shows.
    pub fn info(&self) -> DatasetInfo {
        let (mean, std) = self.mean_std();
        let classes = self.class_names().iter().cloned().zip(self.class_counts());
        DatasetInfo {
            name: self.name().to_owned(),
            split: self.split,
            layout: self.origin.layout.to_owned(),
            n: self.len(),
            shape: self.shape(),
            classes: classes.map(|(name, count)| ClassCount { name, count }).collect(),
            mean,
            std,
            sha256: self.sha256().to_owned(),
            published: self.published().clone(),
        }
    }
}

fn clamp_rounding_noise(values: &mut [f32], samples: usize, place: PathBuf) -> Result<()> {
    let accepted = -ROUNDING_NOISE..=1.0 + ROUNDING_NOISE;
    if let Some(first) = values.iter().position(|value| !accepted.contains(value)) {
        let finite = || values.iter().copied().filter(|value| !value.is_nan());
        let (least, most) =
            (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
        let nans = values.iter().filter(|value| value.is_nan()).count();
        return Err(DataError::Pixel {
            path: place,
            sample: first / (values.len() / samples),
            value: f64::from(values[first]),
            range: format!("{least} to {most}, with {nans} NaN"),
        });
    }
    values.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
    Ok(())
}

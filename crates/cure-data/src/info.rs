use serde::{Deserialize, Serialize};

use crate::Split;

/// How the files compare with the checksums that the dataset's authors published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PublishedChecksum {
    /// Every file is the published one.
    Matched,
    /// Some files are not.
    Mismatched {
        /// Their names.
        files: Vec<String>,
    },
    /// There is nothing to compare with.
    NotPublished,
}

/// A class and its number of samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// Its samples.
    pub count: usize,
}

/// What `cure data info` shows of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// The dataset's name.
    pub name: String,
    /// Which part of it.
    pub split: Split,
    /// How it is stored: `embedded`, `binary`, `python`, `matlab`, `png`, `npz` or `memory`.
    pub layout: String,
    /// The number of samples.
    pub n: usize,
    /// The shape of one image, `[C, H, W]`.
    pub shape: [usize; 3],
    /// Samples per class, in the order of the labels.
    pub classes: Vec<ClassCount>,
    /// Mean of each channel, pixels in [0, 1].
    pub mean: Vec<f64>,
    /// Population standard deviation of each channel, pixels in [0, 1].
    pub std: Vec<f64>,
    /// sha256 of the split's files in order; see [`crate::Dataset::sha256`].
    pub sha256: String,
    /// Whether the files are the published ones.
    pub published: PublishedChecksum,
}

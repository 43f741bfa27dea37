use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::readers::{cifar, digits, folder, npz, svhn};
use crate::{DataError, Dataset, Result, Split};

/// The kinds of data that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatasetKind {
    /// The embedded handwritten digits.
    Digits,
    /// CIFAR-10, binary or Python layout.
    Cifar10,
    /// CIFAR-100 with its fine labels, binary or Python layout.
    Cifar100,
    /// SVHN, cropped digits in colour. The label of a digit is the digit: the files' 10 becomes 0.
    Svhn,
    /// SVHN, whose extra images follow the training images.
    SvhnExtra,
    /// Class-named sub-folders of PNG images.
    Folder,
    /// Arrays `x` and `y` in a NumPy archive.
    Npz,
}

/// A row of `cure data list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDataset {
    /// What it is.
    pub kind: DatasetKind,
    /// Its name on the command line.
    pub name: &'static str,
    /// How it is written, with its place.
    pub usage: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// Where it can be had.
    pub source: &'static str,
}

/// Every kind of data, as listed by `cure data list`.
pub const KNOWN_DATASETS: [KnownDataset; 7] = [
    KnownDataset {
        kind: DatasetKind::Digits,
        name: "digits",
        usage: "digits",
        description: "1797 handwritten digits, 8×8 grey, 10 classes, built in; the last 360 are the test split",
        source: "it is built in",
    },
    KnownDataset {
        kind: DatasetKind::Cifar10,
        name: "cifar10",
        usage: "cifar10:DIR",
        description: "60,000 photographs, 32×32 colour, 10 classes; binary or Python layout",
        source: "`cure data fetch cifar10` gets it from https://www.cs.toronto.edu/~kriz/cifar.html",
    },
    KnownDataset {
        kind: DatasetKind::Cifar100,
        name: "cifar100",
        usage: "cifar100:DIR",
        description: "60,000 photographs, 32×32 colour, 100 classes (fine labels); binary or Python layout",
        source: "`cure data fetch cifar100` gets it from https://www.cs.toronto.edu/~kriz/cifar.html",
    },
    KnownDataset {
        kind: DatasetKind::Svhn,
        name: "svhn",
        usage: "svhn:DIR",
        description: "99,289 cropped house numbers, 32×32 colour, 10 classes: the digits, 0 being 0 (10 in the files)",
        source: "`cure data fetch svhn` gets it from http://ufldl.stanford.edu/housenumbers",
    },
    KnownDataset {
        kind: DatasetKind::SvhnExtra,
        name: "svhn-extra",
        usage: "svhn-extra:DIR",
        description: "svhn, whose training images the 531,131 easier ones of extra_32x32.mat follow",
        source: "the files of format 2 are at http://ufldl.stanford.edu/housenumbers",
    },
    KnownDataset {
        kind: DatasetKind::Folder,
        name: "folder",
        usage: "folder:DIR",
        description: "PNG images of one size in class-named sub-folders, optionally below train/ and test/",
        source: "any folder of your own",
    },
    KnownDataset {
        kind: DatasetKind::Npz,
        name: "npz",
        usage: "npz:FILE",
        description: "arrays x (N,H,W,C or N,C,H,W; u8, or floats in [0, 1]) and y (integers) in a NumPy .npz",
        source: "numpy.savez(FILE, x=images, y=labels) writes one",
    },
];

impl DatasetKind {
    /// Its row in [`KNOWN_DATASETS`].
    pub fn known(self) -> &'static KnownDataset {
        // The table has one row a variant, in the variants' order; a test compares.
        &KNOWN_DATASETS[self as usize]
    }
}

/// A dataset as it is named on the command line and in configurations: `NAME[:PLACE]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataSpec {
    kind: DatasetKind,
    place: PathBuf,
}

impl DataSpec {
    /// What kind of data this is.
    pub fn kind(&self) -> DatasetKind {
        self.kind
    }

    /// The folder or file, for kinds that live on disk.
    pub fn place(&self) -> Option<&Path> {
        (self.kind != DatasetKind::Digits).then_some(self.place.as_path())
    }

    /// Reads one split. A source without splits (`npz:FILE`, a folder without `train` and
    /// `test`) gives all it has for any of train, test and all, and the dataset's
    /// [`Dataset::split`] then is [`Split::All`].
    ///
    /// # Errors
    /// Missing, truncated or malformed files; labels and pixels outside their ranges; a split
    /// that is not there. A validation split is cut from a training split with
    /// [`Dataset::split_validation`], never loaded.
    pub fn load(&self, split: Split) -> Result<Dataset> {
        match self.kind {
            DatasetKind::Digits => digits::load(split),
            DatasetKind::Cifar10 => cifar::load(&cifar::CIFAR10, &self.place, split),
            DatasetKind::Cifar100 => cifar::load(&cifar::CIFAR100, &self.place, split),
            DatasetKind::Svhn => svhn::load(&svhn::SVHN, &self.place, split),
            DatasetKind::SvhnExtra => svhn::load(&svhn::SVHN_EXTRA, &self.place, split),
            DatasetKind::Folder => folder::load(&self.place, split),
            DatasetKind::Npz => npz::load(&self.place, split),
        }
    }
}

impl std::str::FromStr for DataSpec {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        // At the first colon only: a place may hold more of them.
        let (name, place) = match text.split_once(':') {
            Some((name, place)) => (name, Some(place)),
            None => (text, None),
        };
        let Some(known) = KNOWN_DATASETS.iter().find(|known| known.name == name) else {
            return Err(DataError::UnknownDataset {
                name: name.to_owned(),
                suggestion: nearest(name),
            });
        };
        match (known.kind, place.filter(|place| !place.is_empty())) {
            (DatasetKind::Digits, Some(place)) => {
                Err(DataError::PlaceUnwanted { name: known.name, place: place.to_owned() })
            }
            (kind, Some(place)) => Ok(Self { kind, place: place.into() }),
            (kind @ DatasetKind::Digits, None) => Ok(Self { kind, place: PathBuf::new() }),
            (_, None) => Err(DataError::PlaceNeeded {
                name: known.name,
                usage: known.usage,
                source_hint: known.source,
            }),
        }
    }
}

/// The known name that a misspelt one most likely means: at most a third of it wrong.
fn nearest(name: &str) -> Option<&'static str> {
    let plain: String =
        name.to_lowercase().chars().filter(|letter| !matches!(letter, '-' | '_' | ' ')).collect();
    KNOWN_DATASETS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&plain, known.name), known.name))
        .min()
        .filter(|&(distance, near)| 3 * distance <= near.len())
        .map(|(_, near)| near)
}

impl std::fmt::Display for DataSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.kind.known().name)?;
        match self.place() {
            Some(place) => write!(formatter, ":{}", place.display()),
            None => Ok(()),
        }
    }
}

impl TryFrom<String> for DataSpec {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DataSpec> for String {
    fn from(spec: DataSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_finds_its_own_row() {
        for known in &KNOWN_DATASETS {
            assert_eq!(known.kind.known(), known);
        }
    }

    #[test]
    fn specifications_survive_printing() {
        for text in ["digits", "cifar10:some/where", "svhn-extra:x", "npz:C:\\data\\x.npz"] {
            let spec: DataSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
            let json = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<DataSpec>(&json).unwrap(), spec);
        }
    }

    #[test]
    fn errors_name_the_remedy() {
        let message = |text: &str| text.parse::<DataSpec>().unwrap_err().to_string();
        assert!(message("cifar-10:x").contains("did you mean `cifar10`?"));
        assert!(message("digit").contains("did you mean `digits`?"));
        assert!(message("svhn_extra:x").contains("did you mean `svhn-extra`?"));
        assert!(message("svnh:x").contains("did you mean `svhn`?"));
        let unknown = message("imagenet");
        assert!(!unknown.contains("did you mean"), "{unknown}");
        assert!(unknown.contains("known are digits, cifar10:DIR"), "{unknown}");
        assert!(message("cifar10").contains("write cifar10:DIR"));
        assert!(message("npz:").contains("write npz:FILE"));
        assert!(message("digits:here").contains("takes no place"));
    }
}

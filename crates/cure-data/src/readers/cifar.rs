//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009), <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! Binary layout: records of one label byte (CIFAR-100: two, coarse and fine) and 3072 pixel
//! bytes, channel-major. Python layout: see `cifar_python`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{cifar_binary, cifar_python, labels};
use crate::dataset::Origin;
use crate::files::file_size;
use crate::{DataError, Dataset, Pixels, PublishedChecksum, Result, Split};

/// Pixel bytes of one image.
pub(super) const IMAGE: usize = 3 * 32 * 32;

/// A file of a layout.
pub(super) struct BatchFile {
    name: &'static str,
    /// The published sum, where there is one.
    pub(super) md5: Option<&'static str>,
    /// The sum of the file that has the published one, where we had it. Processors have instructions
    /// for SHA-256 and none for md5, which takes three times as long as all else.
    pub(super) sha256: Option<&'static str>,
}

/// The files of a split.
pub(super) struct Part {
    pub(super) files: &'static [BatchFile],
    /// SHA-256 of the files one after the other, each having the sum recorded for it.
    pub(super) sha256: Option<&'static str>,
}

/// One way of storing a family.
struct Layout {
    name: &'static str,
    /// The folder that the published archive unpacks to.
    folder: &'static str,
    train: Part,
    test: Part,
    encoding: Encoding,
}

#[derive(Clone, Copy)]
enum Encoding {
    Binary,
    Python,
}

/// One label byte of a binary record, and the key of the label in a Python batch.
pub(super) struct LabelField {
    pub(super) name: &'static str,
    pub(super) classes: usize,
}

/// CIFAR-10 or CIFAR-100.
pub(crate) struct Family {
    name: &'static str,
    pub(super) class_names: &'static [&'static str],
    /// The label bytes of a record. The last one is the class.
    pub(super) label_fields: &'static [LabelField],
    /// The key of the classes in a Python batch.
    pub(super) python_key: &'static str,
    layouts: [Layout; 2],
}

/// What the files of a split hold.
#[derive(Default)]
pub(super) struct Records {
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<usize>,
    /// Of the files one after the other, in hexadecimal.
    pub(super) sha256: String,
    /// For each file, whether it is the published one; `None` where no sum was published.
    pub(super) is_published: Vec<Option<bool>>,
}

const fn file(name: &'static str, md5: &'static str) -> BatchFile {
    BatchFile { name, md5: Some(md5), sha256: None }
}

const fn recorded(name: &'static str, md5: &'static str, sha256: &'static str) -> BatchFile {
    BatchFile { name, md5: Some(md5), sha256: Some(sha256) }
}

const fn part(files: &'static [BatchFile]) -> Part {
    Part { files, sha256: None }
}

pub(crate) static CIFAR10: Family = Family {
    name: "cifar10",
    class_names: &labels::CIFAR10,
    label_fields: &[LabelField { name: "label", classes: 10 }],
    python_key: "labels",
    layouts: [
        Layout {
            name: "binary",
            folder: "cifar-10-batches-bin",
            train: Part {
                files: &[
                    recorded(
                        "data_batch_1.bin",
                        "5dd7e06a14cb22eb9f671a540d1b7c25",
                        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                    ),
                    recorded(
                        "data_batch_2.bin",
                        "5ea93a67294ea407fff1d09f752e9692",
                        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                    ),
                    recorded(
                        "data_batch_3.bin",
                        "942cd6a4bcdd0dd3c604fbe906cb4421",
                        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                    ),
                    recorded(
                        "data_batch_4.bin",
                        "ae636b3ba5c66a11e91e8cb52e771fcb",
                        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                    ),
                    recorded(
                        "data_batch_5.bin",
                        "53f37980c15c3d472c316c40844f3f0d",
                        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                    ),
                ],
                sha256: Some("a0181da372c0d63a5920fdbea2ec3f83ecbc552d378218e1cb473cf634941a3b"),
            },
            test: part(&[recorded(
                "test_batch.bin",
                "803d5f7f4d78ea53de84dbe85f74fb6d",
                "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            )]),
            encoding: Encoding::Binary,
        },
        Layout {
            name: "python",
            folder: "cifar-10-batches-py",
            train: part(&[
                file("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                file("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                file("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                file("data_batch_4", "634d18415352ddfa80567beed471001a"),
                file("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ]),
            test: part(&[file("test_batch", "40351d587109b95175f43aff81a1287e")]),
            encoding: Encoding::Python,
        },
    ],
};

pub(crate) static CIFAR100: Family = Family {
    name: "cifar100",
    class_names: &labels::CIFAR100,
    label_fields: &[
        LabelField { name: "coarse label", classes: 20 },
        LabelField { name: "fine label", classes: 100 },
    ],
    python_key: "fine_labels",
    layouts: [
        Layout {
            name: "binary",
            folder: "cifar-100-binary",
            train: part(&[BatchFile { name: "train.bin", md5: None, sha256: None }]),
            test: part(&[BatchFile { name: "test.bin", md5: None, sha256: None }]),
            encoding: Encoding::Binary,
        },
        Layout {
            name: "python",
            folder: "cifar-100-python",
            train: part(&[file("train", "16019d7e3df5f24257cddd939b257f8d")]),
            test: part(&[file("test", "f0ef6b0ae62326f3e7ffdfab6717acfc")]),
            encoding: Encoding::Python,
        },
    ],
};

impl Layout {
    fn part(&self, split: Split) -> &Part {
        if split == Split::Train { &self.train } else { &self.test }
    }
}

/// Reads one split from `folder`, in whichever layout is there.
pub(crate) fn load(family: &Family, folder: &Path, split: Split) -> Result<Dataset> {
    if !matches!(split, Split::Train | Split::Test) {
        let (dataset, available) = (family.name.into(), "train and test");
        return Err(DataError::Split { dataset, split, available });
    }
    let (layout, folder) = find(family, folder, split)?;
    let part = layout.part(split);
    // Every size is checked before any content is read.
    let sized = |file: &BatchFile| {
        let path = folder.join(file.name);
        checked_size(family, layout, &path).map(|size| (path, size))
    };
    let files = part.files.iter().map(sized).collect::<Result<Vec<(PathBuf, u64)>>>()?;
    let records = match layout.encoding {
        Encoding::Binary => cifar_binary::read(family, part, &files)?,
        Encoding::Python => cifar_python::read(family, part, &files)?,
    };
    let origin = Origin {
        name: family.name.to_owned(),
        layout: layout.name,
        shape: [3, 32, 32],
        class_names: family.class_names.iter().map(|&name| name.to_owned()).collect(),
        sha256: records.sha256,
        published: published(part, &records.is_published),
        pixels: Pixels::Bytes(records.pixels),
        on_device: OnceLock::new(),
    };
    Dataset::from_origin(origin, split, records.labels, None, folder)
}

fn published(part: &Part, is_published: &[Option<bool>]) -> PublishedChecksum {
    if is_published.contains(&None) {
        return PublishedChecksum::NotPublished;
    }
    let others = part.files.iter().zip(is_published).filter(|(_, is)| **is == Some(false));
    let files: Vec<String> = others.map(|(file, _)| file.name.to_owned()).collect();
    if files.is_empty() {
        return PublishedChecksum::Matched;
    }
    PublishedChecksum::Mismatched { files }
}

/// The layout that is there, and the folder it is in: `folder` itself or the one that the
/// published archive unpacks to.
fn find<'f>(family: &'f Family, folder: &Path, split: Split) -> Result<(&'f Layout, PathBuf)> {
    for layout in &family.layouts {
        for place in [folder.to_owned(), folder.join(layout.folder)] {
            if layout.part(split).files.iter().any(|file| place.join(file.name).is_file()) {
                return Ok((layout, place));
            }
        }
    }
    let problem = if folder.is_dir() {
        let first = |layout: &Layout| layout.part(split).files.first().map(|file| file.name);
        let names: Vec<&str> = family.layouts.iter().filter_map(first).collect();
        format!("holds neither {}", names.join(" nor "))
    } else {
        "is not a folder".to_owned()
    };
    Err(missing(family, folder, problem))
}

/// The size of a batch file, which must be a whole number of records.
fn checked_size(family: &Family, layout: &Layout, path: &Path) -> Result<u64> {
    if !path.exists() {
        return Err(missing(family, path, "does not exist".to_owned()));
    }
    let size = file_size(path)?;
    let record = match layout.encoding {
        Encoding::Binary => (family.label_fields.len() + IMAGE) as u64,
        Encoding::Python => 1,
    };
    if size == 0 || size % record != 0 {
        return Err(DataError::Truncated { path: path.to_owned(), size, record });
    }
    Ok(size)
}

fn missing(family: &Family, path: &Path, problem: String) -> DataError {
    let folders: Vec<&str> = family.layouts.iter().map(|layout| layout.folder).collect();
    let remedy = format!(
        "get {} from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it and name the folder {} \
         (`cure data fetch {}` does so)",
        family.name,
        folders.join(" or "),
        family.name
    );
    DataError::NotFound { path: path.to_owned(), problem, remedy }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::print_stdout)]
mod tests {
    use md5::Md5;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::files::hexadecimal;

    #[test]
    fn recorded_sums_are_of_the_published_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cifar10");
        if !folder.is_dir() {
            return println!("skipped: {} is not there", folder.display());
        }
        let Layout { train, test, .. } = &CIFAR10.layouts[0];
        for part in [train, test] {
            let mut all = Sha256::new();
            for file in part.files {
                let bytes = std::fs::read(folder.join(file.name)).unwrap();
                assert_eq!(file.md5, Some(&*hexadecimal(&Md5::digest(&bytes))), "{}", file.name);
                assert_eq!(file.sha256, Some(&*hexadecimal(&Sha256::digest(&bytes))));
                all.update(&bytes);
            }
            let recorded = part.sha256.or(part.files[0].sha256);
            assert_eq!(recorded, Some(&*hexadecimal(&all.finalize())));
        }
    }
}

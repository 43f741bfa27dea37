//! CIFAR-10 and CIFAR-100 (Krizhevsky 2009), <https://www.cs.toronto.edu/~kriz/cifar.html>.
//!
//! Binary layout: records of one label byte (CIFAR-100: two, coarse and fine) and 3072 pixel
//! bytes, channel-major. Python layout: see `cifar_python`.

use std::path::{Path, PathBuf};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{cifar_python, labels};
use crate::dataset::Origin;
use crate::files::{file_size, hexadecimal, read_into, reserve};
use crate::{DataError, Dataset, Pixels, PublishedChecksum, Result, Split};

/// Pixel bytes of one image.
pub(super) const IMAGE: usize = 3 * 32 * 32;

/// A file of a layout, with the published md5 sum of it where there is one.
struct BatchFile {
    name: &'static str,
    md5: Option<&'static str>,
}

/// One way of storing a family.
struct Layout {
    name: &'static str,
    /// The folder that the published archive unpacks to.
    folder: &'static str,
    train: &'static [BatchFile],
    test: &'static [BatchFile],
    encoding: Encoding,
    known: Option<Known>,
}

#[derive(Clone, Copy)]
enum Encoding {
    Binary,
    Python,
}

/// One label byte of a binary record, and the key of the label in a Python batch.
pub(super) struct LabelField {
    name: &'static str,
    classes: usize,
}

/// CIFAR-10 or CIFAR-100.
pub(crate) struct Family {
    name: &'static str,
    pub(super) class_names: &'static [&'static str],
    /// The label bytes of a record. The last one is the class.
    label_fields: &'static [LabelField],
    /// The key of the classes in a Python batch.
    pub(super) python_key: &'static str,
    layouts: [Layout; 2],
}

/// What has been decoded so far.
#[derive(Default)]
pub(super) struct Records {
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<usize>,
}

/// SHA-256 of the files of each split, one after the other, whose md5 sums were the published ones, and the
/// size that every file then has. Processors have instructions for SHA-256 and none for md5, which takes three
/// times as long as all else; other files are compared by md5.
struct Known {
    train: &'static str,
    test: &'static str,
    size: u64,
}

const fn file(name: &'static str, md5: &'static str) -> BatchFile {
    BatchFile { name, md5: Some(md5) }
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
            train: &[
                file("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
                file("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
                file("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
                file("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
                file("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
            ],
            test: &[file("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d")],
            encoding: Encoding::Binary,
            known: Some(Known {
                train: "a0181da372c0d63a5920fdbea2ec3f83ecbc552d378218e1cb473cf634941a3b",
                test: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
                size: 10_000 * 3073,
            }),
        },
        Layout {
            name: "python",
            folder: "cifar-10-batches-py",
            train: &[
                file("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                file("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                file("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                file("data_batch_4", "634d18415352ddfa80567beed471001a"),
                file("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ],
            test: &[file("test_batch", "40351d587109b95175f43aff81a1287e")],
            encoding: Encoding::Python,
            known: None,
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
            train: &[BatchFile { name: "train.bin", md5: None }],
            test: &[BatchFile { name: "test.bin", md5: None }],
            encoding: Encoding::Binary,
            known: None,
        },
        Layout {
            name: "python",
            folder: "cifar-100-python",
            train: &[file("train", "16019d7e3df5f24257cddd939b257f8d")],
            test: &[file("test", "f0ef6b0ae62326f3e7ffdfab6717acfc")],
            encoding: Encoding::Python,
            known: None,
        },
    ],
};

impl Layout {
    /// Whether these are the published files, without asking md5.
    fn is_known(&self, split: Split, sizes: &[u64], sha256: &str) -> bool {
        self.known.as_ref().is_some_and(|known| {
            let expected = match split {
                Split::Train => known.train,
                Split::Test => known.test,
                _ => return false,
            };
            sha256 == expected && sizes.iter().all(|&size| size == known.size)
        })
    }

    fn files(&self, split: Split) -> &'static [BatchFile] {
        if split == Split::Train { self.train } else { self.test }
    }
}

/// Reads one split from `folder`, in whichever layout is there.
pub(crate) fn load(family: &Family, folder: &Path, split: Split) -> Result<Dataset> {
    if !matches!(split, Split::Train | Split::Test) {
        let (dataset, available) = (family.name.into(), "train and test");
        return Err(DataError::Split { dataset, split, available });
    }
    let (layout, folder) = find(family, folder, split)?;
    let files = layout.files(split);
    // Every size is checked before any content is read.
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file.name)).collect();
    let sizes = paths
        .iter()
        .map(|path| checked_size(family, layout, path))
        .collect::<Result<Vec<u64>>>()?;
    let mut records = Records::default();
    reserve(
        &mut records.pixels,
        &folder,
        sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size)),
    )?;
    let mut sha256 = Sha256::new();
    let mut bytes = Vec::new();
    for (path, &size) in paths.iter().zip(&sizes) {
        read_into(path, size, &mut bytes)?;
        let ((), decoded) = rayon::join(
            || sha256.update(&bytes),
            || match layout.encoding {
                Encoding::Binary => decode_binary(family, path, &bytes, &mut records),
                Encoding::Python => cifar_python::decode(family, path, &bytes, &mut records),
            },
        );
        decoded?;
    }
    let sha256 = hexadecimal(&sha256.finalize());
    let published = if files.iter().any(|file| file.md5.is_none()) {
        PublishedChecksum::NotPublished
    } else if layout.is_known(split, &sizes, &sha256) {
        PublishedChecksum::Matched
    } else {
        compare(files, &paths, &sizes)?
    };
    let origin = Origin {
        name: family.name.to_owned(),
        layout: layout.name,
        shape: [3, 32, 32],
        class_names: family.class_names.iter().map(|&name| name.to_owned()).collect(),
        sha256,
        published,
        pixels: Pixels::Bytes(records.pixels),
    };
    Dataset::from_origin(origin, split, records.labels, None, folder)
}

/// The md5 sums of the files against the published ones.
fn compare(files: &[BatchFile], paths: &[PathBuf], sizes: &[u64]) -> Result<PublishedChecksum> {
    let mut bytes = Vec::new();
    let mut mismatched = Vec::new();
    for ((file, path), &size) in files.iter().zip(paths).zip(sizes) {
        read_into(path, size, &mut bytes)?;
        if file.md5.is_some_and(|published| published != hexadecimal(&Md5::digest(&bytes))) {
            mismatched.push(file.name.to_owned());
        }
    }
    Ok(match mismatched.is_empty() {
        true => PublishedChecksum::Matched,
        false => PublishedChecksum::Mismatched { files: mismatched },
    })
}

/// The layout that is there, and the folder it is in: `folder` itself or the one that the
/// published archive unpacks to.
fn find<'f>(family: &'f Family, folder: &Path, split: Split) -> Result<(&'f Layout, PathBuf)> {
    for layout in &family.layouts {
        for place in [folder.to_owned(), folder.join(layout.folder)] {
            if layout.files(split).iter().any(|file| place.join(file.name).is_file()) {
                return Ok((layout, place));
            }
        }
    }
    let problem = if folder.is_dir() {
        let first = |layout: &Layout| layout.files(split).first().map(|file| file.name);
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
        "get {} from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it and name the folder {}",
        family.name,
        folders.join(" or ")
    );
    DataError::NotFound { path: path.to_owned(), problem, remedy }
}

fn decode_binary(family: &Family, path: &Path, bytes: &[u8], records: &mut Records) -> Result<()> {
    let label_bytes = family.label_fields.len();
    for (index, record) in bytes.chunks_exact(label_bytes + IMAGE).enumerate() {
        let (found, pixels) = record.split_at(label_bytes);
        for (field, &label) in family.label_fields.iter().zip(found) {
            if usize::from(label) >= field.classes {
                return Err(DataError::Label {
                    path: path.to_owned(),
                    field: field.name,
                    record: index,
                    value: i128::from(label),
                    largest: field.classes - 1,
                });
            }
        }
        records.labels.extend(found.last().map(|&label| usize::from(label)));
        records.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

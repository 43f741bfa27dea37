//! The Street View House Numbers (Netzer et al. 2011) in format 2, cropped digits,
//! <http://ufldl.stanford.edu/housenumbers>: MAT-files with `X`, uint8 `[32, 32, 3, N]` (row,
//! column, channel, image), and `y`, `[N, 1]`, whose labels are the digits 1 to 9 and, for the
//! digit 0, 10. Here the label of a digit is the digit.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use md5::Md5;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::matlab::{self, Variable};
use super::matlab_element::Storage;
use crate::dataset::Origin;
use crate::files::{hexadecimal, zeros};
use crate::{DataError, Dataset, Pixels, PublishedChecksum, Result, Split};

/// Rows and columns of an image.
const SIDE: usize = 32;

/// Pixel bytes of one image.
const IMAGE: usize = 3 * SIDE * SIDE;

/// A file as published.
struct Published {
    name: &'static str,
    md5: &'static str,
}

const TRAIN: Published =
    Published { name: "train_32x32.mat", md5: "e26dedcc434d2e4c54c9b2d4a06d8373" };
const EXTRA: Published =
    Published { name: "extra_32x32.mat", md5: "a93ce644f1a588dc4d68dda5feec44a7" };
const TEST: Published =
    Published { name: "test_32x32.mat", md5: "eb5a983be6a315427106f1b164d9cef3" };

/// Which files are trained on; those of the test split are the same.
pub(crate) struct Selection {
    name: &'static str,
    train: &'static [Published],
}

pub(crate) static SVHN: Selection = Selection { name: "svhn", train: &[TRAIN] };
pub(crate) static SVHN_EXTRA: Selection = Selection { name: "svhn-extra", train: &[TRAIN, EXTRA] };

/// A file and the arrays in it, which agree in the number of images.
struct Part {
    path: PathBuf,
    images: usize,
    x: Variable,
    y: Variable,
}

/// Reads one split from `folder`.
pub(crate) fn load(selection: &Selection, folder: &Path, split: Split) -> Result<Dataset> {
    let published: &[Published] = match split {
        Split::Train => selection.train,
        Split::Test => &[TEST],
        Split::Validation | Split::All => {
            let (dataset, available) = (selection.name.into(), "train and test");
            return Err(DataError::Split { dataset, split, available });
        }
    };
    // Every shape is checked before any values are read.
    let parts = published.iter().map(|file| find(folder, file)).collect::<Result<Vec<Part>>>()?;
    let total = parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.x.size));
    let place = parts.first().map_or(folder, |part| part.path.as_path());
    let mut pixels = zeros(total, place)?;
    let mut left = pixels.as_mut_slice();
    let mut tasks = Vec::with_capacity(parts.len());
    for part in &parts {
        let images;
        (images, left) = left.split_at_mut(part.images * IMAGE);
        tasks.push((part, images));
    }
    // The sums are taken from a second reading, which finds the files in the system's cache.
    let (labels, sums) = rayon::join(
        || tasks.into_par_iter().map(|(part, images)| part.read(images)).collect::<Vec<_>>(),
        || sums(&parts),
    );
    // The first error in the order of the files, not of time.
    let labels = labels.into_iter().collect::<Result<Vec<Vec<usize>>>>()?.concat();
    let (sha256, md5) = sums?;
    let others = published.iter().zip(md5).filter(|(file, md5)| file.md5 != md5);
    let others: Vec<String> = others.map(|(file, _)| file.name.to_owned()).collect();
    let published = match others.is_empty() {
        true => PublishedChecksum::Matched,
        false => PublishedChecksum::Mismatched { files: others },
    };
    let origin = Origin {
        name: selection.name.to_owned(),
        layout: "matlab",
        shape: [3, SIDE, SIDE],
        class_names: (0..10).map(|digit| digit.to_string()).collect(),
        sha256,
        published,
        pixels: Pixels::Bytes(pixels),
        on_device: OnceLock::new(),
    };
    Dataset::from_origin(origin, split, labels, None, folder.to_owned())
}

/// The arrays of a file, their shapes checked.
fn find(folder: &Path, file: &Published) -> Result<Part> {
    let path = folder.join(file.name);
    if !path.exists() {
        let (path, problem) = match folder.is_dir() {
            true => (path, "does not exist"),
            false => (folder.to_owned(), "is not a folder"),
        };
        let remedy = format!(
            "get {} of format 2 from http://ufldl.stanford.edu/housenumbers and name the folder it is in",
            file.name
        );
        return Err(DataError::NotFound { path, problem: problem.to_owned(), remedy });
    }
    let [x, y] = matlab::find(&path, ["X", "y"])?;
    let absent = |what: &str| {
        let detail = format!("it holds no variable {what}; files of format 2 do");
        DataError::format(&path, detail)
    };
    let x = x.ok_or_else(|| absent("`X` (the images)"))?;
    let y = y.ok_or_else(|| absent("`y` (the labels)"))?;
    let images = match *x.shape {
        [SIDE, SIDE, 3, images] => images,
        // MATLAB drops a last extent of 1.
        [SIDE, SIDE, 3] => 1,
        _ => return Err(wrong_shape(&path, &x, "[32, 32, 3, N]".to_owned())),
    };
    if (x.class, x.storage) != ("uint8", Storage::U8) {
        let detail = format!("`X` is {} stored as {:?}; uint8 is accepted", x.class, x.storage);
        return Err(DataError::format(&path, detail));
    }
    if *y.shape != [images, 1] && *y.shape != [1, images] {
        let expected = format!("[{images}, 1], one label for each image of `X`");
        return Err(wrong_shape(&path, &y, expected));
    }
    Ok(Part { path, images, x, y })
}

fn wrong_shape(path: &Path, variable: &Variable, expected: String) -> DataError {
    let found = variable.shape.iter().map(|&extent| extent as u64).collect();
    let what = format!("variable `{}`", variable.name);
    DataError::Shape { path: path.to_owned(), what, found, expected }
}

impl Part {
    /// Reads the images, `[N, 3, 32, 32]`, into `pixels` and gives the labels.
    fn read(&self, pixels: &mut [u8]) -> Result<Vec<usize>> {
        self.x.read(&self.path, pixels)?;
        // Column-major `[row, column, channel, image]` is row-major `[image, channel, column, row]`.
        pixels.par_chunks_exact_mut(SIDE * SIDE).with_min_len(1000).for_each(transpose);
        let labels = self.y.numbers(&self.path)?;
        labels.into_iter().enumerate().map(|(record, label)| self.digit(record, label)).collect()
    }

    fn digit(&self, record: usize, label: f64) -> Result<usize> {
        let accepted = [1, 10];
        if label.fract() != 0.0 {
            let detail =
                format!("label {record} is {label}; whole numbers from 1 to 10 are accepted");
            return Err(DataError::format(&self.path, detail));
        }
        match label as usize {
            digit if (1..=10).contains(&digit) => Ok(digit % 10),
            _ => Err(DataError::Label {
                path: self.path.clone(),
                field: "label",
                record,
                value: label as i128,
                accepted,
            }),
        }
    }
}

/// Exchanges rows and columns of a square plane.
fn transpose(plane: &mut [u8]) {
    for row in 1..SIDE {
        for column in 0..row {
            plane.swap(row * SIDE + column, column * SIDE + row);
        }
    }
}

/// The SHA-256 of the files one after the other, and the md5 of each.
fn sums(parts: &[Part]) -> Result<(String, Vec<String>)> {
    let mut all = Sha256::new();
    let mut block = vec![0; 1 << 18];
    let mut sum = |path: &Path| {
        let mut file = File::open(path).map_err(DataError::read(path))?;
        let mut md5 = Md5::new();
        loop {
            match file.read(&mut block).map_err(DataError::read(path))? {
                0 => return Ok(hexadecimal(&md5.finalize())),
                read => {
                    all.update(&block[..read]);
                    md5.update(&block[..read]);
                }
            }
        }
    };
    let md5 = parts.iter().map(|part| sum(&part.path)).collect::<Result<Vec<String>>>()?;
    Ok((hexadecimal(&all.finalize()), md5))
}

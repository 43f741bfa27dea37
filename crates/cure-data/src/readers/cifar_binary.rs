//! The binary layout of CIFAR: records of label bytes and pixels.

use std::fs::File;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cifar::{BatchFile, Family, IMAGE, Part, Records};
use crate::files::{hexadecimal, read_next, zeros};
use crate::{DataError, Result};

/// Records read at once: a quarter of a megabyte, in cache while it is summed and put in its place.
const AT_ONCE: usize = 85;

/// A file and where its contents go.
struct Task<'a> {
    path: &'a Path,
    size: u64,
    /// `[N, label bytes]`.
    labels: &'a mut [u8],
    /// `[N, IMAGE]`.
    pixels: &'a mut [u8],
}

/// Reads files whose sizes are whole numbers of records, each on a core.
pub(super) fn read(family: &Family, part: &Part, files: &[(PathBuf, u64)]) -> Result<Records> {
    let width = family.label_fields.len();
    let record = (width + IMAGE) as u64;
    let total = files.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(size / record));
    let place = files.first().map_or(Path::new(""), |(path, _)| path.as_path());
    let mut labels = zeros(total.saturating_mul(width as u64), place)?;
    let mut pixels = zeros(total.saturating_mul(IMAGE as u64), place)?;
    let (mut labels_left, mut pixels_left) = (labels.as_mut_slice(), pixels.as_mut_slice());
    let mut tasks = Vec::with_capacity(files.len());
    for (path, size) in files {
        let records = (size / record) as usize;
        let (labels, pixels);
        (labels, labels_left) = labels_left.split_at_mut(records * width);
        (pixels, pixels_left) = pixels_left.split_at_mut(records * IMAGE);
        tasks.push(Task { path, size: *size, labels, pixels });
    }
    let tasks = tasks.into_par_iter().with_max_len(1);
    let sums: Vec<Result<String>> = tasks.map(|task| task.run(family)).collect();
    // The first error in the order of the files, not of time.
    let sums = sums.into_iter().collect::<Result<Vec<String>>>()?;

    let compare = |(file, sum): (&BatchFile, &String)| file.sha256.map(|recorded| recorded == sum);
    let is_published: Vec<Option<bool>> = part.files.iter().zip(&sums).map(compare).collect();
    let are_published = is_published.iter().all(|&is| is == Some(true));
    let sha256 = match (sums.as_slice(), part.sha256.filter(|_| are_published)) {
        ([only], _) => only.clone(),
        (_, Some(recorded)) => recorded.to_owned(),
        (_, None) => sum_of_all(&labels, &pixels, width),
    };
    let classes = labels.chunks_exact(width).filter_map(<[u8]>::last);
    let labels = classes.map(|&label| usize::from(label)).collect();
    Ok(Records { pixels, labels, sha256, is_published })
}

impl Task<'_> {
    /// Reads the file and gives its SHA-256.
    fn run(self, family: &Family) -> Result<String> {
        let width = family.label_fields.len();
        let record = width + IMAGE;
        let mut file = File::open(self.path).map_err(DataError::read(self.path))?;
        let mut sum = Sha256::new();
        let mut buffer = vec![0; AT_ONCE * record];
        let labels = self.labels.chunks_mut(AT_ONCE * width);
        let places = labels.zip(self.pixels.chunks_mut(AT_ONCE * IMAGE));
        for (at, (labels, pixels)) in places.enumerate() {
            let bytes = &mut buffer[..labels.len() + pixels.len()];
            read_next(&mut file, self.path, self.size, bytes)?;
            sum.update(&*bytes);
            let places = labels.chunks_exact_mut(width).zip(pixels.chunks_exact_mut(IMAGE));
            let records = bytes.chunks_exact(record).zip(places);
            for (index, (bytes, (labels, image))) in records.enumerate() {
                let (found, pixels) = bytes.split_at(width);
                check_labels(family, self.path, at * AT_ONCE + index, found)?;
                labels.copy_from_slice(found);
                image.copy_from_slice(pixels);
            }
        }
        Ok(hexadecimal(&sum.finalize()))
    }
}

fn check_labels(family: &Family, path: &Path, record: usize, labels: &[u8]) -> Result<()> {
    for (field, &label) in family.label_fields.iter().zip(labels) {
        if usize::from(label) >= field.classes {
            return Err(DataError::Label {
                path: path.to_owned(),
                field: field.name,
                record,
                value: i128::from(label),
                accepted: [0, field.classes - 1],
            });
        }
    }
    Ok(())
}

/// The SHA-256 of the files one after the other, from what was read of them.
fn sum_of_all(labels: &[u8], pixels: &[u8], width: usize) -> String {
    let mut sum = Sha256::new();
    for (labels, pixels) in labels.chunks_exact(width).zip(pixels.chunks_exact(IMAGE)) {
        sum.update(labels);
        sum.update(pixels);
    }
    hexadecimal(&sum.finalize())
}

//! NumPy archives: `x`, the images, and `y`, their labels; `index`, if there, says where each
//! sample stands in the split that it was taken from.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::OnceLock;

use cure_tensor::Tensor;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::npy::{Array, Kind, header};
use crate::dataset::Origin;
use crate::files::{MAX_DEFLATE, file_size, hexadecimal, write_atomically};
use crate::{DataError, Dataset, Pixels, PublishedChecksum, Result, Split};

/// Labels above this are taken for a mistake: no image classifier has as many classes.
const LARGEST_LABEL: usize = 65_535;

/// Reads the archive, which has one set of samples, whatever split is asked for.
pub(crate) fn load(path: &Path, split: Split) -> Result<Dataset> {
    if split == Split::Validation {
        let available = "one set that stands for train, test and all";
        return Err(DataError::Split { dataset: path.display().to_string(), split, available });
    }
    if !path.exists() {
        return Err(DataError::NotFound {
            path: path.to_owned(),
            problem: "does not exist".into(),
            remedy: "numpy.savez(FILE, x=images, y=labels) writes such a file".into(),
        });
    }
    let size = file_size(path)?;
    let file = File::open(path).map_err(DataError::read(path))?;
    let mut archive = ZipArchive::new(BufReader::new(file))
        .map_err(|error| DataError::format(path, format!("it is not an .npz archive: {error}")))?;
    let mut array = |name| read_array(path, size, &mut archive, name);
    let absent = |name| DataError::format(path, format!("it holds no array `{name}`"));
    let x = array("x")?.ok_or_else(|| absent("x (the images)"))?;
    let y = array("y")?.ok_or_else(|| absent("y (the labels)"))?;
    let index = array("index")?;
    let labels = integers(path, "y", &y, x.shape.first().copied(), LARGEST_LABEL)?;
    let stored =
        index.map(|index| integers(path, "index", &index, Some(labels.len()), u32::MAX as usize));
    if labels.is_empty() {
        return Err(DataError::Empty { what: format!("`{}`", path.display()) });
    }
    let (shape, pixels) = images(path, &x)?;
    let classes = labels.iter().max().map_or(0, |largest| largest + 1);
    let origin = Origin {
        name: "npz".into(),
        layout: "npz",
        shape,
        class_names: (0..classes).map(|class| class.to_string()).collect(),
        sha256: digest(path)?,
        published: PublishedChecksum::NotPublished,
        pixels,
        on_device: OnceLock::new(),
    };
    Dataset::from_origin(origin, Split::All, labels, stored.transpose()?, path.to_owned())
}

fn digest(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(DataError::read(path))?;
    let mut sha256 = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(DataError::read(path))? {
            0 => return Ok(hexadecimal(&sha256.finalize())),
            read => sha256.update(&block[..read]),
        }
    }
}

/// The array `name` of an archive that is `file_size` bytes long, if it is there.
fn read_array(
    path: &Path,
    file_size: u64,
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
) -> Result<Option<Array>> {
    let wrong = |detail: String| DataError::format(path, format!("array `{name}`: {detail}"));
    let mut entry = match archive.by_name(&format!("{name}.npy")) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let declared = entry.size();
    if declared > entry.compressed_size().min(file_size).saturating_mul(MAX_DEFLATE) {
        return Err(wrong(format!("its {declared} bytes cannot be in {file_size} bytes")));
    }
    let mut bytes = Vec::new();
    let read = entry.by_ref().take(declared).read_to_end(&mut bytes);
    read.map_err(|error| wrong(error.to_string()))?;
    Array::parse(bytes).map_err(wrong).map(Some)
}

/// An array `[N]` of integers from 0 to `largest`.
fn integers(
    path: &Path,
    name: &'static str,
    array: &Array,
    samples: Option<usize>,
    largest: usize,
) -> Result<Vec<usize>> {
    if array.shape.len() != 1 || array.shape.first().copied() != samples {
        let samples = samples.unwrap_or(0);
        return Err(wrong_shape(path, name, array, format!("[{samples}], one integer an image")));
    }
    (0..array.shape[0])
        .map(|record| {
            let Some(value) = array.integer(record) else {
                let detail = format!("`{name}` holds `{}`, integers are needed", array.descr);
                return Err(DataError::format(path, detail));
            };
            usize::try_from(value).ok().filter(|&value| value <= largest).ok_or_else(|| {
                let accepted = [0, largest];
                DataError::Label { path: path.to_owned(), field: name, record, value, accepted }
            })
        })
        .collect()
}

/// Images from `[N, C, H, W]` or `[N, H, W, C]`: their shape `[C, H, W]`, and their pixels.
fn images(path: &Path, array: &Array) -> Result<([usize; 3], Pixels)> {
    const ACCEPTED: &str = "[N, C, H, W] or [N, H, W, C], C being 1 or 3 and H and W other numbers";
    let (&[n, first, middle, last], &[to_n, to_first, to_middle, to_last]) =
        (array.shape.as_slice(), array.strides.as_slice())
    else {
        return Err(wrong_shape(path, "x", array, ACCEPTED.to_owned()));
    };
    let counts_channels = |extent| extent == 1 || extent == 3;
    // Extents and strides of sample, channel, row and column.
    let (extents, strides) = match (counts_channels(first), counts_channels(last)) {
        (true, false) => ([n, first, middle, last], [to_n, to_first, to_middle, to_last]),
        (false, true) => ([n, last, first, middle], [to_n, to_last, to_first, to_middle]),
        _ => return Err(wrong_shape(path, "x", array, ACCEPTED.to_owned())),
    };
    if extents.contains(&0) {
        return Err(wrong_shape(path, "x", array, "no extent of 0".to_owned()));
    }
    let pixels = match (array.kind, array.size) {
        (Kind::Unsigned, 1) => {
            Pixels::Bytes(gather(extents, strides, |offset| array.data()[offset]))
        }
        (Kind::Float, 4) => Pixels::Floats(gather(extents, strides, |offset| {
            f32::from_bits(array.bits(offset) as u32)
        })),
        (Kind::Float, 8) => Pixels::Floats(gather(extents, strides, |offset| {
            f64::from_bits(array.bits(offset)) as f32
        })),
        _ => {
            let found = &array.descr;
            let detail = format!("`x` holds `{found}`; uint8, float32 and float64 are accepted");
            return Err(DataError::format(path, detail));
        }
    };
    let [_, channels, height, width] = extents;
    Ok(([channels, height, width], pixels))
}

fn wrong_shape(path: &Path, name: &str, array: &Array, expected: String) -> DataError {
    let found = array.shape.iter().map(|&extent| extent as u64).collect();
    DataError::Shape { path: path.to_owned(), what: format!("array `{name}`"), found, expected }
}

/// Elements in row-major order of `extents`, from where `strides` say they are.
fn gather<P>(extents: [usize; 4], strides: [usize; 4], element: impl Fn(usize) -> P) -> Vec<P> {
    let [n, channels, height, width] = extents;
    let [to_sample, to_channel, to_row, to_column] = strides;
    let mut values = Vec::with_capacity(n * channels * height * width);
    for sample in 0..n {
        for channel in 0..channels {
            for row in 0..height {
                let start = sample * to_sample + channel * to_channel + row * to_row;
                values.extend((0..width).map(|column| element(start + column * to_column)));
            }
        }
    }
    values
}

/// Writes images, such as adversarial ones, for NumPy and for `npz:FILE`: `x` (`float32`,
/// `[N, C, H, W]`), `y` and `index` (`int64`, `[N]`). The file appears whole or not at all.
///
/// # Shapes
/// `images` is `[N, C, H, W]`, `labels` and `indices` are `[N]`.
///
/// # Errors
/// Shapes that do not agree; a file that cannot be written.
pub fn write_npz(path: &Path, images: &Tensor, labels: &[usize], indices: &[usize]) -> Result<()> {
    let shape = images.shape();
    let n = labels.len();
    if shape.len() != 4 || shape[0] != n || indices.len() != n {
        return Err(DataError::Shape {
            path: path.to_owned(),
            what: "the tensor of images to write".into(),
            found: shape.iter().map(|&extent| extent as u64).collect(),
            expected: format!("[N, C, H, W] for {n} labels and {} indices", indices.len()),
        });
    }
    write_atomically(path, |file| {
        let mut archive = ZipWriter::new(file);
        let pixels = images.host();
        add(&mut archive, "x", "<f4", shape, pixels.iter().map(|pixel| pixel.to_le_bytes()))?;
        for (name, values) in [("y", labels), ("index", indices)] {
            let integers = values.iter().map(|&value| (value as i64).to_le_bytes());
            add(&mut archive, name, "<i8", &[n], integers)?;
        }
        archive.finish().map_err(std::io::Error::other)?;
        Ok(())
    })
}

fn add<const SIZE: usize>(
    archive: &mut ZipWriter<&mut BufWriter<File>>,
    name: &str,
    descr: &str,
    shape: &[usize],
    elements: impl Iterator<Item = [u8; SIZE]>,
) -> std::io::Result<()> {
    let mut bytes = header(descr, shape);
    bytes.extend(elements.flatten());
    // Stored, as `numpy.savez` does: perturbed images do not compress.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(bytes.len() > u32::MAX as usize / 2);
    archive.start_file(format!("{name}.npy"), options).map_err(std::io::Error::other)?;
    archive.write_all(&bytes)
}

//! What is said of a dataset's images in a file of its own: masks, and one number for each image.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::folder::decode;
use super::npy::Array;
use crate::files::{file_size, hexadecimal, read_into};
use crate::{DataError, Result};

/// Which values of images are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// For each of the C·H·W values of an image: once for all images, or one image after the other.
    pub values: Vec<bool>,
    /// The file's digest, in hexadecimal.
    pub sha256: String,
}

/// One number for each image.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// In the order of the file.
    pub values: Vec<f64>,
    /// The file's digest, in hexadecimal.
    pub sha256: String,
}

/// Reads the mask of `images` images of `shape` `[C, H, W]`: a PNG in white (marked) and black, or a
/// `.npy` of bool, or of the numbers 0 and 1, as `[H, W]`, `[C, H, W]` or `[N, C, H, W]`.
///
/// # Errors
/// If the file cannot be read, has another size, or says anything but yes and no.
pub fn read_mask(path: &Path, shape: [usize; 3], images: usize) -> Result<Mask> {
    let [channels, height, width] = shape;
    let (bytes, sha256) = read(path)?;
    let values = match extension(path).as_str() {
        "png" => {
            let plane = png_mask(path, &bytes, [height, width])?;
            plane.repeat(channels)
        }
        "npy" => {
            let array = Array::parse(bytes).map_err(|error| DataError::format(path, error))?;
            let plane = [height, width];
            let accepted: [&[usize]; 3] = [&plane, &shape, &[images, channels, height, width]];
            if !accepted.contains(&&*array.shape) {
                let expected = format!("{plane:?}, {shape:?} or {:?}", accepted[2]);
                return Err(wrong_shape(path, "the mask", &array, expected));
            }
            let values = array.numbers().enumerate().map(|(place, number)| match number {
                Some(0.0) => Ok(false),
                Some(1.0) => Ok(true),
                other => {
                    let found = other.map_or(array.descr.clone(), |value| value.to_string());
                    let detail = format!("its value {place} is {found}; accepted are 0 and 1");
                    Err(DataError::format(path, detail))
                }
            });
            let values = values.collect::<Result<Vec<bool>>>()?;
            if array.shape.len() == 2 { values.repeat(channels) } else { values }
        }
        _ => return Err(DataError::format(path, "a mask is a .png or a .npy file")),
    };
    Ok(Mask { values, sha256 })
}

fn png_mask(path: &Path, bytes: &[u8], size: [usize; 2]) -> Result<Vec<bool>> {
    let image = decode(path, bytes)?;
    let found = [image.height as usize, image.width as usize];
    if found != size {
        return Err(DataError::Shape {
            path: path.to_owned(),
            what: "the mask (height, width)".into(),
            found: found.map(|extent| extent as u64).to_vec(),
            expected: format!("{size:?}, as the images have"),
        });
    }
    let pixels = image.pixels.chunks_exact(image.channels).enumerate();
    let read = pixels.map(|(place, pixel)| match pixel {
        [255] | [255, 255, 255] => Ok(true),
        [0] | [0, 0, 0] => Ok(false),
        other => {
            let [row, column] = [place / size[1], place % size[1]];
            let detail = format!(
                "its pixel in row {row}, column {column} is {other:?}; accepted are white (may \
                 change) and black (may not)"
            );
            Err(DataError::format(path, detail))
        }
    });
    read.collect()
}

/// Reads one number for each of `images` images: a `.npy` of shape `[N]`, or a `.csv` of one column,
/// with a heading or without, whose entries `parse` understands.
///
/// # Errors
/// If the file cannot be read, or does not hold as many numbers.
pub fn read_column(
    path: &Path,
    images: usize,
    parse: impl Fn(&str) -> std::result::Result<f64, String>,
) -> Result<Column> {
    let (bytes, sha256) = read(path)?;
    let values = match extension(path).as_str() {
        "npy" => {
            let array = Array::parse(bytes).map_err(|error| DataError::format(path, error))?;
            if array.shape != [images] {
                let expected = format!("[{images}], one number for each image");
                return Err(wrong_shape(path, "the array", &array, expected));
            }
            let numbers: Option<Vec<f64>> = array.numbers().collect();
            let detail = || format!("its elements are `{}`; numbers are accepted", array.descr);
            numbers.ok_or_else(|| DataError::format(path, detail()))?
        }
        "csv" => csv_column(path, &bytes, parse)?,
        _ => return Err(DataError::format(path, "one number an image is a .npy or a .csv file")),
    };
    if values.len() != images {
        let found = values.len();
        let detail = format!("it holds {found} numbers for {images} images; one each is accepted");
        return Err(DataError::format(path, detail));
    }
    Ok(Column { values, sha256 })
}

fn csv_column(
    path: &Path,
    bytes: &[u8],
    parse: impl Fn(&str) -> std::result::Result<f64, String>,
) -> Result<Vec<f64>> {
    let text = std::str::from_utf8(bytes).map_err(|_| DataError::format(path, "it is not text"))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let mut values = Vec::new();
    for (number, line) in lines {
        match parse(line.trim_matches('"')) {
            Ok(value) => values.push(value),
            // The heading.
            Err(_) if number == 0 && !line.contains(',') => {}
            Err(reason) => {
                let detail = format!("its line {}: {reason}; one column is read", number + 1);
                return Err(DataError::format(path, detail));
            }
        }
    }
    Ok(values)
}

fn read(path: &Path) -> Result<(Vec<u8>, String)> {
    let mut bytes = Vec::new();
    read_into(path, file_size(path)?, &mut bytes)?;
    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    Ok((bytes, sha256))
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn wrong_shape(path: &Path, what: &str, array: &Array, expected: String) -> DataError {
    let found = array.shape.iter().map(|&extent| extent as u64).collect();
    DataError::Shape { path: path.to_owned(), what: what.into(), found, expected }
}

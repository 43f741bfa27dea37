//! A folder of class-named sub-folders of PNG images, optionally below `train` and `test`.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use png::{BitDepth, ColorType, Decoder, Transformations};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::dataset::Origin;
use crate::files::{file_size, hexadecimal, read_into, sorted_entries};
use crate::{DataError, Dataset, Pixels, PublishedChecksum, Result, Split};

/// Image files that would be passed over in silence if they were not refused.
const OTHER_IMAGES: [&str; 7] = ["jpg", "jpeg", "bmp", "gif", "tif", "tiff", "webp"];

/// The most output bytes that one byte of a PNG file can stand for: deflate shrinks at most
/// 1032-fold, and a one-bit index expands to at most four bytes.
const MAX_EXPANSION: usize = 1032 * 32;

/// A decoded image: 1 or 3 interleaved channels.
pub(super) struct Image {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: usize,
    pub(super) pixels: Vec<u8>,
}

/// Reads one split. Classes are the sub-folders' names in byte order, over `train` and `test`
/// together, so that a label means the same in both; images are in byte order of their names.
pub(crate) fn load(folder: &Path, split: Split) -> Result<Dataset> {
    let (root, split) = split_root(folder, split)?;
    let (class_names, files) = list(folder, &root)?;
    let sources = files
        .par_iter()
        .map(|(path, _)| {
            let mut bytes = Vec::new();
            read_into(path, file_size(path)?, &mut bytes)?;
            decode(path, &bytes).map(|image| (bytes, image))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut sha256 = Sha256::new();
    let colour = sources.iter().any(|(_, image)| image.channels == 3);
    let channels = if colour { 3 } else { 1 };
    let mut pixels = Vec::new();
    let mut size = None;
    for ((path, _), (bytes, image)) in files.iter().zip(&sources) {
        sha256.update(bytes);
        let found = (image.height, image.width);
        let expected = *size.get_or_insert(found);
        if found != expected {
            return Err(DataError::Shape {
                path: path.clone(),
                what: "the image (height, width)".into(),
                found: vec![u64::from(found.0), u64::from(found.1)],
                expected: format!("{expected:?}, as the first image has: all must be of one size"),
            });
        }
        for channel in 0..channels {
            let from = channel.min(image.channels - 1);
            pixels.extend(image.pixels.iter().skip(from).step_by(image.channels));
        }
    }
    let (height, width) = size.unwrap_or_default();
    let origin = Origin {
        name: "folder".into(),
        layout: "png",
        shape: [channels, height as usize, width as usize],
        class_names,
        sha256: hexadecimal(&sha256.finalize()),
        published: PublishedChecksum::NotPublished,
        pixels: Pixels::Bytes(pixels),
        on_device: OnceLock::new(),
    };
    let labels = files.into_iter().map(|(_, label)| label).collect();
    Dataset::from_origin(origin, split, labels, None, root)
}

/// The folder that holds the split's classes, and which split that is.
fn split_root(folder: &Path, split: Split) -> Result<(PathBuf, Split)> {
    if !folder.is_dir() {
        return Err(DataError::NotFound {
            path: folder.to_owned(),
            problem: "is not a folder".into(),
            remedy: "name a folder whose sub-folders are the classes, each holding PNG images"
                .into(),
        });
    }
    let (train, test) = (folder.join("train"), folder.join("test"));
    match (split, train.is_dir(), test.is_dir()) {
        (Split::Validation, ..)
        | (Split::Train, false, true)
        | (Split::All, true, _)
        | (Split::All, _, true)
        | (Split::Test, true, false) => {
            let available = match (train.is_dir(), test.is_dir()) {
                (true, true) => "train and test",
                (true, false) => "train",
                (false, true) => "test",
                (false, false) => "one set that stands for train, test and all",
            };
            Err(DataError::Split { dataset: folder.display().to_string(), split, available })
        }
        (_, false, false) => Ok((folder.to_owned(), Split::All)),
        (Split::Train, ..) => Ok((train, split)),
        (Split::Test, ..) => Ok((test, split)),
    }
}

/// Class names, and image files with their labels.
type Listing = (Vec<String>, Vec<(PathBuf, usize)>);

/// The class names, and the images below `root` with their labels.
fn list(folder: &Path, root: &Path) -> Result<Listing> {
    let sub_folders = |place: &Path| -> Result<BTreeSet<String>> {
        let entries = sorted_entries(place)?.into_iter().filter(|path| path.is_dir());
        Ok(entries.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    };
    let mut class_names = sub_folders(root)?;
    for sibling in ["train", "test"].map(|name| folder.join(name)) {
        if root != folder && sibling.is_dir() {
            class_names.append(&mut sub_folders(&sibling)?);
        }
    }
    let mut files = Vec::new();
    for (label, name) in class_names.iter().enumerate() {
        let class = root.join(name);
        let entries = if class.is_dir() { sorted_entries(&class)? } else { Vec::new() };
        for path in entries {
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            if OTHER_IMAGES.contains(&extension.as_str()) {
                let detail = format!("{extension} images are not read; convert them to PNG");
                return Err(DataError::format(&path, detail));
            }
            if extension == "png" {
                files.push((path, label));
            }
        }
    }
    if files.is_empty() {
        return Err(DataError::NotFound {
            path: root.to_owned(),
            problem: "holds no PNG image in a sub-folder".into(),
            remedy: "its sub-folders must be the classes, each holding .png files".into(),
        });
    }
    Ok((class_names.into_iter().collect(), files))
}

/// Decodes an image of up to 8 bits a channel: grey, colour or indexed, transparency dropped.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Image> {
    let wrong = |error: png::DecodingError| DataError::format(path, error);
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(wrong)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if reader.info().bit_depth == BitDepth::Sixteen {
        let detail = "it has 16 bits a channel, accepted are 1 to 8; convert it to 8 bits";
        return Err(DataError::format(path, detail));
    }
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    // A larger claim cannot be met by this file.
    if size > bytes.len().saturating_mul(MAX_EXPANSION) {
        let detail = format!("{width} × {height} pixels cannot be in {} bytes", bytes.len());
        return Err(DataError::format(path, detail));
    }
    let mut expanded = vec![0; size];
    let frame = reader.next_frame(&mut expanded).map_err(wrong)?;
    expanded.truncate(frame.buffer_size());
    let (stored, channels) = match frame.color_type {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (4, 3),
        ColorType::Indexed => return Err(DataError::format(path, "its palette is missing")),
    };
    let pixels = if stored == channels {
        expanded
    } else {
        expanded.chunks_exact(stored).flat_map(|pixel| &pixel[..channels]).copied().collect()
    };
    Ok(Image { width, height, channels, pixels })
}

//! Folders of PNG images.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{load, refusal};
use cure_data::Split;
use png::{BitDepth, ColorType};

/// Writes a PNG of `width` × `data.len() / …` pixels.
fn write_png(path: &Path, size: (u32, u32), colour: ColorType, depth: BitDepth, data: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), size.0, size.1);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(vec![0, 0, 0, 51, 102, 153]);
        encoder.set_trns(vec![0, 255]);
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
}

fn write_grey(path: &Path, data: &[u8; 4]) {
    write_png(path, (2, 2), ColorType::Grayscale, BitDepth::Eight, data);
}

#[test]
fn classes_and_images_are_sorted_and_a_flat_folder_is_one_set() {
    let folder = tempfile::tempdir().unwrap();
    write_grey(&folder.path().join("zebra/1.png"), &[0, 51, 102, 255]);
    write_grey(&folder.path().join("ant/b.png"), &[1; 4]);
    write_grey(&folder.path().join("ant/a.PNG"), &[2; 4]);
    fs::write(folder.path().join("ant/notes.txt"), "passed over").unwrap();
    fs::create_dir(folder.path().join("unused")).unwrap();
    let all = load("folder", folder.path(), Split::Test).unwrap();
    assert_eq!(all.split(), Split::All);
    assert_eq!(all.class_names(), ["ant", "unused", "zebra"]);
    assert_eq!((all.labels(), all.shape()), (&[0, 0, 2][..], [1, 2, 2]));
    assert_eq!(all.class_counts(), [2, 0, 1]);
    let batch = all.batch(&[2, 0]).unwrap();
    let expected = [0.0, 0.2, 0.4, 1.0].into_iter().chain([2.0 / 255.0; 4]);
    assert!(batch.images.host().iter().zip(expected).all(|(found, wanted)| found == &wanted));
}

#[test]
fn labels_mean_the_same_in_train_and_test() {
    let folder = tempfile::tempdir().unwrap();
    write_grey(&folder.path().join("train/a/1.png"), &[1; 4]);
    write_grey(&folder.path().join("train/c/1.png"), &[2; 4]);
    write_grey(&folder.path().join("test/b/1.png"), &[3; 4]);
    write_grey(&folder.path().join("test/c/1.png"), &[4; 4]);
    let train = load("folder", folder.path(), Split::Train).unwrap();
    let test = load("folder", folder.path(), Split::Test).unwrap();
    assert_eq!((train.split(), test.split()), (Split::Train, Split::Test));
    assert_eq!(train.class_names(), test.class_names());
    assert_eq!((train.labels(), test.labels()), (&[0, 2][..], &[1, 2][..]));
    let error = refusal("folder", folder.path(), Split::All);
    assert!(error.contains("no split `all`; it has train and test"), "{error}");
}

#[test]
fn every_eight_bit_form_becomes_one_or_three_channels() {
    let folder = tempfile::tempdir().unwrap();
    let rgb: Vec<u8> = (0..12).collect();
    let rgba: Vec<u8> = (0..16).collect();
    let class = folder.path().join("c");
    write_png(&class.join("1.png"), (2, 2), ColorType::Rgb, BitDepth::Eight, &rgb);
    write_png(&class.join("2.png"), (2, 2), ColorType::Rgba, BitDepth::Eight, &rgba);
    // Two pixels a row, one bit each: the rows 01 and 10.
    write_png(&class.join("3.png"), (2, 2), ColorType::Indexed, BitDepth::One, &[0x40, 0x80]);
    write_grey(&class.join("4.png"), &[9, 8, 7, 6]);
    let grey_alpha = [9, 0, 8, 0, 7, 0, 6, 0];
    write_png(
        &class.join("5.png"),
        (2, 2),
        ColorType::GrayscaleAlpha,
        BitDepth::Eight,
        &grey_alpha,
    );
    let images = load("folder", folder.path(), Split::All).unwrap();
    assert_eq!(images.shape(), [3, 2, 2]);
    let batch = images.batch(&[0, 1, 2, 3, 4]).unwrap();
    let bytes: Vec<u8> =
        batch.images.host().iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
    assert_eq!(bytes[..12], [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    assert_eq!(bytes[12..24], [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14]);
    assert_eq!(bytes[24..36], [0, 51, 51, 0, 0, 102, 102, 0, 0, 153, 153, 0]);
    assert_eq!(bytes[36..48], [9, 8, 7, 6, 9, 8, 7, 6, 9, 8, 7, 6]);
    assert_eq!(bytes[48..60], bytes[36..48]);
}

#[test]
fn bad_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = || refusal("folder", folder.path(), Split::All);
    assert!(refused().contains("holds no PNG image in a sub-folder"));
    let odd = folder.path().join("c/odd.png");
    write_grey(&folder.path().join("c/first.png"), &[0; 4]);
    write_png(&odd, (3, 1), ColorType::Grayscale, BitDepth::Eight, &[0; 3]);
    let sizes = refused();
    assert!(sizes.contains("odd.png") && sizes.contains("[1, 3], expected (2, 2)"), "{sizes}");
    write_png(&odd, (1, 1), ColorType::Grayscale, BitDepth::Sixteen, &[0; 2]);
    assert!(refused().contains("16 bits a channel"));
    fs::write(&odd, b"\x89PNG\r\n\x1a\nbroken").unwrap();
    assert!(refused().contains("odd.png"));
    fs::remove_file(&odd).unwrap();
    fs::write(folder.path().join("c/photo.JPG"), b"").unwrap();
    assert!(refused().contains("jpg images are not read; convert them to PNG"));
}

#[test]
fn a_size_that_the_file_cannot_hold_is_not_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c/1.png");
    write_grey(&path, &[0; 4]);
    let mut bytes = fs::read(&path).unwrap();
    // Width and height in IHDR, and its checksum, computed by `zlib.crc32`.
    bytes[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let error = refusal("folder", folder.path(), Split::All);
    assert!(error.contains("65535 × 65535 pixels cannot be in"), "{error}");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

//! Small files like those of SVHN, with the pixels of `byte`.

use std::fs;
use std::path::PathBuf;

use cure_data::{Dataset, Split};

use super::matlab::*;
use super::{byte, load, refusal};

const IMAGE: usize = 3072;

/// A file of `make_fixtures.py`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A folder with this test split.
pub(crate) fn with_test(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test_32x32.mat");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// The dataset of this test split.
pub(crate) fn read(bytes: &[u8]) -> Dataset {
    let (folder, _) = with_test(bytes);
    load("svhn", folder.path(), Split::Test).unwrap()
}

/// The refusal of this test split.
pub(crate) fn refused(bytes: &[u8]) -> String {
    let (folder, _) = with_test(bytes);
    let error = refusal("svhn", folder.path(), Split::Test);
    assert!(error.contains("test_32x32.mat"), "{error}");
    error
}

/// Whether the pixels are those of the formula.
pub(crate) fn has_the_pixels(dataset: &Dataset) -> bool {
    let images = dataset.batch(&(0..dataset.len()).collect::<Vec<_>>()).unwrap().images;
    let expected = (0..dataset.len()).flat_map(|sample| (0..IMAGE).map(move |at| byte(sample, at)));
    images.host().iter().copied().eq(expected.map(|byte| f32::from(byte) / 255.0))
}

/// `X` as stored, [32, 32, 3, N] with the row varying fastest.
pub(crate) fn stored(n: usize) -> Vec<u8> {
    let mut values = Vec::new();
    for sample in 0..n {
        for (channel, column) in (0..96).map(|at| (at / 32, at % 32)) {
            values.extend((0..32).map(|row| byte(sample, channel * 1024 + row * 32 + column)));
        }
    }
    values
}

/// The variable `X` of `n` images.
pub(crate) fn x(n: usize) -> Vec<u8> {
    matrix(UINT8_CLASS, &[32, 32, 3, n as i32], "X", (U8, &stored(n)))
}

/// The variable `y` of these labels.
pub(crate) fn y(labels: &[u8]) -> Vec<u8> {
    matrix(DOUBLE_CLASS, &[labels.len() as i32, 1], "y", (U8, labels))
}

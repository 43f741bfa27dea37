//! What several test files need.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod matlab;
pub(crate) mod svhn;

use cure_data::{DataSpec, Dataset, Pixels, Split};

/// Loads `NAME:PLACE`.
pub(crate) fn load(
    name: &str,
    place: &std::path::Path,
    split: Split,
) -> cure_data::Result<Dataset> {
    format!("{name}:{}", place.display()).parse::<DataSpec>()?.load(split)
}

/// The message of the error that loading gives.
pub(crate) fn refusal(name: &str, place: &std::path::Path, split: Split) -> String {
    load(name, place, split).expect_err("it should be refused").to_string()
}

/// Pixel `at` of sample `sample`: anything that differs between neighbours.
pub(crate) fn byte(sample: usize, at: usize) -> u8 {
    (sample * 31 + at * 7 + at / 256) as u8
}

/// `n` small images of `classes` classes; sample `i` has label `i * i % classes`.
pub(crate) fn small(n: usize, classes: usize, shape: [usize; 3]) -> Dataset {
    let features: usize = shape.iter().product();
    let pixels = (0..n).flat_map(|sample| (0..features).map(move |at| byte(sample, at))).collect();
    let labels = (0..n).map(|sample| sample * sample % classes).collect();
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    Dataset::new("small", Split::Train, shape, Pixels::Bytes(pixels), labels, names).unwrap()
}

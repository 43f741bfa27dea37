//! The real CIFAR-10, where it is at hand.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::path::Path;

use common::load;
use cure_data::{PublishedChecksum, Split};

#[test]
fn the_real_cifar10_has_its_published_checksums_and_statistics() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cifar10");
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let test = load("cifar10", &folder, Split::Test).unwrap();
    assert_eq!((test.len(), test.shape()), (10_000, [3, 32, 32]));
    assert_eq!(test.class_counts(), [1000; 10]);
    assert_eq!(test.published(), &PublishedChecksum::Matched);
    // The first test image is a cat, the next two are ships.
    assert_eq!(test.labels()[..3], [3, 8, 8]);

    let train = load("cifar10", &folder, Split::Train).unwrap();
    assert_eq!(train.published(), &PublishedChecksum::Matched);
    assert_eq!(train.class_counts(), [5000; 10]);
    let info = train.info();
    let mean = [0.491_399_68, 0.482_158_41, 0.446_530_91];
    let std = [0.247_032_23, 0.243_485_13, 0.261_587_84];
    for channel in 0..3 {
        assert!((info.mean[channel] - mean[channel]).abs() < 1e-6, "{:?}", info.mean);
        assert!((info.std[channel] - std[channel]).abs() < 1e-6, "{:?}", info.std);
    }
}

//! How much of an attack the host sees where the network is elsewhere. Counts are of the whole process: this file has no
//! other test.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use cure_attacks::{Norm, PgdOptions, Start, Streams, pgd};
use cure_network::{Architecture, Network, Normalization};
use cure_tensor::{meter, ops};

use common::{epsilon, predict, uniform};

/// Steps, balls and what is found stay on the device: for each image and step the host sees a row of logits, a loss and
/// the size of a gradient, and the images never.
#[test]
fn steps_of_pgd_on_a_device_bring_no_image_to_the_host() {
    if !cure_tensor::device().is_torch() {
        return eprintln!("skipped: there is no device but the host");
    }
    let architecture = Architecture::named("cnn", 10, [1, 8, 8]).unwrap();
    let network = Network::random(architecture, Normalization::none(1), 3).unwrap();
    let network = network.frozen().unwrap();
    let images = uniform(1, &[6, 1, 8, 8], 0.0, 1.0);
    let labels = predict(&network, &images);
    let indices: Vec<usize> = (0..6).collect();
    // Made on the device: the host has no copy to look at instead.
    let images = ops::select(&images, &indices).unwrap();
    let steps = 7;
    let options = PgdOptions {
        steps,
        start: Start::Clean,
        early_stop: false,
        ..PgdOptions::new(Norm::Linf, epsilon(0.1))
    };
    let streams = Streams::new(0, &indices);
    let (found, record) =
        meter::record(|| pgd(&network, &images, &labels, &options, &streams).unwrap());
    assert_eq!((found.forward, found.backward), (6 * (steps as u64 + 1), 6 * steps as u64));
    // The images once, to see whether they are images.
    let seen = images.len() + 6 * (10 + 1 + 1) * (steps + 1);
    assert!((images.len()..=seen).contains(&record.read_back), "{} values", record.read_back);
    assert!(record.waits <= 3 * (steps + 1) + 1, "{} waits", record.waits);
}

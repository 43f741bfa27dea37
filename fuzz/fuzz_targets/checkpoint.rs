#![no_main]
use std::sync::LazyLock;

use cure_fuzz::with_file;
use cure_network::{Architecture, Network, Normalization};
use cure_training::Checkpoint;
use libfuzzer_sys::fuzz_target;

static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let architecture = Architecture::named("cnn", 10, [1, 8, 8]).expect("an architecture");
    Network::random(architecture, Normalization::none(1), 0).expect("a network")
});

fuzz_target!(|bytes: &[u8]| {
    with_file("last.safetensors", bytes, |path| {
        let _ = Checkpoint::read_identity(path);
        let _ = Checkpoint::read_position(path);
        let _ = Checkpoint::read(path, &NETWORK);
    });
});

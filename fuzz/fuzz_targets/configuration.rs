#![no_main]
use std::path::Path;

use cure_training::{TrainingConfig, parse_configuration};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = parse_configuration::<TrainingConfig>(Path::new("x.toml"), text) {
        let _ = config.check();
    }
});

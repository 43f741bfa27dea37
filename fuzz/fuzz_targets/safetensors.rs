#![no_main]
use cure_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.safetensors", bytes, |path| {
        let _ = cure_network::weights::read(path);
        let _ = cure_network::load(
            path,
            &cure_network::LoadOptions {
                model: None,
                normalization: None,
                classes: 10,
                input: [3, 32, 32],
            },
        );
    });
});

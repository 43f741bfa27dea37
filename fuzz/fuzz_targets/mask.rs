#![no_main]
use cure_data::{read_column, read_mask};
use cure_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["x.npy", "x.png"] {
        with_file(name, bytes, |path| drop(read_mask(path, [3, 4, 4], 2)));
    }
    for name in ["y.npy", "y.csv"] {
        with_file(name, bytes, |path| {
            drop(read_column(path, 2, |text| {
                text.parse::<f64>().map_err(|error| error.to_string())
            }))
        });
    }
});

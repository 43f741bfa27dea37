#![no_main]
use cure_pickle::{numpy, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pickle) = read(bytes, numpy::GLOBALS) {
        for value in pickle.values() {
            let _ = numpy::array(value);
            let _ = value.describe();
        }
    }
});

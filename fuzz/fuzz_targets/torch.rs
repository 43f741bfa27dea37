#![no_main]
use cure_pickle::torch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(checkpoint) = torch::read(bytes.to_vec()) {
        let _ = checkpoint.root().describe();
        let _ = checkpoint.state_dict();
    }
});

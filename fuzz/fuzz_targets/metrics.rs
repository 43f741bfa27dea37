#![no_main]
use cure_fuzz::with_file;
use cure_training::{EpochRow, RunRecord, read_rows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("run/metrics.jsonl", bytes, |path| {
        let _ = read_rows::<EpochRow>(path);
    });
    with_file("run/run.json", bytes, |path| {
        let _ = RunRecord::read(path.parent().expect("its folder"));
    });
});

#![no_main]
use cure_data::{DataSpec, Split};
use cure_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("x.npz", bytes, |path| {
        let spec: DataSpec = format!("npz:{}", path.display()).parse().expect("a name of data");
        if let Ok(data) = spec.load(Split::All) {
            let all: Vec<usize> = (0..data.len()).collect();
            let batch = data.batch(&all).expect("a batch of what was read");
            assert!(batch.images.host().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
        }
    });
});

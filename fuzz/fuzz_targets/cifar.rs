#![no_main]
use cure_data::{DataSpec, Split};
use cure_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["python/test_batch", "binary/test_batch.bin"] {
        with_file(name, bytes, |path| {
            let folder = path.parent().expect("its folder");
            let spec: DataSpec =
                format!("cifar10:{}", folder.display()).parse().expect("a name of data");
            let _ = spec.load(Split::Test);
        });
    }
});

#![no_main]
use cure_data::{DataSpec, Split};
use cure_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("svhn/test_32x32.mat", bytes, |path| {
        let folder = path.parent().expect("its folder");
        let spec: DataSpec = format!("svhn:{}", folder.display()).parse().expect("a name of data");
        let _ = spec.load(Split::Test);
    });
});

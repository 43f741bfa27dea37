#![no_main]
use cure_data::{DataSpec, Split};
use cure_fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    with_file("images/class/1.png", bytes, |path| {
        let folder = path.parent().and_then(|class| class.parent()).expect("its folder");
        let spec: DataSpec =
            format!("folder:{}", folder.display()).parse().expect("a name of data");
        let _ = spec.load(Split::All);
    });
});

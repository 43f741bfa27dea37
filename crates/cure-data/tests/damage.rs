//! Damaged files of every kind end in an error or in a valid dataset, never in a panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::LazyLock;

use common::{byte, load};
use cure_data::{Split, write_npz};
use cure_tensor::Tensor;
use proptest::prelude::*;

fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 6, 5);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette((0..=255).collect::<Vec<u8>>()[..24].to_vec());
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[3; 30]).unwrap();
    drop(writer);
    bytes
}

static NPZ: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let pixels = (0..2 * 12).map(|at| f32::from(byte(0, at)) / 255.0).collect();
    write_npz(&path, &Tensor::new(&[2, 3, 2, 2], pixels).unwrap(), &[1, 0], &[5, 6]).unwrap();
    fs::read(path).unwrap()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damage_is_survived(
        at: prop::sample::Index, value: u8, more: prop::sample::Index, cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("class")).unwrap();
        for (name, file, mut bytes) in [
            ("folder", "class/1.png", png()),
            ("npz", "x.npz", NPZ.clone()),
        ] {
            let (first, second) = (at.index(bytes.len()), more.index(bytes.len()));
            bytes[first] = value;
            bytes[second] ^= 0x80;
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let path = folder.path().join(file);
            fs::write(&path, bytes).unwrap();
            let place = if name == "npz" { path.as_path() } else { folder.path() };
            if let Ok(dataset) = load(name, place, Split::All) {
                let positions: Vec<usize> = (0..dataset.len()).collect();
                let batch = dataset.batch(&positions).unwrap();
                prop_assert!(batch.images.host().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            }
        }
    }
}

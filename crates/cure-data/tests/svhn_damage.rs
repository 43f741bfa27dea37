//! SVHN: damaged files end in an error or in a valid dataset, never in a panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::load;
use common::matlab::*;
use common::svhn::*;
use cure_data::Split;
use proptest::prelude::*;

#[test]
fn files_cut_off_anywhere_are_refused() {
    for name in ["svhn-compressed.mat", "svhn-plain.mat", "svhn-big-endian.mat"] {
        let bytes = fixture(name);
        let (folder, path) = with_test(&bytes);
        let file = fs::File::options().write(true).open(path).unwrap();
        for length in (0..bytes.len()).rev() {
            file.set_len(length as u64).unwrap();
            let result = load("svhn", folder.path(), Split::Test);
            assert!(result.is_err(), "{name} cut off at {length} is taken for whole");
        }
    }
}

#[test]
fn a_damaged_compressed_variable_is_refused() {
    let stream = deflated(&x(2));
    let test = |stream: &[u8]| {
        let (folder, _) = with_test(&file(&[&wrapped(stream), &y(&[1, 2])]));
        load("svhn", folder.path(), Split::Test)
    };
    assert!(has_the_pixels(&test(&stream).unwrap()));
    // Of the last bytes, which hold no values but their sum, some may be missing.
    for length in 0..stream.len() {
        let cut = test(&stream[..length]);
        assert!(length + 8 >= stream.len() || cut.is_err(), "cut off at {length}");
        assert!(cut.is_err() || has_the_pixels(&cut.unwrap()), "cut off at {length}");
    }
    for at in stream.len() - 4..stream.len() {
        let mut damaged = stream.clone();
        damaged[at] ^= 1;
        let error = test(&damaged).unwrap_err().to_string();
        assert!(error.contains("the file is damaged; get it again"), "{error}");
    }
    let mut shorter = x(2);
    shorter[4] += 8;
    let error = test(&deflated(&shorter)).unwrap_err().to_string();
    assert!(error.contains("a variable is shorter than it declares"), "{error}");
    let longer = deflated(&[x(2), vec![0; 8]].concat());
    assert!(test(&longer).unwrap_err().to_string().contains("longer than the variable in it"));
}

fn check_survival(bytes: &[u8]) {
    let (folder, _) = with_test(bytes);
    if let Ok(dataset) = load("svhn", folder.path(), Split::Test) {
        assert!(dataset.labels().iter().all(|&label| label < 10));
        let images = dataset.batch(&(0..dataset.len()).collect::<Vec<_>>()).unwrap().images;
        assert!(images.host().iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn damage_is_survived(
        which in 0usize..3,
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let names = ["svhn-compressed.mat", "svhn-plain.mat", "svhn-big-endian.mat"];
        let mut bytes = fixture(names[which]);
        for (at, value) in &damages {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check_survival(&bytes);
    }

    #[test]
    fn damaged_heads_are_survived(
        damages in prop::collection::vec((0usize..88, any::<u8>(), any::<bool>()), 1..4),
    ) {
        let mut variables = [x(1), y(&[3])];
        for (at, value, first) in damages {
            let variable = &mut variables[usize::from(!first)];
            let at = at % variable.len();
            variable[at] = value;
        }
        let [x, y] = &variables;
        check_survival(&file(&[x, y]));
        check_survival(&file(&[&compressed(x), &compressed(y)]));
    }

    #[test]
    fn random_elements_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_survival(&file(&[&bytes]));
        check_survival(&file(&[&compressed(&bytes)]));
        check_survival(&bytes);
    }
}

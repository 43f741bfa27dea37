//! SVHN: files that SciPy writes (`make_fixtures.py`), and what else is accepted and refused.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::matlab::*;
use common::svhn::*;
use common::{load, refusal};
use cure_data::{PublishedChecksum, Split};

#[test]
fn files_of_every_kind_give_channel_major_images_and_digits() {
    for (name, labels) in [
        ("svhn-compressed.mat", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 1][..]),
        ("svhn-plain.mat", &[0, 5, 1]),
        ("svhn-big-endian.mat", &[9, 0, 4]),
    ] {
        let test = read(&fixture(name));
        assert_eq!((test.labels(), test.shape()), (labels, [3, 32, 32]), "{name}");
        assert!(has_the_pixels(&test), "{name}");
        assert_eq!(test.class_names(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!((test.name(), test.info().layout.as_str()), ("svhn", "matlab"));
    }
}

#[test]
fn the_splits_are_in_their_files_and_extra_images_follow_those_to_train_on() {
    use sha2::{Digest, Sha256};
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("train_32x32.mat", &fixture("svhn-plain.mat"));
    write("extra_32x32.mat", &fixture("svhn-compressed.mat"));
    write("test_32x32.mat", &fixture("svhn-big-endian.mat"));
    let train = load("svhn", folder.path(), Split::Train).unwrap();
    assert_eq!((train.labels(), train.split()), (&[0, 5, 1][..], Split::Train));

    let more = load("svhn-extra", folder.path(), Split::Train).unwrap();
    assert_eq!(more.labels(), [0, 5, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 1]);
    assert!(has_the_pixels(&more.range(0..3).unwrap()));
    assert!(has_the_pixels(&more.range(3..15).unwrap()));
    let files = [fixture("svhn-plain.mat"), fixture("svhn-compressed.mat")].concat();
    let sum: String = Sha256::digest(files).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((more.sha256(), more.name()), (sum.as_str(), "svhn-extra"));
    let files = ["train_32x32.mat", "extra_32x32.mat"].map(str::to_owned).to_vec();
    assert_eq!(more.published(), &PublishedChecksum::Mismatched { files });
    let test = load("svhn-extra", folder.path(), Split::Test).unwrap();
    assert_eq!(test.labels(), [9, 0, 4]);
    let error = refusal("svhn-extra", folder.path(), Split::All);
    assert!(error.contains("`svhn-extra` has no split `all`; it has train and test"), "{error}");
}

#[test]
fn what_matlab_and_scipy_may_write_otherwise() {
    // `X` and `y` among other variables, some of them of kinds that are not read.
    let cell = matrix_of(CELL_CLASS, &[1, 1], "c", &matrix(6, &[1, 1], "", (U8, &[3])));
    let function = element(MATRIX, &element(U32, &[16, 0, 0, 0, 0, 0, 0, 0]));
    let complex = matrix(DOUBLE_CLASS | 0x800, &[1, 1], "z", (U8, &[3]));
    let among = [&cell, &y(&[10, 2]), &function, &compressed(&complex), &compressed(&x(2))];
    let test = read(&file(&among.map(Vec::as_slice)));
    assert_eq!(test.labels(), [0, 2]);
    assert!(has_the_pixels(&test));

    // MATLAB drops the last extent where there is one image; SciPy makes a row of a list.
    let one = matrix(UINT8_CLASS, &[32, 32, 3], "X", (U8, &stored(1)));
    let test = read(&file(&[&one, &y(&[7])]));
    assert!(test.labels() == [7] && has_the_pixels(&test));
    let doubles: Vec<u8> = [10.0f64, 1.0].iter().flat_map(|label| label.to_le_bytes()).collect();
    let signed: Vec<u8> = [10i16, 1].iter().flat_map(|label| label.to_le_bytes()).collect();
    for (kind, values) in [(F64, &doubles), (I16, &signed), (I8, &vec![10, 1])] {
        let row = matrix(DOUBLE_CLASS, &[1, 2], "y", (kind, values));
        assert_eq!(read(&file(&[&x(2), &row])).labels(), [0, 1], "{kind}");
    }
}

#[test]
fn other_labels_are_refused() {
    for label in [0, 11, 255] {
        let error = refused(&file(&[&x(3), &y(&[1, 10, label])]));
        assert!(error.contains("label of record 2 in `"), "{error}");
        assert!(error.contains(&format!("is {label}, accepted is 1 to 10")), "{error}");
    }
    for label in [1.5f64, f64::NAN, f64::INFINITY] {
        let row = matrix(DOUBLE_CLASS, &[1, 1], "y", (F64, &label.to_le_bytes()));
        let error = refused(&file(&[&x(1), &row]));
        assert!(error.contains(&format!("label 0 is {label}; whole numbers from 1")), "{error}");
    }
    for label in [-1.0f64, 1e300] {
        let row = matrix(DOUBLE_CLASS, &[1, 1], "y", (F64, &label.to_le_bytes()));
        assert!(refused(&file(&[&x(1), &row])).contains("accepted is 1 to 10"));
    }
}

#[test]
fn other_arrays_are_refused() {
    let x_of = |shape: &[i32], n: usize| matrix(UINT8_CLASS, shape, "X", (U8, &stored(n)));
    let doubles = vec![0; 8 * 3072];
    let cell = matrix_of(CELL_CLASS, &[1, 1], "X", &matrix(6, &[1, 1], "", (U8, &[3])));
    let twice = [x(1), x(1)].concat();
    let imaginary = [element(U8, &stored(1)), element(U8, &stored(1))].concat();
    let text = element(16, &stored(1));
    let x_with = |class: u32, values: &[u8]| matrix_of(class, &[32, 32, 3, 1], "X", values);
    for (x, reason) in [
        (
            x_of(&[3, 32, 32, 1], 1),
            "variable `X` has shape [3, 32, 32, 1], expected [32, 32, 3, N]",
        ),
        (x_of(&[1, 32, 32, 3], 1), "shape [1, 32, 32, 3]"),
        (x_of(&[1024, 3], 1), "shape [1024, 3]"),
        (x_of(&[32, 32, 3, 1, 1], 1), "shape [32, 32, 3, 1, 1]"),
        (x_of(&[32, 32, 3, 2], 1), "of shape [32, 32, 3, 2], stored as U8, has 3072 bytes"),
        (x_of(&[32, 32, 3, -1], 1), "an extent of -1"),
        (x_of(&[i32::MAX; 4], 1), "has 3072 bytes"),
        (x_of(&[32, 32, 3, 0], 0), "shape [1, 1], expected [0, 1]"),
        (
            matrix(DOUBLE_CLASS, &[32, 32, 3, 1], "X", (F64, &doubles)),
            "`X` is double stored as F64",
        ),
        (
            matrix(DOUBLE_CLASS, &[32, 32, 3, 1], "X", (U8, &stored(1))),
            "`X` is double stored as U8",
        ),
        (
            matrix(UINT8_CLASS, &[32, 32, 3, 1], "X", (I8, &stored(1))),
            "uint8 stored as I8; uint8 is",
        ),
        (cell, "variable `X` is cell; real numbers are accepted"),
        (x_with(UINT8_CLASS | 0x800, &imaginary), "is complex uint8; real numbers are accepted"),
        (x_with(UINT8_CLASS, &text), "`X` is stored as type 16, not as numbers"),
        (x_with(UINT8_CLASS, &imaginary), "longer than the variable in it"),
        (twice, "it holds `X` twice"),
        (vec![], "it holds no variable `X` (the images); files of format 2 do"),
    ] {
        let error = refused(&file(&[&x, &y(&[1])]));
        assert!(error.contains(reason), "{reason}: {error}");
        // No variable, or two, are not one to be compressed.
        if !x.is_empty() && !reason.contains("twice") {
            let error = refused(&file(&[&compressed(&x), &y(&[1])]));
            assert!(error.contains(reason), "compressed, {reason}: {error}");
        }
    }
    let y_of = |shape: &[i32], labels: &[u8]| matrix(UINT8_CLASS, shape, "y", (U8, labels));
    for (y, reason) in [
        (
            y_of(&[3, 1], &[1, 2, 3]),
            "variable `y` has shape [3, 1], expected [2, 1], one label for",
        ),
        (y_of(&[1, 1], &[1]), "shape [1, 1], expected [2, 1]"),
        (y_of(&[2], &[1, 2]), "shape [2], expected [2, 1]"),
        (y_of(&[2, 2], &[1, 2, 3, 4]), "shape [2, 2], expected [2, 1]"),
        (y_of(&[2, 1], &[1]), "of shape [2, 1], stored as U8, has 1 bytes"),
        (vec![], "it holds no variable `y` (the labels)"),
    ] {
        let error = refused(&file(&[&x(2), &y]));
        assert!(error.contains(reason), "{reason}: {error}");
    }
    let empty = matrix(UINT8_CLASS, &[0, 1], "y", (U8, &[]));
    let error = refusal("svhn", with_test(&file(&[&x(0), &empty])).0.path(), Split::Test);
    assert!(error.contains("holds no sample"), "{error}");
}

#[test]
fn other_files_are_refused() {
    let mut seven_three = file(&[]);
    seven_three[124..126].copy_from_slice(&[0, 2]);
    seven_three.resize(512, 0);
    seven_three.extend_from_slice(b"\x89HDF\r\n\x1a\n");
    let hdf5 = [b"\x89HDF\r\n\x1a\n", &[0; 200][..]].concat();
    for bytes in [seven_three, hdf5] {
        let error = refused(&bytes);
        assert!(error.contains("MATLAB 7.3 file, that is HDF5"), "{error}");
        assert!(error.contains("`save -v7` in MATLAB or scipy.io.savemat"), "{error}");
    }
    let mut version = file(&[]);
    version[124] = 3;
    let level_four =
        [0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'y', 0, 1, 2, 10];
    for bytes in [b"".as_slice(), b"not MATLAB", &[b'x'; 1000], &version, &level_four] {
        let error = refused(bytes);
        assert!(
            error.contains("not a MAT-file of level 5") && error.contains("get the"),
            "{error}"
        );
    }
    let mut swapped = fixture("svhn-plain.mat");
    swapped[126..128].copy_from_slice(b"MI");
    assert!(refused(&swapped).contains("not a MAT-file of level 5"));
    let number = element(U8, &[1; 8]);
    assert!(refused(&file(&[&number])).contains("at byte 128 has type 2; a variable has 14 or 15"));
    assert!(refused(&file(&[&x(1), &y(&[1]), &[0; 3]])).contains("8 bytes are needed where 3"));
    let nested = compressed(&compressed(&x(1)));
    assert!(refused(&file(&[&nested, &y(&[1])])).contains("a compressed element holds type 15"));
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = refusal("svhn", &folder.path().join("nowhere"), Split::Test);
    assert!(nowhere.contains("nowhere` is not a folder; get test_32x32.mat of format 2 from http"));
    fs::write(folder.path().join("train_32x32.mat"), fixture("svhn-plain.mat")).unwrap();
    let extra = refusal("svhn-extra", folder.path(), Split::Train);
    assert!(extra.contains("extra_32x32.mat` does not exist; get extra_32x32.mat"), "{extra}");
    fs::create_dir(folder.path().join("test_32x32.mat")).unwrap();
    let directory = refusal("svhn", folder.path(), Split::Test);
    assert!(directory.contains("not a regular file"), "{directory}");
}

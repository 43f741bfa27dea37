//! NumPy archives, in both directions.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::{load, refusal};
use cure_data::{Split, write_npz};
use cure_tensor::Tensor;

/// Writes a compressed archive of `(name, descr, Fortran order, shape, data)`.
fn write_archive(path: &Path, arrays: &[(&str, &str, bool, &str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (name, descr, fortran, shape, data) in arrays {
        let order = if *fortran { "True" } else { "False" };
        let header =
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(b"\x93NUMPY\x01\x00").unwrap();
        archive.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
        archive.write_all(header.as_bytes()).unwrap();
        archive.write_all(data).unwrap();
    }
    archive.finish().unwrap();
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn both_orders_of_the_axes_and_of_storage_give_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npz");
    // Two images of 3 channels, 2 rows, 4 columns: value = 100 n + 24 … by place.
    let (n, c, h, w) = (2, 3, 2, 4);
    let value = |i: usize, j: usize, y: usize, x: usize| (100 * i + 30 * j + 10 * y + x) as u8;
    let mut nchw = Vec::new();
    let mut nhwc = Vec::new();
    let mut fortran = Vec::new();
    for i in 0..n {
        for j in 0..c {
            for y in 0..h {
                (0..w).for_each(|x| nchw.push(value(i, j, y, x)));
            }
        }
        for y in 0..h {
            for x in 0..w {
                (0..c).for_each(|j| nhwc.push(value(i, j, y, x)));
            }
        }
    }
    for x in 0..w {
        for y in 0..h {
            for j in 0..c {
                (0..n).for_each(|i| fortran.push(value(i, j, y, x)));
            }
        }
    }
    let labels = ("y", "|u1", false, "(2,)", &[3, 1][..]);
    let read = |x| {
        write_archive(&path, &[x, labels]);
        load("npz", &path, Split::Test).unwrap()
    };
    let first = read(("x", "|u1", false, "(2, 3, 2, 4)", &nchw[..]));
    assert_eq!(
        (first.shape(), first.labels(), first.split()),
        ([3, 2, 4], &[3, 1][..], Split::All)
    );
    assert_eq!((first.classes(), first.class_names()[3].as_str()), (4, "3"));
    let images = first.batch(&[0, 1]).unwrap().images;
    let expected: Vec<f32> = nchw.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    assert_eq!(images.host(), expected);
    for x in [
        ("x", "|u1", false, "(2, 2, 4, 3)", &nhwc[..]),
        ("x", "|u1", true, "(2, 3, 2, 4)", &fortran[..]),
    ] {
        assert_eq!(read(x).batch(&[0, 1]).unwrap().images, images);
    }
    let doubles: Vec<u8> =
        nchw.iter().flat_map(|&byte| (f64::from(byte) / 255.0).to_be_bytes()).collect();
    assert_eq!(
        read(("x", ">f8", false, "(2, 3, 2, 4)", &doubles)).batch(&[0, 1]).unwrap().images,
        images
    );
}

#[test]
fn what_is_written_is_read_back_exactly_and_replaces_the_old_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adversarial.npz");
    fs::write(&path, "an older file").unwrap();
    let values: Vec<f32> = (0..2 * 3 * 4 * 4).map(|at| at as f32 / 95.0).collect();
    let images = Tensor::new(&[2, 3, 4, 4], values).unwrap();
    write_npz(&path, &images, &[9, 4], &[1234, 7]).unwrap();
    let read = load("npz", &path, Split::Test).unwrap();
    assert_eq!((read.labels(), read.indices()), (&[9, 4][..], &[1234, 7][..]));
    assert_eq!(read.batch(&[0, 1]).unwrap().images, images);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn writing_refuses_shapes_that_disagree_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adversarial.npz");
    let images = Tensor::zeros(&[2, 3, 4, 4]);
    for (labels, indices) in [(&[0][..], &[0, 1][..]), (&[0, 1], &[0])] {
        let error = write_npz(&path, &images, labels, indices).unwrap_err().to_string();
        assert!(error.contains("[2, 3, 4, 4]"), "{error}");
    }
    assert!(write_npz(&path, &Tensor::zeros(&[2, 3]), &[0, 1], &[0, 1]).is_err());
    let nowhere = write_npz(&folder.path().join("no/such.npz"), &images, &[0, 1], &[0, 1]);
    assert!(nowhere.unwrap_err().to_string().contains("cannot write"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn rounding_noise_is_clamped_and_more_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let labels = ("y", "<i8", false, "(1,)", &0i64.to_le_bytes()[..]);
    let write = |pixels: &[f32]| {
        let x = ("x", "<f4", false, "(1, 1, 2, 2)", &floats(pixels)[..]);
        write_archive(&path, &[x, labels]);
    };
    write(&[-3e-8, 0.25, 1.000_001, 1.0]);
    let noisy = load("npz", &path, Split::All).unwrap();
    assert_eq!(noisy.batch(&[0]).unwrap().images.into_vec(), [0.0, 0.25, 1.0, 1.0]);
    write(&[0.0, 128.0, 255.0, 7.0]);
    let bytes = refusal("npz", &path, Split::All);
    assert!(bytes.contains("is 128, accepted is 0 to 1") && bytes.contains("0 to 255"), "{bytes}");
    write(&[0.0, 0.5, f32::NAN, 0.5]);
    let nan = refusal("npz", &path, Split::All);
    assert!(nan.contains("is NaN") && nan.contains("0 to 0.5, with 1 NaN"), "{nan}");
    write(&[0.0, 0.5, f32::INFINITY, 0.5]);
    assert!(refusal("npz", &path, Split::All).contains("is inf"));
}

#[test]
fn bad_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let pixels = [7; 4 * 4 * 2];
    let x = ("x", "|u1", false, "(2, 1, 4, 4)", &pixels[..]);
    let y = ("y", "|i1", false, "(2,)", &[0, 1][..]);
    let refused = |arrays: &[(&str, &str, bool, &str, &[u8])]| {
        write_archive(&path, arrays);
        refusal("npz", &path, Split::All)
    };
    let cases: [(&[_], &str); 11] = [
        (&[x], "no array `y (the labels)`"),
        (&[y], "no array `x (the images)`"),
        (&[("x", "|u1", false, "(2, 4, 4)", &pixels), y], "expected [N, C, H, W] or"),
        (&[("x", "|u1", false, "(2, 2, 4, 2)", &pixels), y], "[2, 2, 4, 2]"),
        (&[("x", "|u1", false, "(2, 1, 16, 1)", &pixels), y], "[2, 1, 16, 1]"),
        (&[("x", "|u1", false, "(2, 1, 1152921504606846976, 0)", &[]), y], "no extent of 0"),
        (&[("x", "<i4", false, "(2, 1, 2, 2)", &pixels), y], "`x` holds `<i4`"),
        (&[x, ("y", "<f4", false, "(2,)", &[0; 8])], "integers are needed"),
        (&[x, ("y", "|i1", false, "(2,)", &[0, 0xff])], "is -1, accepted is 0 to 65535"),
        (&[x, ("y", "|i1", false, "(1,)", &[0])], "expected [2], one integer an image"),
        (
            &[("x", "|u1", false, "(0, 1, 4, 4)", &[]), ("y", "|i1", false, "(0,)", &[])],
            "holds no sample",
        ),
    ];
    for (arrays, reason) in cases {
        let error = refused(arrays);
        assert!(error.contains(reason), "{error}");
    }
    fs::write(&path, "not an archive").unwrap();
    assert!(refusal("npz", &path, Split::All).contains("not an .npz archive"));
    let absent = refusal("npz", &folder.path().join("absent.npz"), Split::All);
    assert!(absent.contains("does not exist; numpy.savez"), "{absent}");
    let directory = refusal("npz", folder.path(), Split::All);
    assert!(directory.contains("not a regular file"), "{directory}");
}

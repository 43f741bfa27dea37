//! Both layouts of CIFAR, on small files like the originals.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{byte, load, refusal};
use cure_data::{PublishedChecksum, Split};

const IMAGE: usize = 3072;

/// A binary batch; sample `i` begins with `labels[i]`.
fn binary(labels: &[&[u8]]) -> Vec<u8> {
    let record = |(sample, labels): (usize, &&[u8])| {
        let pixels = (0..IMAGE).map(move |at| byte(sample, at));
        labels.iter().copied().chain(pixels).collect::<Vec<u8>>()
    };
    labels.iter().enumerate().flat_map(record).collect()
}

fn write_cifar10(folder: &Path) {
    for batch in 1..=5u8 {
        let labels = [[batch], [batch + 1]];
        let labels: Vec<&[u8]> = labels.iter().map(|label| label.as_slice()).collect();
        fs::write(folder.join(format!("data_batch_{batch}.bin")), binary(&labels)).unwrap();
    }
    fs::write(folder.join("test_batch.bin"), binary(&[&[9], &[0], &[3]])).unwrap();
}

/// A batch as Python 2's `cPickle.dump(batch, file, 2)` wrote the originals: `str` keys, memo
/// entries, the array built by `numpy.core.multiarray._reconstruct`.
fn python(key: &str, labels: &[u8], data: &[u8], rows: u16) -> Vec<u8> {
    let text = |text: &str| [&[b'U', text.len() as u8], text.as_bytes()].concat();
    let mut pickle = b"\x80\x02}q\x01(".to_vec();
    pickle.extend(text("batch_label"));
    pickle.extend(text("training batch 1 of 5"));
    pickle.extend([text(key), b"q\x04]q\x05(".to_vec()].concat());
    labels.iter().for_each(|&label| pickle.extend([b'K', label]));
    pickle.push(b'e');
    pickle.extend(text("data"));
    pickle.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08");
    pickle.extend(b"K\x00\x85U\x01b\x87Rq\x09(K\x01");
    pickle.extend([b"M", &rows.to_le_bytes()[..], b"M\x00\x0c\x86"].concat());
    pickle.extend(b"cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b");
    pickle.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89");
    pickle.extend([b"T", &(data.len() as u32).to_le_bytes()[..], data, b"tb"].concat());
    pickle.extend(text("filenames"));
    pickle.extend(b"](");
    pickle.extend(text("a_s_000001.png"));
    pickle.extend(b"eu.");
    pickle
}

fn python_images(n: usize) -> Vec<u8> {
    (0..n).flat_map(|sample| (0..IMAGE).map(move |at| byte(sample, at))).collect()
}

#[test]
fn binary_batches_are_joined_in_order() {
    let folder = tempfile::tempdir().unwrap();
    write_cifar10(folder.path());
    let train = load("cifar10", folder.path(), Split::Train).unwrap();
    assert_eq!(train.labels(), [1, 2, 2, 3, 3, 4, 4, 5, 5, 6]);
    assert_eq!(train.indices(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(train.class_names()[3], "cat");
    let test = load("cifar10", folder.path(), Split::Test).unwrap();
    assert_eq!((test.labels(), test.shape()), (&[9, 0, 3][..], [3, 32, 32]));
    let batch = test.batch(&[2, 0]).unwrap();
    assert_eq!((batch.labels, batch.indices), (vec![3, 9], vec![2, 0]));
    let pixels = batch.images.host();
    for at in [0, 1, 1024, 3071] {
        assert_eq!(pixels[at], f32::from(byte(2, at)) / 255.0);
        assert_eq!(pixels[IMAGE + at], f32::from(byte(0, at)) / 255.0);
    }
}

#[test]
fn the_folder_inside_the_archive_is_found_and_other_files_do_not_match_the_published_ones() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&inner).unwrap();
    write_cifar10(&inner);
    let test = load("cifar10", folder.path(), Split::Test).unwrap();
    let files = vec!["test_batch.bin".to_owned()];
    assert_eq!(test.published(), &PublishedChecksum::Mismatched { files });
}

#[test]
fn the_digest_is_that_of_the_files_one_after_another() {
    use sha2::{Digest, Sha256};
    let folder = tempfile::tempdir().unwrap();
    write_cifar10(folder.path());
    let names = (1..=5).map(|batch| format!("data_batch_{batch}.bin"));
    let all: Vec<u8> = names.flat_map(|name| fs::read(folder.path().join(name)).unwrap()).collect();
    let expected: String = Sha256::digest(all).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(load("cifar10", folder.path(), Split::Train).unwrap().sha256(), expected);
}

#[test]
fn of_several_bad_files_the_first_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_cifar10(folder.path());
    for (batch, label) in [(2, 77), (5, 88)] {
        let bytes = binary(&[&[1], &[label]]);
        fs::write(folder.path().join(format!("data_batch_{batch}.bin")), bytes).unwrap();
    }
    for _ in 0..20 {
        let error = refusal("cifar10", folder.path(), Split::Train);
        assert!(error.contains("data_batch_2.bin") && error.contains("is 77"), "{error}");
    }
}

#[test]
fn files_longer_than_what_is_read_at_once_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let classes: Vec<[u8; 1]> = (0..1003).map(|sample| [(sample % 10) as u8]).collect();
    let labels: Vec<&[u8]> = classes.iter().map(|label| label.as_slice()).collect();
    fs::write(folder.path().join("test_batch.bin"), binary(&labels)).unwrap();
    let test = load("cifar10", folder.path(), Split::Test).unwrap();
    assert_eq!(test.labels(), (0..1003).map(|sample| sample % 10).collect::<Vec<_>>());
    let all: Vec<usize> = (0..1003).collect();
    let images = test.batch(&all).unwrap().images;
    let expected = (0..1003).flat_map(|sample| (0..IMAGE).map(move |at| byte(sample, at)));
    assert!(images.host().iter().copied().eq(expected.map(|byte| f32::from(byte) / 255.0)));

    let mut bad = labels.clone();
    bad[1001] = &[10];
    fs::write(folder.path().join("test_batch.bin"), binary(&bad)).unwrap();
    let error = refusal("cifar10", folder.path(), Split::Test);
    assert!(error.contains("label of record 1001") && error.contains("is 10"), "{error}");
}

#[test]
fn cifar100_has_two_labels_and_the_fine_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.bin"), binary(&[&[4, 0], &[1, 99]])).unwrap();
    fs::write(folder.path().join("test.bin"), binary(&[&[19, 72]])).unwrap();
    let train = load("cifar100", folder.path(), Split::Train).unwrap();
    assert_eq!((train.labels(), train.classes()), (&[0, 99][..], 100));
    assert_eq!(
        (train.class_names()[0].as_str(), train.class_names()[99].as_str()),
        ("apple", "worm")
    );
    let test = load("cifar100", folder.path(), Split::Test).unwrap();
    assert_eq!(test.class_names()[test.labels()[0]], "seal");
    assert_eq!(test.published(), &PublishedChecksum::NotPublished);

    fs::write(folder.path().join("test.bin"), binary(&[&[20, 72]])).unwrap();
    let error = refusal("cifar100", folder.path(), Split::Test);
    assert!(error.contains("coarse label of record 0") && error.contains("is 20"), "{error}");
}

#[test]
fn python_batches_read_like_binary_ones() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("cifar-10-batches-py");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("test_batch"), python("labels", &[9, 0, 3], &python_images(3), 3))
        .unwrap();
    let from_python = load("cifar10", folder.path(), Split::Test).unwrap();
    assert_eq!(from_python.info().layout, "python");
    write_cifar10(folder.path());
    let from_binary = load("cifar10", folder.path(), Split::Test).unwrap();
    assert_eq!(from_binary.info().layout, "binary");
    assert_eq!(from_python.batch(&[0, 1, 2]).unwrap(), from_binary.batch(&[0, 1, 2]).unwrap());

    fs::write(folder.path().join("test"), python("fine_labels", &[9, 99], &python_images(2), 2))
        .unwrap();
    let hundred = load("cifar100", folder.path(), Split::Test).unwrap();
    assert_eq!(hundred.labels(), [9, 99]);
}

#[test]
fn bad_python_batches_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |pickle: &[u8]| {
        fs::write(folder.path().join("test_batch"), pickle).unwrap();
        refusal("cifar10", folder.path(), Split::Test)
    };
    let good = python("labels", &[9, 0], &python_images(2), 2);
    let label = refused(&python("labels", &[9, 10], &python_images(2), 2));
    assert!(label.contains("record 1") && label.contains("is 10, accepted is 0 to 9"), "{label}");
    let rows = refused(&python("labels", &[9], &python_images(2), 2));
    assert!(rows.contains("expected [1, 3072]"), "{rows}");
    assert!(refused(&python("fine_labels", &[9], &python_images(1), 1)).contains("no `labels`"));
    assert!(refused(&good[..good.len() / 2]).contains("truncated"));
    assert!(refused(b"").contains("holds 0 bytes"));
    let code = refused(b"cos\nsystem\n(S'true'\ntR.");
    assert!(code.contains("refuses to call `os.system`"), "{code}");
}

#[test]
fn bad_binary_batches_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(folder.path().join("test_batch.bin"), bytes).unwrap();
        refusal("cifar10", folder.path(), Split::Test)
    };
    let good = binary(&[&[1], &[2]]);
    let cut = refused(&good[..6000]);
    assert!(cut.contains("6000 bytes") && cut.contains("multiple of 3073"), "{cut}");
    assert!(refused(b"").contains("0 bytes"));
    let label = refused(&binary(&[&[1], &[2], &[10]]));
    assert!(label.contains("label of record 2") && label.contains("is 10, accepted is 0 to 9"));
    assert!(label.contains("test_batch.bin"), "{label}");
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = refusal("cifar10", &folder.path().join("nowhere"), Split::Test);
    assert!(nowhere.contains("nowhere` is not a folder; get cifar10 from https://"), "{nowhere}");
    let empty = refusal("cifar10", folder.path(), Split::Train);
    assert!(empty.contains("holds neither data_batch_1.bin nor data_batch_1"), "{empty}");
    write_cifar10(folder.path());
    fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
    let batch = refusal("cifar10", folder.path(), Split::Train);
    assert!(batch.contains("data_batch_4.bin` does not exist"), "{batch}");
    let split = refusal("cifar10", folder.path(), Split::Validation);
    assert!(split.contains("it has train and test"), "{split}");
}

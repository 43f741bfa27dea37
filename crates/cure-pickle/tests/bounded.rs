//! Whatever the bytes: no panic, and memory in proportion to the file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;

use cure_pickle::{numpy, read, torch};
use proptest::prelude::*;

/// Counts what the calling thread holds, and the most it held.
struct Meter;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    HELD.with(|held| {
        held.set(held.get() + change);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static METER: Meter = Meter;

/// The most bytes held while `work` ran, beyond what was held before.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = HELD.with(Cell::get);
    PEAK.with(|peak| peak.set(before));
    work();
    usize::try_from(PEAK.with(Cell::get) - before).unwrap()
}

/// Reads `bytes` in every way there is.
fn read_all(bytes: &[u8]) {
    if let Ok(pickle) = read(bytes, numpy::GLOBALS) {
        for value in pickle.values() {
            let _ = numpy::array(value);
            let _ = value.get("data");
            let _ = value.describe();
        }
    }
    if let Ok(checkpoint) = torch::read(bytes.to_vec()) {
        let _ = checkpoint.state_dict();
    }
}

/// At most 256 bytes for each of the file (a one-byte instruction makes a node, a place on the
/// stack and, doubled by a growing vector, room for more), and what the parsers need at rest.
fn assert_bounded(bytes: &[u8]) {
    let peak = peak_of(|| read_all(bytes));
    let allowed = 256 * bytes.len() + (256 << 10);
    assert!(peak <= allowed, "{peak} bytes held for a file of {}", bytes.len());
}

fn fixtures() -> Vec<Vec<u8>> {
    [
        "values-0.pkl",
        "values-2.pkl",
        "values-4.pkl",
        "arrays-0.pkl",
        "arrays-2.pkl",
        "arrays-5.pkl",
        "checkpoint-zip.pt",
        "checkpoint-legacy.pt",
    ]
    .iter()
    .map(|name| {
        std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    })
    .collect()
}

/// A zip archive as PyTorch lays it out, its checksums right, whatever the pickle.
fn zipped(pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, contents) in
        [("a/data.pkl", pickle), ("a/data/0", &[0u8; 96]), ("a/data/1", &[1; 40])]
    {
        archive.start_file(name, stored).unwrap();
        archive.write_all(contents).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// `a/data.pkl` of the zip fixture.
fn checkpoint_pickle() -> Vec<u8> {
    let file = fixtures().swap_remove(6);
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(file)).unwrap();
    let mut pickle = Vec::new();
    let mut entry = archive.by_name("checkpoint-zip/data.pkl").unwrap();
    std::io::Read::read_to_end(&mut entry, &mut pickle).unwrap();
    pickle
}

fn mutated(mut bytes: Vec<u8>, mutations: &[(u8, prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (kind, place, value, length) in mutations {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        let end = (at + usize::from(*length)).min(bytes.len());
        match kind % 5 {
            0 => bytes[at] = *value,
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, *value),
            3 => bytes.extend_from_within(at..end),
            _ => bytes[at] ^= 1 << (value % 8),
        }
    }
    bytes
}

fn mutations() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8, u8)>> {
    prop::collection::vec(
        (any::<u8>(), any::<prop::sample::Index>(), any::<u8>(), any::<u8>()),
        1..6,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        assert_bounded(&bytes);
        assert_bounded(&zipped(&bytes));
    }

    #[test]
    fn random_instructions(
        bytes in prop::collection::vec(
            prop::sample::select(b"(.012NKMaeslutd)]}RbQqhjrcio\x80\x81\x85\x86\x87\x88\x8f\x90\x91\x93\x94".to_vec()),
            0..400,
        ),
    ) {
        assert_bounded(&bytes);
    }

    #[test]
    fn mutated_files(which in 0usize..8, mutations in mutations()) {
        assert_bounded(&mutated(fixtures().swap_remove(which), &mutations));
    }

    #[test]
    fn mutated_pickle_in_a_sound_archive(mutations in mutations()) {
        assert_bounded(&zipped(&mutated(checkpoint_pickle(), &mutations)));
    }
}

/// A hand-made checkpoint: one storage of `count` floats, and tensors that look into it.
fn legacy(count: u64, declared: u64, tensors: &[(i32, &[i32], &[i32])]) -> Vec<u8> {
    let text = |file: &mut Vec<u8>, text: &str| {
        file.push(b'X');
        file.extend_from_slice(&(text.len() as u32).to_le_bytes());
        file.extend_from_slice(text.as_bytes());
    };
    let integer = |file: &mut Vec<u8>, value: i32| {
        file.push(b'J');
        file.extend_from_slice(&value.to_le_bytes());
    };
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\
        \x80\x02}.\x80\x02}("
        .to_vec();
    for (index, (offset, shape, strides)) in tensors.iter().enumerate() {
        text(&mut file, &format!("t{index}"));
        file.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut file, "storage");
        file.extend_from_slice(b"ctorch\nFloatStorage\n");
        text(&mut file, "0");
        text(&mut file, "cpu");
        integer(&mut file, declared as i32);
        file.extend_from_slice(b"NtQ");
        integer(&mut file, *offset);
        for extents in [shape, strides] {
            file.push(b'(');
            extents.iter().for_each(|&extent| integer(&mut file, extent));
            file.push(b't');
        }
        file.extend_from_slice(b"\x89NtR");
    }
    file.extend_from_slice(b"u.\x80\x02]");
    text(&mut file, "0");
    file.extend_from_slice(b"a.");
    file.extend_from_slice(&count.to_le_bytes());
    file.extend((0..count.min(1 << 20)).flat_map(|i| (i as f32).to_le_bytes()));
    file
}

fn failure(file: Vec<u8>) -> String {
    match torch::read(file) {
        Ok(checkpoint) => checkpoint.state_dict().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn views_are_checked_against_their_storage() {
    let state = torch::read(legacy(6, 6, &[(1, &[2, 2], &[3, 1])])).unwrap().state_dict().unwrap();
    assert_eq!(state.tensors[0].1.values, [1.0, 2.0, 4.0, 5.0]);

    for (offset, shape, strides) in [
        (0, &[7][..], &[1][..]),
        (1, &[6], &[1]),
        (0, &[2, 2], &[5, 1]),
        (0, &[2, 2], &[2_000_000_000, 1]),
        (0, &[65536, 65536, 65536, 65536], &[0, 0, 0, 0]),
        (0, &[i32::MAX, i32::MAX, i32::MAX], &[1, 1, 1]),
        (0, &[1_000_000_000], &[0]),
        (6, &[], &[]),
        (0, &[2, -1], &[1, 1]),
        (-1, &[2], &[1]),
        (0, &[2], &[-1]),
        (0, &[2], &[1, 1]),
    ] {
        let file = legacy(6, 6, &[(offset, shape, strides)]);
        let peak = peak_of(|| {
            let message = failure(file.clone());
            assert!(message.starts_with("tensor `t0`: "), "{message}");
        });
        assert!(peak < 64 << 10, "{peak} bytes held for {shape:?}");
    }
}

#[test]
fn storages_are_as_long_as_they_say() {
    assert!(
        failure(legacy(6, 7, &[(0, &[6], &[1])]))
            .contains("6 elements, where its tensors expect 7")
    );
    let count = 1 << 30;
    let mut lie = legacy(count, count, &[(0, &[1], &[1])]);
    lie.truncate(1000);
    let peak = peak_of(|| assert!(failure(lie.clone()).contains("truncated")));
    assert!(peak < 64 << 10, "{peak} bytes held");
}

/// 3000 tensors that each span the one storage would take 3000 times its room.
#[test]
fn a_storage_shared_too_often_is_refused() {
    let tensors = vec![(0, &[100_000][..], &[1][..]); 3000];
    let file = legacy(100_000, 100_000, &tensors);
    let length = file.len();
    let peak = peak_of(|| assert!(failure(file).contains("outgrow the file")));
    assert!(peak <= 32 * length, "{peak} bytes held for a file of {length}");
}

#[test]
fn a_dictionary_that_holds_itself_under_every_wrapper() {
    let mut pickle = b"}q\x00(".to_vec();
    for name in ["state_dict", "model", "net", "ema", "network", "weights", "params"] {
        pickle.push(b'X');
        pickle.extend_from_slice(&(name.len() as u32).to_le_bytes());
        pickle.extend_from_slice(name.as_bytes());
        pickle.extend_from_slice(b"h\x00");
    }
    pickle.extend_from_slice(b"u.");
    assert!(failure(zipped(&pickle)).contains("no dictionary of tensors"));
}

#[test]
fn archives_that_are_not_checkpoints() {
    let archive = |entries: &[&str]| {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in entries {
            // Stored, as PyTorch does, whichever compressions other crates ask `zip` for.
            let stored = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Stored);
            archive.start_file(*name, stored).unwrap();
            archive.write_all(b"N.").unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    assert!(failure(archive(&["x/data.pkl", "x/constants.pkl"])).contains("TorchScript"));
    assert!(failure(archive(&["x.npy"])).contains("without `data.pkl`"));
    assert!(failure(archive(&["x/data.pkl", "x/byteorder"])).contains("byte order"));
    assert!(failure(archive(&["x/data.pkl"])).contains("at the top there is None"));
    assert!(failure(b"\x80\x02N.".to_vec()).contains("magic number"));
    assert!(failure(Vec::new()).contains("empty"));
    assert!(failure(b"hello, world".to_vec()).contains("68, 65"));

    let mut damaged = zipped(b"}X\x01\x00\x00\x00aK\x01s.");
    let at = damaged.windows(4).position(|w| w == b"}X\x01\x00").unwrap();
    damaged[at + 6] ^= 1;
    assert!(failure(damaged).contains("is damaged"));
}

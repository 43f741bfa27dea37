//! SVHN: whatever the files declare, memory is taken for what they hold.
#![allow(clippy::unwrap_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::matlab::*;
use common::{load, refusal};
use cure_data::Split;

/// Counts what all threads hold, and the most they held.
struct Meter;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), SeqCst) + layout.size();
        PEAK.fetch_max(held, SeqCst);
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static METER: Meter = Meter;

/// The most bytes held while `work` ran, beyond what was held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(SeqCst);
    PEAK.store(before, SeqCst);
    let result = work();
    (result, PEAK.load(SeqCst).saturating_sub(before))
}

/// What reading needs at rest: blocks of files, the decoder's window, threads.
const AT_REST: usize = 2 << 20;

/// The one test of this program: others beside it would be counted.
#[test]
fn memory_is_what_the_images_take() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test_32x32.mat");
    let labels = |n: usize| matrix(UINT8_CLASS, &[n as i32, 1], "y", (U8, &vec![1; n]));
    let black =
        |n: usize| matrix(UINT8_CLASS, &[32, 32, 3, n as i32], "X", (U8, &vec![0; n * 3072]));

    // Whole files: the images, once, and for each label a few words.
    let n = 5000;
    for (x, y) in [(black(n), labels(n)), (compressed(&black(n)), compressed(&labels(n)))] {
        fs::write(&path, file(&[&x, &y])).unwrap();
        drop((x, y));
        let (dataset, peak) = peak_of(|| load("svhn", folder.path(), Split::Test).unwrap());
        assert_eq!(dataset.len(), n);
        let allowed = n * 3072 + n * 64 + AT_REST;
        assert!((n * 3072..allowed).contains(&peak), "{peak} bytes held");
    }

    let refused = |elements: &[&[u8]], reason: &str| {
        fs::write(&path, file(elements)).unwrap();
        let (error, peak) = peak_of(|| refusal("svhn", folder.path(), Split::Test));
        assert!(error.contains(reason), "{error}");
        assert!(peak < AT_REST, "{peak} bytes held: {error}");
    };
    // 2 GiB declared where nothing is, by an element, by the tag before values, by a shape; the
    // last also in a compressed variable, whose few bytes cannot stand for as many.
    let size = 1u32 << 31;
    let tag = |kind: u32, size: u32| [kind.to_le_bytes(), size.to_le_bytes()].concat();
    refused(&[&tag(MATRIX, size), &[0; 64]], "declares 2147483648 bytes where 64 are left");
    refused(&[&tag(COMPRESSED, size), &[0; 64]], "declares 2147483648 bytes where 64 are left");
    let shape = [32, 32, 3, 700_000];
    let values = [tag(U8, size), vec![0; 64]].concat();
    let lie = matrix_of(UINT8_CLASS, &shape, "X", &values);
    refused(&[&lie], "declares 2147483648 bytes where 64 are left");
    let values = [tag(U8, 3072 * 700_000), vec![0; 64]].concat();
    let mut lie = matrix_of(UINT8_CLASS, &shape, "X", &values);
    lie[4..8].copy_from_slice(&(3072 * 700_000 + 72u32).to_le_bytes());
    refused(&[&compressed(&lie)], "an element of type 14 declares 2150400072 bytes where");

    // Bombs: the variable wanted, its values, what follows them, and one that nobody asked for.
    let bomb = black(20_000);
    let tall = matrix(UINT8_CLASS, &[3072, 20_000], "X", (U8, &bomb[bomb.len() - 3072 * 20_000..]));
    refused(&[&compressed(&tall), &labels(3)], "shape [3072, 20000], expected [32, 32, 3, N]");
    refused(&[&compressed(&bomb), &labels(3)], "shape [3, 1], expected [20000, 1]");
    let longer = [black(3), bomb.clone()].concat();
    refused(&[&compressed(&longer), &labels(3)], "longer than the variable in it");
    let many = matrix(UINT8_CLASS, &[3072 * 20_000, 1], "y", (U8, &vec![1; 3072 * 20_000]));
    refused(&[&compressed(&many), &black(3)], "expected [3, 1]");
    let other =
        matrix(UINT8_CLASS, &[3072, 20_000], "Z", (U8, &bomb[bomb.len() - 3072 * 20_000..]));
    fs::write(&path, file(&[&compressed(&other), &black(3), &labels(3)])).unwrap();
    let (dataset, peak) = peak_of(|| load("svhn", folder.path(), Split::Test).unwrap());
    assert!(dataset.len() == 3 && peak < AT_REST, "{peak} bytes held");
}

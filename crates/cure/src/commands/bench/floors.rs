//! What the machine can do at most: a large matrix product, and arrays streamed through memory.

use std::time::Instant;

use rayon::prelude::*;

use super::job::Measurement;

/// Sides of the square products that are tried.
const SIDES: [usize; 3] = [1024, 1536, 2048];
/// Values of each of the three arrays: 128 MiB, beyond any cache.
const STREAMED: usize = 1 << 25;
/// Attempts; the best counts.
const ATTEMPTS: usize = 5;

/// The best GFLOP/s of `gemm` on square matrices, each thread taking a slab of the columns.
pub(super) fn product() -> Measurement {
    let best = SIDES.into_iter().map(product_of).fold(0.0, f64::max);
    Measurement { rate: Some(best), ..Measurement::default() }
}

fn product_of(side: usize) -> f64 {
    let fill = |factor: usize| -> Vec<f32> {
        (0..side * side).map(|i| ((i * factor) % 251) as f32 / 251.0 - 0.5).collect()
    };
    let (a, b, mut c) = (fill(7919), fill(104_729), vec![0.0; side * side]);
    let columns = side.div_ceil(rayon::current_num_threads());
    let mut best = 0.0f64;
    for _ in 0..ATTEMPTS {
        let start = Instant::now();
        // Column-major, so that a slab of columns is one piece of memory.
        let slabs = c.par_chunks_mut(columns * side).zip(b.par_chunks(columns * side));
        slabs.for_each(|(c, b)| multiply(side, &a, b, c));
        let operations = 2.0 * (side as f64).powi(3);
        best = best.max(operations / start.elapsed().as_secs_f64() / 1e9);
    }
    std::hint::black_box(c);
    best
}

/// c = a·b for column-major a of `side`×`side` and as many columns as b and c have.
fn multiply(side: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    assert!(a.len() == side * side && b.len() == c.len() && c.len().is_multiple_of(side));
    let (columns, stride) = (c.len() / side, side as isize);
    // SAFETY: by the assertion each pointer is to a matrix of these extents and strides; c is
    // borrowed alone.
    unsafe {
        gemm::gemm(
            side,
            columns,
            side,
            c.as_mut_ptr(),
            stride,
            1,
            false,
            a.as_ptr(),
            stride,
            1,
            b.as_ptr(),
            stride,
            1,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// GB/s of a ← b + s·c over arrays larger than the caches: two values read and one written each.
pub(super) fn triad() -> Measurement {
    let b: Vec<f32> = (0..STREAMED).into_par_iter().map(|i| i as f32).collect();
    let c: Vec<f32> = (0..STREAMED).into_par_iter().map(|i| (i % 7) as f32).collect();
    let mut a = vec![0.0f32; STREAMED];
    let part = STREAMED.div_ceil(rayon::current_num_threads());
    let mut best = 0.0f64;
    // One more, which touches the pages of `a` first.
    for _ in 0..=ATTEMPTS {
        let start = Instant::now();
        a.par_chunks_mut(part).zip(b.par_chunks(part)).zip(c.par_chunks(part)).for_each(
            |((a, b), c)| {
                for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                    *a = b + 0.5 * c;
                }
            },
        );
        let bytes = (3 * STREAMED * size_of::<f32>()) as f64;
        best = best.max(bytes / start.elapsed().as_secs_f64() / 1e9);
    }
    std::hint::black_box(a);
    Measurement { rate: Some(best), ..Measurement::default() }
}

/// What one pass over one image costs at least, in this model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) multiply_adds: u64,
    /// Values that convolutions and linear layers write.
    pub(super) outputs: u64,
}

/// Milliseconds that `passes` over `images` take at the machine's peaks: two operations a
/// multiply-add of plain sums, and each layer's output written once and read once.
pub(super) fn floor_ms(work: Work, passes: f64, images: usize, gflops: f64, gbytes: f64) -> f64 {
    let times = passes * images as f64;
    let operations = 2.0 * work.multiply_adds as f64 * times;
    let bytes = 2.0 * 4.0 * work.outputs as f64 * times;
    operations / (gflops * 1e6) + bytes / (gbytes * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_products() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        let mut c = [0.0; 4];
        multiply(2, &a, &b, &mut c);
        // Column-major: [1 3; 2 4]·[5 7; 6 8].
        assert_eq!(c, [23.0, 34.0, 31.0, 46.0]);
    }

    #[test]
    fn floors_add_arithmetic_and_traffic() {
        let work = Work { multiply_adds: 1_000_000, outputs: 1_000_000 };
        // 2·10⁶ operations at 1 GFLOP/s are 2 ms; 8·10⁶ bytes at 1 GB/s are 8 ms.
        assert!((floor_ms(work, 1.0, 1, 1.0, 1.0) - 10.0).abs() < 1e-9);
        assert!((floor_ms(work, 3.0, 2, 1.0, 1.0) - 60.0).abs() < 1e-9);
    }
}

//! Speed of the convolution kernels, layer by layer: `cargo run --release -p cure-tensor
//! --example kernels [threads [first-layer last-layer]]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use cure_tensor::{
    Tensor,
    ops::{self, Epilogue, Kernel, Window},
};
use std::time::Instant;

fn best(mut work: impl FnMut()) -> f64 {
    work();
    (0..5)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|t| t.parse().ok()).unwrap_or(2);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
    println!("{:>28} {:>9} {:>9} {:>9}  GFLOP/s", "layer", "forward", "input", "weight");
    let argument =
        |n: usize, or: usize| std::env::args().nth(n).and_then(|t| t.parse().ok()).unwrap_or(or);
    let layers = [
        (3, 16, 32, 3, 1, 128),
        (16, 16, 32, 3, 1, 128),
        (16, 32, 32, 3, 2, 128),
        (32, 32, 16, 3, 1, 128),
        (32, 64, 16, 3, 2, 128),
        (64, 64, 8, 3, 1, 128),
        (3, 64, 32, 3, 1, 64),
        (64, 64, 32, 3, 1, 64),
        (64, 128, 32, 3, 2, 64),
        (128, 128, 16, 3, 1, 64),
        (128, 256, 16, 3, 2, 64),
        (256, 256, 8, 3, 1, 64),
        (256, 512, 8, 3, 2, 64),
        (512, 512, 4, 3, 1, 64),
        (64, 128, 32, 1, 2, 64),
    ];
    let last = argument(3, layers.len());
    for &(ci, co, size, side, stride, batch) in &layers[argument(2, 0).min(last)..last] {
        let window = Window::new(stride, side / 2);
        let x = Tensor::full(&[ci, batch, size, size], 0.5);
        let k = Tensor::full(&[co, ci, side, side], 0.01);
        let kernel = Kernel::new(k.clone());
        let y = ops::convolution(&x, &kernel, window, Epilogue::default()).unwrap();
        let flops = 2.0 * y.len() as f64 * (ci * side * side) as f64;
        let f = best(|| {
            ops::convolution(&x, &kernel, window, Epilogue::default()).unwrap();
        });
        let i = best(|| {
            ops::convolution_input_gradient(&y, &kernel, window, [size, size], Epilogue::default())
                .unwrap();
        });
        let w = best(|| {
            ops::convolution_weight_gradient(&[(&x, &y)], k.shape(), window).unwrap();
        });
        let g = |t: f64| flops / t / 1e9;
        println!(
            "{:>28} {:>9.0} {:>9.0} {:>9.0}   ms {:.2} {:.2} {:.2}",
            format!("{ci}→{co} {size}² {side}×{side}/{stride} ×{batch}"),
            g(f),
            g(i),
            g(w),
            f * 1e3,
            i * 1e3,
            w * 1e3
        );
    }
}

//! What can be said of a dataset as a whole.

use rayon::prelude::*;

use crate::{Dataset, Pixels};

impl Dataset {
    /// The number of samples of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        counts
    }

    /// Mean and (population) standard deviation of each channel over all pixels in [0, 1],
    /// accumulated in `f64`.
    pub fn mean_std(&self) -> (Vec<f64>, Vec<f64>) {
        let [channels, height, width] = self.shape();
        let plane = height * width;
        (0..channels)
            .into_par_iter()
            .map(|channel| {
                let planes = self.rows.iter().map(|row| {
                    let start = (row * channels + channel) * plane;
                    start..start + plane
                });
                match &self.origin.pixels {
                    Pixels::Bytes(values) => byte_moments(planes.map(|range| &values[range])),
                    Pixels::Floats(values) => float_moments(planes.map(|range| &values[range])),
                }
            })
            .unzip()
    }
}

/// Mean and standard deviation of 8-bit planes, exactly, from their histogram.
fn byte_moments<'a>(planes: impl Iterator<Item = &'a [u8]>) -> (f64, f64) {
    let mut histogram = [0u64; 256];
    for byte in planes.flatten() {
        histogram[usize::from(*byte)] += 1;
    }
    let weighted = |power: u32| -> u64 {
        (0u64..).zip(&histogram).map(|(byte, count)| byte.pow(power) * count).sum()
    };
    let count = histogram.iter().sum::<u64>() as f64;
    let mean = weighted(1) as f64 / count;
    let variance = weighted(2) as f64 / count - mean * mean;
    (mean / 255.0, variance.max(0.0).sqrt() / 255.0)
}

/// Mean and standard deviation of planes in [0, 1], in two passes.
fn float_moments<'a>(planes: impl Iterator<Item = &'a [f32]> + Clone) -> (f64, f64) {
    let values = || planes.clone().flatten().map(|&value| f64::from(value));
    let count = values().count() as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

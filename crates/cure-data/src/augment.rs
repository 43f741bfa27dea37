use cure_tensor::Placement;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, stream};

/// The usual augmentation of CIFAR: a random crop of the zero-padded image, then a horizontal
/// flip with probability one half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Black pixels added on each side before a crop of the original size; 0 for no crop.
    pub crop_padding: usize,
    /// Whether to flip.
    pub flip: bool,
}

impl Default for Augmentation {
    /// Pad 4 and flip (He et al. 2016, section 4.2).
    fn default() -> Self {
        Self { crop_padding: 4, flip: true }
    }
}

impl Augmentation {
    /// Images as they are.
    pub const NONE: Self = Self { crop_padding: 0, flip: false };

    /// What happens to the sample stored at `index` in this epoch: a pure function of the
    /// arguments. Turning the flip off does not change the crops.
    pub fn placement(&self, seed: u64, epoch: u64, index: usize) -> Placement {
        let mut random = stream(Purpose::Augmentation, seed, epoch, index as u64);
        let offsets = 0..=self.crop_padding.saturating_mul(2);
        Placement {
            row: random.random_range(offsets.clone()),
            column: random.random_range(offsets),
            flip: random.random::<bool>() && self.flip,
        }
    }
}

/// Writes the placed image into `output`, which holds zeros. A device of libtorch cuts crops of 8-bit images to the same
/// bits in a way of its own ([`StoredImages::crops`](cure_tensor::StoredImages::crops)).
///
/// # Shapes
/// `source` and `output` are `[C, H, W]`, `plane` is `[H, W]`.
pub(crate) fn copy_placed<P: Copy>(
    place: Placement,
    source: &[P],
    output: &mut [f32],
    plane: [usize; 2],
    padding: usize,
    value: impl Fn(P) -> f32,
) {
    let [height, width] = plane;
    // Output columns whose source column, `column + first`, lies inside the image.
    let inside = |offset: usize, extent: usize| {
        let first = padding.saturating_sub(offset).min(extent);
        first..(extent + padding).saturating_sub(offset).clamp(first, extent)
    };
    let (rows, columns) = (inside(place.row, height), inside(place.column, width));
    let planes = source.chunks_exact(height * width);
    for (from, to) in planes.zip(output.chunks_exact_mut(height * width)) {
        for row in rows.clone() {
            let start =
                (row + place.row - padding) * width + columns.start + place.column - padding;
            let source = &from[start..start + columns.len()];
            let target = &mut to[row * width..][..width];
            for (slot, &pixel) in target[columns.clone()].iter_mut().zip(source) {
                *slot = value(pixel);
            }
            if place.flip {
                target.reverse();
            }
        }
    }
}

/// The order in which an epoch visits `n` samples: a permutation of `0..n` that is a pure
/// function of the arguments.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut stream(Purpose::Shuffle, seed, epoch, n as u64));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 1×2×3 image `1 2 3 / 4 5 6` placed with padding 1.
    fn placed(row: usize, column: usize, flip: bool) -> Vec<f32> {
        let mut output = vec![0.0; 6];
        let source = [1u8, 2, 3, 4, 5, 6];
        copy_placed(Placement { row, column, flip }, &source, &mut output, [2, 3], 1, f32::from);
        output
    }

    #[test]
    fn a_centred_crop_is_the_image_and_a_flip_mirrors_its_rows() {
        assert_eq!(placed(1, 1, false), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(placed(1, 1, true), [3., 2., 1., 6., 5., 4.]);
    }

    #[test]
    fn a_crop_at_the_border_brings_in_zeros() {
        assert_eq!(placed(0, 0, false), [0., 0., 0., 0., 1., 2.]);
        assert_eq!(placed(2, 2, false), [5., 6., 0., 0., 0., 0.]);
        assert_eq!(placed(2, 2, true), [0., 6., 5., 0., 0., 0.]);
    }

    #[test]
    fn placements_cover_every_offset_and_both_flips_evenly() {
        let augmentation = Augmentation::default();
        let mut rows = [0; 9];
        let mut columns = [0; 9];
        let mut flips = 0;
        for index in 0..9000 {
            let placement = augmentation.placement(7, 3, index);
            rows[placement.row] += 1;
            columns[placement.column] += 1;
            flips += usize::from(placement.flip);
        }
        // Binomial deviations: 1000 ± 30 and 4500 ± 47, six of them.
        assert!(rows.iter().chain(&columns).all(|count| (820..1180).contains(count)));
        assert!((4216..4784).contains(&flips), "{flips}");
    }

    #[test]
    fn seed_epoch_and_index_each_matter_and_the_flip_leaves_the_crop() {
        let all = Augmentation::default();
        let draws = |seed, epoch, start| -> Vec<Placement> {
            (start..start + 50).map(|index| all.placement(seed, epoch, index)).collect()
        };
        assert_eq!(draws(1, 2, 0), draws(1, 2, 0));
        assert_ne!(draws(1, 2, 0), draws(2, 2, 0));
        assert_ne!(draws(1, 2, 0), draws(1, 3, 0));
        assert_ne!(draws(1, 2, 0), draws(1, 2, 50));
        let crop_only = Augmentation { flip: false, ..all };
        for index in 0..50 {
            let with = all.placement(1, 2, index);
            assert_eq!(crop_only.placement(1, 2, index), Placement { flip: false, ..with });
        }
    }
}

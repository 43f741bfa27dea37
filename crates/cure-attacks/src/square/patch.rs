//! The squares: where the search starts, and what a query changes.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::ball::inverse;
use crate::epsilon::Norm;

/// Tiles of the ℓ2 start along each side.
const TILES: usize = 5;

/// Perturbations of one image: channels, height, width.
#[derive(Clone, Copy)]
pub(super) struct Canvas {
    pub(super) shape: [usize; 3],
    pub(super) norm: Norm,
    pub(super) epsilon: f64,
}

/// One query's change, drawn for one sample.
pub(super) struct Patch {
    side: usize,
    /// Top and left of the square.
    corner: [usize; 2],
    /// One for each channel.
    signs: Vec<f64>,
    /// In ℓ2: top and left of the square that pays for it, and whether the bump lies on its side.
    payer: [usize; 2],
    is_turned: bool,
}

impl Canvas {
    /// The side of a square that covers the share `p` of an image.
    pub(super) fn side(&self, p: f64) -> usize {
        let [_, height, width] = self.shape;
        let side = (p * (height * width) as f64).sqrt().round_ties_even() as usize;
        let side = match self.norm {
            Norm::Linf => side.max(1),
            // Odd, so that the bumps have a middle.
            Norm::L2 | Norm::L1 => side.max(3) | 1,
        };
        side.min(height).min(width)
    }

    /// `free`: where the image may change, if not everywhere; the square then covers such a pixel.
    pub(super) fn draw(
        &self,
        side: usize,
        free: Option<&[bool]>,
        random: &mut ChaCha8Rng,
    ) -> Patch {
        let [channels, height, width] = self.shape;
        let anywhere = |random: &mut ChaCha8Rng| {
            [random.random_range(0..=height - side), random.random_range(0..=width - side)]
        };
        let corner = free.and_then(|free| self.around(side, free, random));
        let corner = corner.unwrap_or_else(|| anywhere(random));
        let payer = anywhere(random);
        let signs = (0..channels).map(|_| sign(random)).collect();
        Patch { side, corner, signs, payer, is_turned: random.random() }
    }

    /// A corner whose square covers a free pixel, each of which is as likely; none without any.
    fn around(&self, side: usize, free: &[bool], random: &mut ChaCha8Rng) -> Option<[usize; 2]> {
        let [_, height, width] = self.shape;
        let count = free.iter().filter(|&&is_free| is_free).count();
        if count == 0 {
            return None;
        }
        let chosen = random.random_range(0..count);
        let (at, _) = free.iter().enumerate().filter(|&(_, &is_free)| is_free).nth(chosen)?;
        let (row, column) = (at / width % height, at % width);
        let mut one = |place: usize, size: usize| {
            random.random_range((place + 1).saturating_sub(side)..=place.min(size - side))
        };
        Some([one(row, height), one(column, width)])
    }

    /// The perturbation that the search starts from: in ℓ∞ a stripe of ±ε for each column and
    /// channel, in ℓ2 five by five bumps, together of length ε.
    pub(super) fn start(&self, random: &mut ChaCha8Rng, out: &mut [f64]) {
        let [channels, height, width] = self.shape;
        out.fill(0.0);
        match self.norm {
            Norm::Linf => {
                for channel in 0..channels {
                    for column in 0..width {
                        let value = self.epsilon * sign(random);
                        for row in 0..height {
                            out[self.index(channel, row, column)] = value;
                        }
                    }
                }
            }
            Norm::L2 | Norm::L1 => {
                let side = (height / TILES).min(width).max(1);
                let places = |size: usize| {
                    let first = size.saturating_sub(side * TILES) / 2;
                    (first..=size.saturating_sub(side)).step_by(side)
                };
                for top in places(height) {
                    for left in places(width) {
                        let bump = bump(side, random.random());
                        for channel in 0..channels {
                            let sign = sign(random);
                            self.each(channel, [top, left], side, |index, inside| {
                                out[index] = sign * bump[inside];
                            });
                        }
                    }
                }
                self.stretch(out);
            }
        }
    }

    /// Changes a perturbation: in ℓ∞ the square becomes ±ε, a sign for each channel. In ℓ2 it gets a
    /// bump on top of what is there, and the budget that is left, with that of the paying square,
    /// which becomes 0.
    pub(super) fn apply(&self, patch: &Patch, out: &mut [f64]) {
        let Patch { side, corner, signs, payer, is_turned } = patch;
        if self.norm == Norm::Linf {
            for (channel, sign) in signs.iter().enumerate() {
                self.each(channel, *corner, *side, |index, _| out[index] = sign * self.epsilon);
            }
            return;
        }
        let bump = bump(*side, *is_turned);
        let used: f64 = out.iter().map(|value| value * value).sum();
        let spare = (self.epsilon * self.epsilon - used).max(0.0) / signs.len() as f64;
        for (channel, sign) in signs.iter().enumerate() {
            let mut old = vec![0.0; side * side];
            self.each(channel, *corner, *side, |index, inside| old[inside] = out[index]);
            let square = energy(&old);
            // Of the union of both squares: the second without what it shares with the first.
            self.each(channel, *corner, *side, |index, _| out[index] = 0.0);
            let mut budget = spare + square;
            self.each(channel, *payer, *side, |index, _| {
                budget += out[index] * out[index];
                out[index] = 0.0;
            });
            let factor = inverse(square.sqrt());
            let mut new: Vec<f64> =
                bump.iter().zip(&old).map(|(bump, old)| sign * bump + factor * old).collect();
            let factor = budget.sqrt() * inverse(energy(&new).sqrt());
            new.iter_mut().for_each(|value| *value *= factor);
            self.each(channel, *corner, *side, |index, inside| out[index] = new[inside]);
        }
        self.stretch(out);
    }

    /// To length ε.
    fn stretch(&self, out: &mut [f64]) {
        let factor = self.epsilon * inverse(energy(out).sqrt());
        out.iter_mut().for_each(|value| *value *= factor);
    }

    /// Calls `change` with the index in the image and that in the square of each of its pixels.
    fn each(
        &self,
        channel: usize,
        [top, left]: [usize; 2],
        side: usize,
        mut change: impl FnMut(usize, usize),
    ) {
        for row in 0..side {
            for column in 0..side {
                change(self.index(channel, top + row, left + column), row * side + column);
            }
        }
    }

    fn index(&self, channel: usize, row: usize, column: usize) -> usize {
        let [_, height, width] = self.shape;
        (channel * height + row) * width + column
    }
}

fn sign(random: &mut ChaCha8Rng) -> f64 {
    if random.random() { 1.0 } else { -1.0 }
}

fn energy(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

/// η of the paper's section 3.3, of length 1: a positive bump above a negative one (beside it if
/// `is_turned`), each falling off from its middle.
fn bump(side: usize, is_turned: bool) -> Vec<f64> {
    let mut values = vec![0.0; side * side];
    let upper = half_bump(side / 2, side);
    let lower = half_bump(side - side / 2, side);
    for (position, value) in upper.iter().copied().chain(lower.iter().map(|v| -v)).enumerate() {
        let (row, column) = (position / side, position % side);
        values[if is_turned { column * side + row } else { position }] = value;
    }
    let factor = inverse(energy(&values).sqrt());
    values.iter_mut().for_each(|value| *value *= factor);
    values
}

/// Σ 1/k² over nested rectangles around the middle, of length 1.
fn half_bump(height: usize, width: usize) -> Vec<f64> {
    let (row0, column0) = (height / 2, width / 2);
    let mut values = vec![0.0; height * width];
    for (position, value) in values.iter_mut().enumerate() {
        let (row, column) = (position / width, position % width);
        // The first rectangle that reaches here; all later ones do too.
        let first = row.abs_diff(row0).max(column.abs_diff(column0));
        *value = (first..row0.max(column0) + 1).map(|k| 1.0 / ((k + 1) * (k + 1)) as f64).sum();
    }
    let factor = inverse(energy(&values).sqrt());
    values.iter_mut().for_each(|value| *value *= factor);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Streams;

    /// From the authors' program: `eta` for sides 3 and 5.
    #[test]
    fn bumps_by_hand() {
        let raw = [0.25, 1.25, 0.25].map(|value: f64| value / (1.6875f64).sqrt());
        let found = half_bump(1, 3);
        for (found, expected) in found.iter().zip(raw) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        for side in 1..8 {
            for is_turned in [false, true] {
                assert!((energy(&bump(side, is_turned)) - 1.0).abs() < 1e-12);
            }
            let (straight, turned) = (bump(side, false), bump(side, true));
            for position in 0..side * side {
                let other = (position % side) * side + position / side;
                assert!((straight[position] - turned[other]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn sides_follow_the_share() {
        let canvas = |norm| Canvas { shape: [3, 32, 32], norm, epsilon: 0.5 };
        let sides = |norm| [0.8, 0.4, 0.1, 0.8 / 512.0].map(|p| canvas(norm).side(p));
        assert_eq!(sides(Norm::Linf), [29, 20, 10, 1]);
        assert_eq!(sides(Norm::L2), [29, 21, 11, 3]);
        assert_eq!(Canvas { shape: [1, 2, 9], norm: Norm::L2, epsilon: 1.0 }.side(0.8), 2);
    }

    /// The budget is used up, always, and only the two squares change shape.
    #[test]
    fn patches_keep_the_length() {
        for (seed, shape) in [[1, 2, 2], [3, 8, 8], [2, 3, 7], [1, 9, 4], [3, 13, 13], [1, 14, 14]]
            .into_iter()
            .enumerate()
        {
            let length = shape.iter().product();
            let random = &mut Streams::new(seed as u64, &[0]).stream(0, 0);
            for norm in [Norm::Linf, Norm::L2] {
                let canvas = Canvas { shape, norm, epsilon: 0.7 };
                let mut values = vec![f64::NAN; length];
                canvas.start(random, &mut values);
                for query in 0..50 {
                    let found = norm.of(values.iter().copied());
                    assert!((found - 0.7).abs() < 1e-9, "{shape:?} {norm} {query}: {found}");
                    let p = 0.8 / f64::from(1 << (query / 8));
                    let patch = canvas.draw(canvas.side(p), None, random);
                    let before = values.clone();
                    canvas.apply(&patch, &mut values);
                    let changed = values.iter().zip(&before).filter(|(a, b)| a != b).count();
                    if norm == Norm::Linf {
                        assert!(changed <= shape[0] * patch.side * patch.side);
                    }
                }
            }
        }
    }
}

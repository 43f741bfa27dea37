//! A batch in pieces of a few images, each taken through the whole network by one thread: between
//! two layers a piece stays in that core's cache, and nobody waits for anybody.

use std::ops::Range;

use cure_tensor::Tensor;
use cure_tensor::ops;
use rayon::prelude::*;

use crate::classifier::Linearized;
use crate::error::Result;
use crate::linearization::Linearization;

/// How the batches of a network are cut.
#[derive(Clone, Copy)]
pub(crate) struct Cut {
    /// Images a piece at most.
    most: usize,
    /// Whether a layer of a single image is work enough for several threads.
    shares_layers: bool,
}

impl Cut {
    /// Not at all.
    pub(crate) const WHOLE: Self = Self { most: usize::MAX, shares_layers: true };

    /// For a network whose largest layer has so many values an image, and that does so many multiply-adds
    /// for one.
    pub(crate) fn of(largest_layer: usize, multiply_adds: u64) -> Self {
        /// Values that a layer of a piece may take: half a megabyte, so that a layer's input, output and
        /// mask share a second-level cache.
        const CACHED: usize = 128 * 1024;
        /// With fewer images a layer's weights are read and transformed too often for what they do.
        const FEWEST: usize = 8;
        /// What is taken where no useful number of images fits the cache.
        const UNCACHED: usize = 16;
        /// Multiply-adds of a network whose layers take as long as handing them to other threads.
        const SMALL: u64 = 100_000_000;
        if cure_tensor::device().is_torch() {
            return Self::WHOLE; // It shares each operation among threads or a GPU's cores itself.
        }
        let images = CACHED / largest_layer.max(1);
        Self {
            most: if images < FEWEST { UNCACHED } else { images },
            shares_layers: multiply_adds > SMALL,
        }
    }

    /// `count` rows in ranges of at most `most`, as equal as can be, and as many for every thread; one
    /// range of what is not to be cut, and where a thread would get a single image and layers can be shared instead.
    fn ranges(self, count: usize) -> Vec<Range<usize>> {
        let threads = rayon::current_num_threads();
        let is_whole = self.most == usize::MAX;
        if count == 0 || is_whole || (self.shares_layers && count < 2 * threads) {
            return std::iter::once(0..count).collect();
        }
        let pieces = count.div_ceil(self.most).next_multiple_of(threads).min(count);
        (0..pieces).map(|piece| piece * count / pieces..(piece + 1) * count / pieces).collect()
    }

    /// `work` that is not cut.
    fn uncut<R>(self, work: impl FnOnce() -> R) -> R {
        if self.shares_layers { work() } else { ops::alone(work) }
    }

    /// `work` on every piece of a sample-major tensor.
    pub(crate) fn map<R: Send>(
        self,
        x: &Tensor,
        work: impl Fn(&Tensor) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let ranges = self.ranges(x.shape().first().copied().unwrap_or(0));
        if ranges.len() == 1 {
            return Ok(vec![self.uncut(|| work(x))?]);
        }
        ranges.into_par_iter().map(|rows| ops::alone(|| work(&rows_of(x, rows)?))).collect()
    }
}

/// Ranges of `count` images whose parameter gradients are summed apart.
pub(crate) fn parts(count: usize, parameters: usize) -> Vec<Range<usize>> {
    /// With more, adding up and transforming gradients for each part would take longer than it spares.
    const MOST_PARAMETERS: usize = 2_000_000;
    const IMAGES: usize = 8;
    if parameters > MOST_PARAMETERS || cure_tensor::device().is_torch() {
        return std::iter::once(0..count).collect();
    }
    (0..count).step_by(IMAGES).map(|first| first..(first + IMAGES).min(count)).collect()
}

fn rows_of(x: &Tensor, rows: Range<usize>) -> Result<Tensor> {
    Ok(ops::select(x, &rows.collect::<Vec<_>>())?)
}

/// The rows of all pieces.
pub(crate) fn join(mut parts: Vec<Tensor>) -> Result<Tensor> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(ops::concatenate(&parts.iter().collect::<Vec<_>>())?),
    }
}

/// The linearizations of the pieces of a batch.
pub(crate) struct Pieces<'a> {
    cut: Cut,
    pieces: Vec<Linearization<'a>>,
    logits: Tensor,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(cut: Cut, pieces: Vec<Linearization<'a>>) -> Result<Self> {
        let logits = join(pieces.iter().map(|piece| piece.logits().clone()).collect())?;
        Ok(Self { cut, pieces, logits })
    }

    /// `work` on every piece with its rows of `rows`.
    fn each(
        &self,
        rows: &Tensor,
        work: impl Fn(&Linearization<'a>, &Tensor, usize) -> Result<Tensor> + Sync,
    ) -> Result<Tensor> {
        let found = rows.shape().first().copied().unwrap_or(0);
        if let [only] = self.pieces.as_slice() {
            return self.cut.uncut(|| work(only, rows, 0));
        }
        if found != self.logits.shape()[0] {
            return Err(cure_tensor::TensorError::ShapeMismatch {
                operation: "derivative of a batch",
                expected: format!("[{}, …], as the logits", self.logits.shape()[0]),
                found: rows.shape().to_vec(),
            }
            .into());
        }
        let mut start = 0;
        let mut tasks = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            let end = start + piece.logits().shape()[0];
            tasks.push((piece, start..end));
            start = end;
        }
        let parts: Result<Vec<Tensor>> = tasks
            .into_par_iter()
            .map(|(piece, range)| {
                let first = range.start;
                ops::alone(|| work(piece, &rows_of(rows, range)?, first))
            })
            .collect();
        join(parts?)
    }
}

impl Linearized for Pieces<'_> {
    fn logits(&self) -> &Tensor {
        &self.logits
    }

    fn pullback(&self, u: &Tensor) -> Result<Tensor> {
        self.each(u, |piece, u, _| piece.pullback(u))
    }

    fn pushforward(&self, v: &Tensor) -> Result<Tensor> {
        self.each(v, |piece, v, _| piece.pushforward(v))
    }

    fn hessian_vector(&self, labels: &[usize], v: &Tensor) -> Result<Tensor> {
        self.each(v, |piece, v, first| {
            let end = first + v.shape().first().copied().unwrap_or(0);
            piece.hessian_vector(labels.get(first..end).unwrap_or(labels), v)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_is_whole_whatever_the_threads() {
        for count in [0, 1, 7, 128] {
            let ranges = Cut::WHOLE.ranges(count);
            assert_eq!((ranges.len(), ranges[0].clone()), (1, 0..count));
        }
        let cut = Cut { most: 8, shares_layers: false };
        let ranges = cut.ranges(100);
        assert_eq!(ranges.iter().map(ExactSizeIterator::len).sum::<usize>(), 100);
        assert!(ranges.len() > 1 && ranges.iter().all(|range| range.len() <= 8));
    }
}

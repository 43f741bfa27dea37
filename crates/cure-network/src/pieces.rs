//! A batch in pieces of a few images, each taken through the whole network by one thread: between
//! two layers a piece stays in that core's cache, and nobody waits for anybody.

use cure_tensor::Tensor;
use cure_tensor::ops;
use rayon::prelude::*;

use crate::classifier::Linearized;
use crate::error::Result;
use crate::linearization::Linearization;

/// Values that the largest layer of a piece may take: half a megabyte, so that a layer's input,
/// output and mask share a second-level cache.
const PIECE: usize = 128 * 1024;
/// Images a piece at least; with fewer, a layer's weights are read too often for what they do.
const FEWEST: usize = 8;

/// Images a piece for a network whose largest layer has this many values an image; `None` where
/// pieces would not pay.
pub(crate) fn images_a_piece(largest_layer: usize) -> Option<usize> {
    Some(PIECE / largest_layer.max(1)).filter(|&images| images >= FEWEST)
}

/// `count` rows in ranges of at most `most`, as equal as can be, and as many for every thread.
fn ranges(count: usize, most: usize) -> Vec<Vec<usize>> {
    let pieces = count.div_ceil(most).next_multiple_of(rayon::current_num_threads()).min(count);
    let start = |piece: usize| piece * count / pieces;
    (0..pieces).map(|piece| (start(piece)..start(piece + 1)).collect()).collect()
}

/// `work` on every piece of a sample-major tensor.
pub(crate) fn map<R: Send>(
    x: &Tensor,
    most: Option<usize>,
    work: impl Fn(&Tensor) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let count = x.shape().first().copied().unwrap_or(0);
    match most {
        Some(most) if count > most => ranges(count, most)
            .into_par_iter()
            .map(|rows| ops::alone(|| work(&ops::select(x, &rows)?)))
            .collect(),
        _ => Ok(vec![work(x)?]),
    }
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
    pieces: Vec<Linearization<'a>>,
    logits: Tensor,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(pieces: Vec<Linearization<'a>>) -> Result<Self> {
        let logits = join(pieces.iter().map(|piece| piece.logits().clone()).collect())?;
        Ok(Self { pieces, logits })
    }

    /// `work` on every piece with its rows of `rows`.
    fn each(
        &self,
        rows: &Tensor,
        work: impl Fn(&Linearization<'a>, &Tensor, usize) -> Result<Tensor> + Sync,
    ) -> Result<Tensor> {
        let found = rows.shape().first().copied().unwrap_or(0);
        if let [only] = self.pieces.as_slice() {
            return work(only, rows, 0);
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
                ops::alone(|| work(piece, &ops::select(rows, &range.collect::<Vec<_>>())?, first))
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

//! Several processes that train one network, each on its share of every batch.

use std::sync::Arc;

/// What data-parallel training needs of a transport. The methods are collective: every rank makes
/// the same calls, with slices of the same length, in the same order, from one thread at a time; a
/// rank that cannot go on ends the whole job, since the others wait for it.
pub trait Communicator: Send + Sync {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn size(&self) -> usize;

    /// Replaces each value with its sum over the ranks, the same bits on all of them.
    fn sum(&self, values: &mut [f64]);

    /// As [`Communicator::sum`], for the many numbers of a gradient.
    fn sum_single(&self, values: &mut [f32]);

    /// Every rank's bytes, in the order of the ranks, on all of them.
    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;
}

/// The processes among which a batch is shared; most often this one alone (the default).
///
/// A [`Network`](crate::Network) that has ranks takes BatchNorm's statistics over all their
/// samples, at first and second order: with shares of one size its derivatives are those of one
/// process on the whole batch, to rounding.
#[derive(Clone, Default)]
pub struct Ranks(Option<Arc<dyn Communicator>>);

impl Ranks {
    /// The processes of a communicator.
    pub fn of(communicator: Arc<dyn Communicator>) -> Self {
        Self((communicator.size() > 1).then_some(communicator))
    }

    /// This process alone.
    pub fn alone() -> Self {
        Self(None)
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |ranks| ranks.rank())
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |ranks| ranks.size())
    }

    /// Whether this is the process that writes.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Sums over the ranks.
    pub fn sum(&self, values: &mut [f64]) {
        if let Some(ranks) = &self.0 {
            ranks.sum(values);
        }
    }

    /// Sums over the ranks, in single precision.
    pub fn sum_single(&self, values: &mut [f32]) {
        if let Some(ranks) = &self.0 {
            ranks.sum_single(values);
        }
    }

    /// Every rank's bytes, in the order of the ranks.
    pub fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.0.as_ref().map_or_else(|| vec![bytes.to_vec()], |ranks| ranks.gather(bytes))
    }

    /// Whether it is so on any rank.
    pub fn any(&self, here: bool) -> bool {
        let mut count = [f64::from(u8::from(here))];
        self.sum(&mut count);
        count[0] > 0.0
    }
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.size())
    }
}

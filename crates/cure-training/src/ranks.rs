//! One batch among several processes (data-parallel training).

use std::ops::Range;

use cure_network::{Network, Ranks};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainingError};
use crate::objective::StepOutcome;

/// What of `count` items a rank takes.
pub(crate) fn share(count: usize, ranks: &Ranks) -> Range<usize> {
    let (rank, size) = (ranks.rank(), ranks.size());
    rank * count / size..(rank + 1) * count / size
}

/// Whether a batch is shared. Means over shares are those over the batch only where the shares are
/// equal: every rank takes all of the rare other batch, an epoch's last one.
pub(crate) fn is_shared(samples: usize, ranks: &Ranks) -> bool {
    samples.is_multiple_of(ranks.size())
}

/// Whether batches of this size can be shared.
pub(crate) fn check(batch: usize, ranks: &Ranks) -> Result<()> {
    match is_shared(batch, ranks) {
        true => Ok(()),
        false => {
            let size = ranks.size();
            let accepted = format!("a multiple of {size}, since {size} ranks share each batch");
            Err(TrainingError::setting("batch", batch, accepted))
        }
    }
}

/// A step's outcome on the whole batch, from this rank's on its share.
pub(crate) fn whole(outcome: StepOutcome, ranks: &Ranks) -> Result<StepOutcome> {
    let StepOutcome { gradients, objective, loss, regularizer, correct, samples, next } = outcome;
    let mut sums = [objective, loss, regularizer, correct as f64, samples as f64];
    ranks.sum(&mut sums);
    let [objective, loss, regularizer, correct, samples] = sums;
    let (correct, samples) = (correct as usize, samples as usize);
    let gradients = gradients.mean_over(ranks)?;
    Ok(StepOutcome { gradients, objective, loss, regularizer, correct, samples, next })
}

/// That every rank stands where the first one does. `state` is what must be equal besides the
/// weights; `what` says where the ranks are, for the error.
pub(crate) fn check_agreement(
    network: &Network,
    state: &str,
    what: &'static str,
    ranks: &Ranks,
) -> Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let mut digest = Sha256::new_with_prefix(state);
    for tensor in network.tensors() {
        tensor.host().iter().for_each(|value| digest.update(value.to_le_bytes()));
    }
    // 48 bits are exact in an f64, and enough against chance.
    let own =
        digest.finalize().iter().take(6).fold(0.0, |sum, &byte| 256.0 * sum + f64::from(byte));
    let mut first = [if ranks.is_first() { own } else { 0.0 }];
    ranks.sum(&mut first);
    match ranks.any(first[0] != own) {
        true => Err(TrainingError::Ranks { what }),
        false => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use cure_network::Communicator;

    use super::*;

    struct OneOf(usize, usize);

    impl Communicator for OneOf {
        fn rank(&self) -> usize {
            self.0
        }

        fn size(&self) -> usize {
            self.1
        }

        fn sum(&self, _: &mut [f64]) {}

        fn sum_single(&self, _: &mut [f32]) {}

        fn gather(&self, _: &[u8]) -> Vec<Vec<u8>> {
            Vec::new()
        }
    }

    #[test]
    fn shares_cover_everything_once_and_unequal_batches_are_refused() {
        let of = |rank, size| Ranks::of(Arc::new(OneOf(rank, size)));
        let all: Vec<usize> = (0..3).flat_map(|rank| share(10, &of(rank, 3))).collect();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(share(10, &Ranks::alone()), 0..10);
        assert!(check(12, &of(1, 3)).is_ok());
        let message = check(10, &of(1, 3)).unwrap_err().to_string();
        assert!(message.contains("batch is 10; accepted is a multiple of 3"), "{message}");
    }
}

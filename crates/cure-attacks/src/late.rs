//! Whether a search was still finding better iterates when its steps ran out.

use crate::adversarial::Search;

/// One over the share of the steps that is called late.
const SHARE: usize = 10;

/// For each sample how much its best loss rose over the last tenth of the steps. Of several
/// restarts the first is watched: the others do not begin at a best loss of their own.
pub(crate) struct LateGain {
    steps: usize,
    before: Vec<f64>,
    gain: Vec<f64>,
}

impl LateGain {
    /// Of a batch of `count` samples. (Fewer than ten steps have no tenth.)
    pub(crate) fn new(steps: usize, count: usize) -> Self {
        Self { steps, before: vec![f64::NAN; count], gain: vec![f64::NAN; count] }
    }

    /// To be told after the iterate that follows `step` steps of `restart` was judged.
    pub(crate) fn note(
        &mut self,
        restart: usize,
        step: usize,
        rows: &[usize],
        search: &Search<'_>,
    ) {
        if restart > 0 || self.steps < SHARE {
            return;
        }
        if step == self.steps - self.steps / SHARE {
            rows.iter().for_each(|&row| self.before[row] = search.best_loss(row));
        } else if step == self.steps {
            rows.iter().for_each(|&row| self.gain[row] = search.best_loss(row) - self.before[row]);
        }
    }

    /// NaN for samples that did not take all steps.
    pub(crate) fn finish(self) -> Option<Vec<f64>> {
        (self.steps >= SHARE).then_some(self.gain)
    }
}

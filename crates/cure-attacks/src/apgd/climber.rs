//! One sample on its way up, and the checkpoints where its step may be halved.

/// An iterate, with what is known of it.
#[derive(Clone)]
pub(super) struct Iterate {
    pub(super) point: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) loss: f64,
}

/// One sample on its way.
pub(super) struct Climber {
    /// Its position in the batch.
    pub(super) row: usize,
    pub(super) at: Iterate,
    /// The point before.
    pub(super) before: Vec<f32>,
    /// The iterate of highest loss.
    best: Iterate,
    pub(super) step: f64,
    /// The loss of the last iterate looked at: after a return to the best one not that of `at`.
    last_loss: f64,
    /// Steps since the last checkpoint that raised the loss.
    rises: usize,
    /// The highest loss at the last checkpoint, and whether the step was halved there.
    best_at_check: f64,
    halved: bool,
}

impl Climber {
    pub(super) fn new(row: usize, point: Vec<f32>, step: f64) -> Self {
        let gradient = vec![0.0; point.len()];
        let at = Iterate { point, gradient, loss: f64::NEG_INFINITY };
        Self {
            row,
            before: at.point.clone(),
            best: at.clone(),
            at,
            step,
            last_loss: f64::NEG_INFINITY,
            rises: 0,
            best_at_check: f64::NEG_INFINITY,
            // The second condition says nothing at the first checkpoint.
            halved: true,
        }
    }

    /// After the start was looked at, which is no step.
    pub(super) fn begin(&mut self) {
        (self.rises, self.best_at_check) = (0, self.best.loss);
    }

    /// After an iterate was looked at.
    pub(super) fn note(&mut self) {
        self.rises += usize::from(self.at.loss > self.last_loss);
        self.last_loss = self.at.loss;
        if self.at.loss > self.best.loss {
            self.best = self.at.clone();
        }
    }

    /// At a checkpoint: halves the step and returns to the best iterate if too few of the last
    /// `length` steps raised the loss, or if its maximum has not moved though the step was not
    /// halved the last time (conditions 1 and 2 of section 3).
    pub(super) fn check(&mut self, rho: f64, length: usize) {
        let oscillates = self.rises as f64 <= rho * length as f64;
        let is_stuck = !self.halved && self.best_at_check >= self.best.loss;
        self.halved = oscillates || is_stuck;
        (self.rises, self.best_at_check) = (0, self.best.loss);
        if self.halved {
            self.step *= 0.5;
            self.at = self.best.clone();
        }
    }
}

/// The steps between two checkpoints: first 22 % of all steps, then 3 % fewer each time, down to
/// 6 %.
pub(super) struct Window {
    /// Steps since the checkpoint before.
    pub(super) length: usize,
    left: usize,
    shrinkage: usize,
    least: usize,
}

impl Window {
    pub(super) fn new(steps: usize) -> Self {
        let share = |share: f64| ((share * steps as f64) as usize).max(1);
        let length = share(0.22);
        Self { length, left: length, shrinkage: share(0.03), least: share(0.06) }
    }

    /// Counts a step; tells whether it was the last one.
    pub(super) fn is_over(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    pub(super) fn next(&mut self) {
        self.length = self.length.saturating_sub(self.shrinkage).max(self.least);
        self.left = self.length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checkpoints of 100 steps that the paper lists: 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93,
    /// 0.99 of them.
    #[test]
    fn checkpoints() {
        let at = |steps| {
            let mut window = Window::new(steps);
            let mut found = Vec::new();
            for step in 1..=steps {
                if window.is_over() {
                    found.push(step);
                    window.next();
                }
            }
            found
        };
        assert_eq!(at(100), [22, 41, 57, 70, 80, 87, 93, 99]);
        assert_eq!(at(3), [1, 2, 3]);
    }

    #[test]
    fn halving() {
        let mut climber = Climber::new(0, vec![0.0], 1.0);
        let mut look = |losses: &[f64], length: usize| {
            for &loss in losses {
                climber.at.loss = loss;
                climber.note();
            }
            if length == 0 {
                climber.begin()
            } else {
                climber.check(0.75, length)
            }
            climber.step
        };
        look(&[0.0], 0);
        // Four rises of four.
        assert_eq!(look(&[1.0, 2.0, 3.0, 4.0], 4), 1.0);
        // Four again, from a lower loss: no new maximum, and not halved before.
        assert_eq!(look(&[0.0, 1.0, 2.0, 3.0, 3.5], 4), 0.5);
        // Halved before, so that only the rises count; three of four are not over 0.75.
        assert_eq!(look(&[3.6, 3.7, 3.8, 3.9], 4), 0.5);
        assert_eq!(look(&[4.0, 6.0, 4.0, 5.0], 4), 0.25);
        assert_eq!(climber.at.loss, 6.0);
    }
}

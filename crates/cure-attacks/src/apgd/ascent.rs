//! One run of Auto-PGD from a start: steps with momentum, whose length is halved at checkpoints.

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::Search;
use crate::ball::{Ball, some_of};
use crate::check;
use crate::error::Result;
use crate::loss::{Loss, by_rows, targeted_dlr};
use crate::region::restrict;

use super::climber::{Climber, Window};

/// α: the share of the new step; the rest goes on as before (Croce and Hein 2020, section 3).
const SHARE: f64 = 0.75;

/// What a run climbs.
pub(super) enum Objective {
    /// A loss at the label.
    Loss(Loss),
    /// The targeted DLR loss, with a target for each sample of the batch.
    Targeted(Vec<usize>),
}

impl Objective {
    /// The loss of each of `rows`, and its gradient with respect to the logits.
    pub(super) fn evaluate(
        &self,
        rows: &[usize],
        logits: &Tensor,
        labels: &[usize],
    ) -> Result<(Vec<f64>, Tensor)> {
        match self {
            Self::Loss(loss) => {
                let labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
                loss.evaluate(logits, &labels)
            }
            Self::Targeted(targets) => {
                let pairs: Vec<_> = rows.iter().map(|&row| (labels[row], targets[row])).collect();
                by_rows(logits, &pairs, |row, (label, target), seed| {
                    targeted_dlr(row, label, target, seed)
                })
            }
        }
    }
}

/// What the runs of an attack share.
pub(super) struct Ascent<'a> {
    pub(super) classifier: &'a dyn Classifier,
    pub(super) ball: Ball<'a>,
    /// The shape of the batch, `[N, C, H, W]`.
    pub(super) shape: &'a [usize],
    pub(super) labels: &'a [usize],
    pub(super) steps: usize,
    pub(super) rho: f64,
    pub(super) eot: usize,
    /// Images sent forward and pulled back so far.
    pub(super) cost: [u64; 2],
}

impl Ascent<'_> {
    /// Climbs from `start`, a point of each of `rows`, and shows every iterate to `search`.
    ///
    /// A solved sample leaves, except where gradients are averaged over several looks: one look at
    /// a random network proves little, and the run goes on to a higher loss.
    pub(super) fn run(
        &mut self,
        rows: &[usize],
        start: &Tensor,
        objective: &Objective,
        search: &mut Search<'_>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let points = start.host();
        let points = points.chunks_exact(self.ball.length.max(1));
        let mut climbers: Vec<Climber> = rows
            .iter()
            .zip(points)
            // η(0) = 2ε (section 3).
            .map(|(&row, point)| Climber::new(row, point.to_vec(), 2.0 * self.ball.radius(row)))
            .collect();
        let mut window = Window::new(self.steps);
        for step in 0..=self.steps {
            if step > 0 {
                self.advance(&mut climbers, if step == 1 { 1.0 } else { SHARE })?;
            }
            self.look(&mut climbers, objective, search, step == self.steps)?;
            climbers.retain(|climber| self.eot > 1 || !search.is_solved(climber.row));
            if climbers.is_empty() {
                break;
            }
            if step == 0 {
                climbers.iter_mut().for_each(Climber::begin);
            } else if window.is_over() {
                climbers.iter_mut().for_each(|climber| climber.check(self.rho, window.length));
                window.next();
            }
        }
        Ok(())
    }

    fn advance(&self, climbers: &mut [Climber], share: f64) -> Result<()> {
        let rows: Vec<usize> = climbers.iter().map(|climber| climber.row).collect();
        let steps: Vec<f64> = climbers.iter().map(|climber| climber.step).collect();
        let tensors = [
            self.gather(climbers, |climber| &climber.at.point)?,
            self.gather(climbers, |climber| &climber.before)?,
            self.gather(climbers, |climber| &climber.at.gradient)?,
        ];
        let moved = self.ball.momentum_step(&rows, tensors.each_ref(), &steps, share)?;
        for (climber, point) in climbers.iter_mut().zip(moved.host().chunks_exact(self.length())) {
            climber.before = std::mem::replace(&mut climber.at.point, point.to_vec());
        }
        Ok(())
    }

    /// Judges all points, and finds the gradients there unless they are the `last` ones.
    fn look(
        &mut self,
        climbers: &mut [Climber],
        objective: &Objective,
        search: &mut Search<'_>,
        last: bool,
    ) -> Result<()> {
        let rows: Vec<usize> = climbers.iter().map(|climber| climber.row).collect();
        let points = self.gather(climbers, |climber| &climber.at.point)?;
        let count = rows.len() as u64;
        let mut sum: Option<Tensor> = None;
        // The gradients of several looks are added: only their direction is used.
        for pass in 0..if last { 1 } else { self.eot } {
            self.cost[0] += count;
            let network = if last { None } else { Some(self.classifier.linearize(&points)?) };
            let logits = match &network {
                Some(network) => {
                    check::logits(self.classifier, network.logits(), rows.len())?;
                    network.logits().clone()
                }
                None => check::logits_of(self.classifier, &points)?,
            };
            let (losses, seed) = objective.evaluate(&rows, &logits, self.labels)?;
            // As in AutoAttack the last of several looks decides.
            if last || pass + 1 == self.eot {
                search.keep(&rows, &points, &logits, &losses)?;
                climbers.iter_mut().zip(losses).for_each(|(climber, loss)| climber.at.loss = loss);
            }
            let is_done = |&row: &usize| self.eot == 1 && search.is_solved(row);
            if let Some(network) = network
                && !rows.iter().all(is_done)
            {
                let gradients = network.pullback(&seed)?;
                let gradients = restrict(self.ball.region, &rows, gradients)?;
                self.cost[1] += count;
                sum = Some(match sum {
                    Some(sum) => ops::add(sum, &gradients)?,
                    None => gradients,
                });
            }
        }
        if let Some(gradients) = sum {
            let directed = search.note_gradients(&rows, &gradients)?;
            let gradients = gradients.host();
            let gradients = gradients.chunks_exact(self.length());
            for ((climber, gradient), directed) in climbers.iter_mut().zip(gradients).zip(directed)
            {
                // Where there is no direction only the momentum moves.
                climber.at.gradient =
                    if directed { gradient.to_vec() } else { vec![0.0; gradient.len()] };
            }
        }
        climbers.iter_mut().for_each(Climber::note);
        Ok(())
    }

    fn gather(&self, climbers: &[Climber], of: impl Fn(&Climber) -> &[f32]) -> Result<Tensor> {
        let values = climbers.iter().flat_map(|climber| of(climber).iter().copied()).collect();
        some_of(self.shape, values, climbers.len())
    }

    fn length(&self) -> usize {
        self.ball.length.max(1)
    }
}

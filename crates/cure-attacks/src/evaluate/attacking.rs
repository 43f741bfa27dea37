//! One attack over a set, batch by batch.

use std::time::Instant;

use cure_network::Classifier;
use cure_tensor::{Room, Tensor, ops};
use serde::{Deserialize, Serialize};

use super::inside::Watched;
use super::observer::Reporter;
use super::tally::Tally;
use super::{EvaluationOptions, EvaluationSet, Journal, Observer, SampleOutcome, Shard, Verdict};
use crate::attack::AttackSpec;
use crate::check;
use crate::error::Result;
use crate::streams::Streams;

/// One attack over the whole set.
pub(super) struct Run {
    /// For every image of the set.
    pub(super) outcomes: Vec<SampleOutcome>,
    pub(super) tally: Tally,
    /// All images, the attacked ones replaced, if they were to be kept.
    pub(super) images: Option<Tensor>,
}

/// One batch under one attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    /// For each image of the batch.
    outcomes: Vec<SampleOutcome>,
    tally: Tally,
}

/// An attack at work.
pub(super) struct Attacking<'a> {
    pub(super) classifier: &'a dyn Classifier,
    pub(super) set: &'a EvaluationSet,
    pub(super) spec: &'a AttackSpec,
    pub(super) options: &'a EvaluationOptions,
    /// For how many images at a time there is memory.
    pub(super) room: &'a Room,
}

impl Attacking<'_> {
    /// Attacks the images at `correct`, those classified correctly.
    pub(super) fn run(
        &self,
        position: usize,
        correct: &[usize],
        clean: &[Option<usize>],
        reporter: &mut Reporter<'_>,
        mut journal: Option<&mut Journal>,
    ) -> Result<Run> {
        let Self { set, options, .. } = *self;
        let mut outcomes: Vec<SampleOutcome> =
            clean.iter().map(|&prediction| SampleOutcome::not_attacked(prediction)).collect();
        let mut tally = Tally::default();
        let mut kept = options.keep_images.then(|| set.images().host().into_owned());
        let length = set.images().len() / set.len();
        let mut robust = 0;
        for (index, rows) in correct.chunks(options.batch).enumerate() {
            let place = (position, index);
            let known = journal.as_deref().filter(|_| kept.is_none());
            let known = known
                .and_then(|known| known.recall::<Record>(place))
                .filter(|record| record.outcomes.len() == rows.len());
            let record = match known {
                Some(record) => record,
                None => {
                    let (record, attacked) = self.batch(rows, reporter.observer())?;
                    if let Some(journal) = journal.as_deref_mut() {
                        journal.note(place, &record)?;
                    }
                    if let Some(kept) = &mut kept {
                        let images = attacked.host();
                        for (&row, image) in rows.iter().zip(images.chunks_exact(length)) {
                            kept[row * length..(row + 1) * length].copy_from_slice(image);
                        }
                    }
                    record
                }
            };
            tally.add(&record.tally);
            for (&row, outcome) in rows.iter().zip(record.outcomes) {
                robust += usize::from(outcome.verdict == Verdict::Robust);
                outcomes[row] = outcome;
            }
            reporter.advance(rows.len(), robust)?;
        }
        let images = kept.map(|values| Tensor::new(set.images().shape(), values)).transpose()?;
        Ok(Run { outcomes, tally, images })
    }

    /// Attacks the shard's batches of the images at `correct` that `journal` does not know yet, and
    /// notes them there.
    pub(super) fn shard(
        &self,
        position: usize,
        correct: &[usize],
        reporter: &mut Reporter<'_>,
        journal: &mut Journal,
        shard: Shard,
    ) -> Result<()> {
        let batches = correct.chunks(self.options.batch);
        let before = position * batches.len();
        let mut robust = 0;
        for (index, rows) in batches.enumerate().filter(|(index, _)| shard.has(before + index)) {
            let place = (position, index);
            let record = match journal.recall::<Record>(place) {
                Some(record) => record,
                None => {
                    let (record, _) = self.batch(rows, reporter.observer())?;
                    journal.note(place, &record)?;
                    record
                }
            };
            let is_robust = |outcome: &&SampleOutcome| outcome.verdict == Verdict::Robust;
            robust += record.outcomes.iter().filter(is_robust).count();
            reporter.advance(rows.len(), robust)?;
        }
        Ok(())
    }

    /// Attacks the images at `rows`; gives what may be said of each, and the attacked images.
    fn batch(&self, rows: &[usize], observer: &mut dyn Observer) -> Result<(Record, Tensor)> {
        let mut pieces =
            self.room.pieces(rows.len(), |piece| self.piece(&rows[piece], observer))?.into_iter();
        let Some((mut record, mut images)) = pieces.next() else {
            return self.piece(rows, observer);
        };
        for (other, attacked) in pieces {
            record.outcomes.extend(other.outcomes);
            record.tally.add(&other.tally);
            images = ops::concatenate(&[&images, &attacked])?;
        }
        Ok((record, images))
    }

    /// As [`Self::batch`], all at once.
    fn piece(&self, rows: &[usize], observer: &mut dyn Observer) -> Result<(Record, Tensor)> {
        /// Rounding of single-precision pixels at the border of the ball.
        const ROUNDING: f64 = 1e-6;
        let Self { classifier, set, spec, options, .. } = *self;
        let started = Instant::now();
        let part = set.select(rows)?;
        let spec = &part.confine(spec)?;
        let own = |slot: usize| part.region().and_then(|region| region.radius(slot));
        let radius = |slot: usize| Some(own(slot).or(spec.epsilon())?.value() * (1.0 + ROUNDING));
        let (images, labels) = (part.images(), part.labels());
        let streams = Streams::new(options.seed, part.indices());
        let watched = Watched::new(classifier, observer, rows.len());
        let tell = &mut |member| watched.begin(member);
        let found = spec.run_telling(&watched, images, labels, &streams, tell);
        let found = found.map_err(|error| watched.explain(error))?;
        // Success is what a fresh forward pass says.
        let predictions = check::predictions(&check::logits_of(classifier, &found.images)?);

        let count = |flags: &[bool]| flags.iter().filter(|&&flag| flag).count();
        let mut tally = Tally {
            has_targets: found.targets.is_some(),
            forward: found.forward,
            backward: found.backward,
            members: found.members.clone(),
            zero_gradient: count(&found.zero_gradient),
            non_finite_gradient: count(&found.non_finite_gradient),
            non_finite_logits: count(&found.non_finite_logits),
            ..Tally::default()
        };
        tally.rise.note(&found);
        let length = images.len() / rows.len().max(1);
        let (before, after) = (images.host(), found.images.host());
        let (mut outcomes, mut fooled) = (Vec::with_capacity(rows.len()), Vec::new());
        for (slot, &prediction) in predictions.iter().enumerate() {
            let range = slot * length..(slot + 1) * length;
            let changes = before[range.clone()].iter().zip(&after[range]);
            // Any wrong class is one, be it the one that was aimed at or not.
            let is_found = prediction != Some(labels[slot]);
            let is_met = match (&found.targets, prediction) {
                (Some(targets), Some(class)) => class == targets[slot],
                _ => is_found,
            };
            let norm = spec.norm().of(changes.map(|(&a, &b)| f64::from(b) - f64::from(a)));
            // A minimal-norm attack may have succeeded further away than it is judged at.
            let is_fooled = is_found && radius(slot).is_none_or(|radius| norm <= radius);
            let verdict = match (is_fooled, found.undecided[slot]) {
                (true, _) => Verdict::Fooled,
                (false, true) => Verdict::Undecided,
                (false, false) => Verdict::Robust,
            };
            let solved_by = found.solved_by.as_ref().and_then(|by| by[slot]);
            outcomes.push(SampleOutcome { verdict, prediction, norm, is_found, solved_by });
            if is_fooled {
                fooled.push(slot);
            }
            tally.undecided += usize::from(verdict == Verdict::Undecided);
            tally.on_target += usize::from(is_met);
            tally.unconfirmed += usize::from(is_met != found.solved[slot]);
        }
        if options.recheck_rounded {
            let lost = lost_by_rounding(classifier, &found.images, labels, &fooled)?;
            tally.rounded_successes_lost = Some(lost);
        }
        tally.seconds = started.elapsed().as_secs_f64();
        drop((before, after));
        Ok((Record { outcomes, tally }, found.images))
    }
}

/// How many of the successes at `fooled` are classified correctly again once their pixels are
/// rounded to the nearest of 256 levels, as in an image file.
fn lost_by_rounding(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    fooled: &[usize],
) -> Result<usize> {
    if fooled.is_empty() {
        return Ok(0);
    }
    let rounded = ops::map(ops::select(images, fooled)?, |pixel| (pixel * 255.0).round() / 255.0);
    let logits = classifier.logits(&rounded)?;
    check::logits(classifier, &logits, fooled.len())?;
    let predictions = check::predictions(&logits);
    let is_lost = |(&slot, prediction): (&usize, &Option<usize>)| *prediction == Some(labels[slot]);
    Ok(fooled.iter().zip(&predictions).filter(|&pair| is_lost(pair)).count())
}

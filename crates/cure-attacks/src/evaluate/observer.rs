use std::ops::ControlFlow;

use super::Inside;
use crate::error::{AttackError, Result};

/// Where an evaluation stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// `clean`, or the attack's specification.
    pub stage: &'a str,
    /// Which stage it is, counted from 0.
    pub position: usize,
    /// How many stages there are: one more than attacks.
    pub stages: usize,
    /// Samples done in this stage.
    pub done: usize,
    /// Samples of this stage. Attacks only concern those classified correctly.
    pub total: usize,
    /// Those of `done` that were classified correctly, or withstood the attack.
    pub standing: usize,
}

/// Told of progress at the start of each stage, after each batch, and now and then inside one.
/// Closures are observers of the first two.
pub trait Observer: Send {
    /// `Break` ends the evaluation with [`AttackError::Stopped`].
    fn progress(&mut self, progress: &Progress<'_>) -> ControlFlow<()>;

    /// Where the batch under attack stands: as each member of an attack made of several begins, else
    /// no more than twenty times a second.
    /// `Break` ends the evaluation at the next look at the classifier.
    fn inside(&mut self, _: &Inside) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(&Progress<'_>) -> ControlFlow<()> + Send> Observer for F {
    fn progress(&mut self, progress: &Progress<'_>) -> ControlFlow<()> {
        self(progress)
    }
}

/// Does not look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn progress(&mut self, _: &Progress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Keeps count for an observer.
pub(super) struct Reporter<'a> {
    observer: &'a mut dyn Observer,
    stages: usize,
    /// Stages begun.
    begun: usize,
    stage: String,
    done: usize,
    total: usize,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(observer: &'a mut dyn Observer, stages: usize) -> Self {
        Self { observer, stages, begun: 0, stage: String::new(), done: 0, total: 0 }
    }

    pub(super) fn stage(&mut self, stage: &str, total: usize) -> Result<()> {
        self.begun += 1;
        (self.stage, self.done, self.total) = (stage.into(), 0, total);
        self.report(0)
    }

    pub(super) fn advance(&mut self, samples: usize, standing: usize) -> Result<()> {
        self.done += samples;
        self.report(standing)
    }

    /// Whom to tell what happens inside a batch.
    pub(super) fn observer(&mut self) -> &mut dyn Observer {
        self.observer
    }

    fn report(&mut self, standing: usize) -> Result<()> {
        let progress = Progress {
            stage: &self.stage,
            position: self.begun - 1,
            stages: self.stages,
            done: self.done,
            total: self.total,
            standing,
        };
        match self.observer.progress(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(AttackError::Stopped),
        }
    }
}

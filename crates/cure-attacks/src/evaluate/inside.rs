//! What an observer is told while a batch is under attack.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cure_network::{Classifier, Linearized, NetworkError, Result};
use cure_tensor::Tensor;

use super::Observer;
use crate::attack::Member;
use crate::error::AttackError;

/// Told no more often than this, so that the telling costs nothing.
const PAUSE: Duration = Duration::from_millis(50);

/// Where an attack stands in its batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Inside {
    /// Images of the batch.
    pub images: usize,
    /// Images sent forward so far, those of all members together.
    pub forward: u64,
    /// For an attack made of several: where it stands among them.
    pub member: Option<Member>,
}

impl Inside {
    /// Images of the batch that are known to be done with: those that members have solved.
    pub fn done(&self) -> usize {
        self.member.as_ref().map_or(0, |member| self.images.saturating_sub(member.standing))
    }
}

/// A classifier that tells an observer what it is asked.
pub(super) struct Watched<'a> {
    classifier: &'a dyn Classifier,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    observer: &'a mut dyn Observer,
    inside: Inside,
    told: Instant,
    is_stopped: bool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(
        classifier: &'a dyn Classifier,
        observer: &'a mut dyn Observer,
        images: usize,
    ) -> Self {
        let inside = Inside { images, forward: 0, member: None };
        Self {
            classifier,
            state: Mutex::new(State { observer, inside, told: Instant::now(), is_stopped: false }),
        }
    }

    /// What an error really is: the classifier fails once the observer has asked to stop.
    pub(super) fn explain(&self, error: AttackError) -> AttackError {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_stopped { AttackError::Stopped } else { error }
    }

    /// A member begins.
    pub(super) fn begin(&self, member: Member) {
        self.tell(true, |inside| inside.member = Some(member));
    }

    fn note(&self, images: &Tensor) -> Result<()> {
        let count = images.shape().first().copied().unwrap_or(0) as u64;
        self.tell(false, |inside| inside.forward += count);
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_stopped { Err(NetworkError::Stopped) } else { Ok(()) }
    }

    fn tell(&self, at_once: bool, change: impl FnOnce(&mut Inside)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { observer, inside, told, is_stopped } = &mut *state;
        change(inside);
        if at_once || told.elapsed() >= PAUSE {
            *told = Instant::now();
            *is_stopped |= observer.inside(inside).is_break();
        }
    }
}

impl Classifier for Watched<'_> {
    fn classes(&self) -> usize {
        self.classifier.classes()
    }

    fn input_shape(&self) -> [usize; 3] {
        self.classifier.input_shape()
    }

    fn is_piecewise_linear(&self) -> bool {
        self.classifier.is_piecewise_linear()
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let logits = self.classifier.logits(images)?;
        self.note(images)?;
        Ok(logits)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        let network = self.classifier.linearize(images)?;
        self.note(images)?;
        Ok(network)
    }
}

//! What an observer is told while a batch is under attack.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cure_network::{Classifier, Linearized, Result};
use cure_tensor::Tensor;

use super::Observer;
use crate::attack::Member;

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
}

impl<'a> Watched<'a> {
    pub(super) fn new(
        classifier: &'a dyn Classifier,
        observer: &'a mut dyn Observer,
        images: usize,
    ) -> Self {
        let inside = Inside { images, forward: 0, member: None };
        Self { classifier, state: Mutex::new(State { observer, inside, told: Instant::now() }) }
    }

    /// A member begins.
    pub(super) fn begin(&self, member: Member) {
        self.tell(true, |inside| inside.member = Some(member));
    }

    fn note(&self, images: &Tensor) {
        let count = images.shape().first().copied().unwrap_or(0) as u64;
        self.tell(false, |inside| inside.forward += count);
    }

    fn tell(&self, at_once: bool, change: impl FnOnce(&mut Inside)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { observer, inside, told } = &mut *state;
        change(inside);
        if at_once || told.elapsed() >= PAUSE {
            *told = Instant::now();
            observer.inside(inside);
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

    fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let logits = self.classifier.logits(images)?;
        self.note(images);
        Ok(logits)
    }

    fn linearize<'a>(&'a self, images: &Tensor) -> Result<Box<dyn Linearized + 'a>> {
        let network = self.classifier.linearize(images)?;
        self.note(images);
        Ok(network)
    }
}

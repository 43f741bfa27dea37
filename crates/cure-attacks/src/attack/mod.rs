//! What an attack is to everything that runs one, and how it is written.

mod spec;

use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;

use crate::adversarial::Adversarial;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::region::Region;
use crate::streams::Streams;
use crate::warning::Warning;

pub use spec::AttackSpec;

/// An attack with its parameters. Shown, it is its complete specification, which reads back as
/// the same attack.
pub trait Attack: fmt::Debug + fmt::Display + Send + Sync {
    /// The name: what stands before the colon.
    fn name(&self) -> &'static str;

    /// The norm that measures its perturbations.
    fn norm(&self) -> Norm;

    /// The radius that its perturbations are judged at; none for a minimal-norm attack that was
    /// given none, which then succeeds at whatever distance.
    fn epsilon(&self) -> Option<Epsilon>;

    /// The same attack at another radius; lengths that are shares of ε follow it.
    fn at(&self, epsilon: Epsilon) -> AttackSpec;

    /// Whether it can run on images of `dimension` = C·H·W pixels and so many classes, where those
    /// are known. (Parsing has checked all that does not need to know them.)
    ///
    /// # Errors
    /// Naming the parameter, what is accepted and the likely meaning.
    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()>;

    /// Where it may perturb its images besides what norm and ε say; none: all pixels, ε for all.
    fn region(&self) -> Option<&Region> {
        None
    }

    /// The same attack in a region of the batch that it will run on.
    ///
    /// # Errors
    /// [`AttackError::NoRegion`] if it cannot be kept in one.
    fn within(&self, _region: Region) -> Result<AttackSpec> {
        Err(AttackError::NoRegion { attack: self.name() })
    }

    /// What is odd about the parameters, though accepted.
    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }

    /// The attacks it is made of, in the order they run; none for an attack of its own.
    ///
    /// # Errors
    /// If one of them is not known or refuses the norm or radius.
    fn members(&self) -> Result<Vec<AttackSpec>> {
        Ok(Vec::new())
    }

    /// Attacks a batch.
    ///
    /// # Shapes
    /// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
    ///
    /// # Errors
    /// If images, labels or indices do not fit the classifier, or [`Attack::check`] refuses.
    fn run(
        &self,
        classifier: &dyn Classifier,
        images: &Tensor,
        labels: &[usize],
        streams: &Streams<'_>,
    ) -> Result<Adversarial>;

    /// As [`Attack::run`]; an attack made of several tells before each of them where it stands.
    ///
    /// # Errors
    /// As [`Attack::run`].
    fn run_telling(
        &self,
        classifier: &dyn Classifier,
        images: &Tensor,
        labels: &[usize],
        streams: &Streams<'_>,
        _tell: &mut dyn FnMut(Member),
    ) -> Result<Adversarial> {
        self.run(classifier, images, labels, streams)
    }
}

/// Where an attack made of several stands: before one of them runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The member's name.
    pub name: &'static str,
    /// Which it is, counted from 0.
    pub position: usize,
    /// How many there are.
    pub members: usize,
    /// Images of the batch that none before it solved.
    pub standing: usize,
}

//! The fast gradient (sign) method, one step of length ε.

use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;

use crate::adversarial::Adversarial;
use crate::attack::{Attack, AttackSpec, Entry, Kind, Knowledge};
use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::loss::Loss;
use crate::parameters::{Parameter, Parameters};
use crate::pgd::{PgdOptions, Start, pgd};
use crate::streams::Streams;

pub(crate) const ENTRY: Entry = Entry {
    name: "fgsm",
    title: "fast gradient (sign) method",
    knowledge: Knowledge::Gradients,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    reference: "Goodfellow et al. 2015",
    cost: "2 forwards, 1 backward",
    parameters: &[
        Parameter::new("norm", "linf", "linf, l2 or l1"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("loss", "ce", "ce, ce-f32, margin or dlr"),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    Ok(AttackSpec::new(FgsmOptions {
        norm: given.or("norm", Norm::Linf)?,
        epsilon: given.epsilon()?,
        loss: given.or("loss", Loss::default())?,
    }))
}

/// The parameters of [`fgsm`].
#[derive(Clone, Debug, PartialEq)]
pub struct FgsmOptions {
    /// The norm of the step.
    pub norm: Norm,
    /// ε, its length in pixels.
    pub epsilon: Epsilon,
    /// What is climbed.
    pub loss: Loss,
}

impl FgsmOptions {
    fn as_pgd(&self) -> PgdOptions {
        PgdOptions {
            steps: 1,
            step: self.epsilon,
            loss: self.loss,
            start: Start::Clean,
            early_stop: false,
            ..PgdOptions::new(self.norm, self.epsilon)
        }
    }
}

impl Attack for FgsmOptions {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn epsilon(&self) -> Option<Epsilon> {
        Some(self.epsilon)
    }

    fn at(&self, epsilon: Epsilon) -> AttackSpec {
        AttackSpec::new(Self { epsilon, ..self.clone() })
    }

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()> {
        self.epsilon.check_within("ε", self.norm, dimension)?;
        self.loss.check(ENTRY.name, classes)
    }

    fn run(
        &self,
        classifier: &dyn Classifier,
        images: &Tensor,
        labels: &[usize],
        _: &Streams<'_>,
    ) -> Result<Adversarial> {
        fgsm(classifier, images, labels, self)
    }
}

impl fmt::Display for FgsmOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "fgsm:norm={},eps={}", self.norm, self.epsilon.notation())?;
        self.loss.write_unless_default(out)
    }
}

/// One step of length ε up the loss: x + ε·sign(∇ℓ) in ℓ∞ (Goodfellow et al. 2015), x + ε·g/‖g‖ in
/// ℓ2 and ℓ1, clipped to [0, 1]. [`pgd`] with one step from the clean image; an image that is
/// misclassified already is kept only if its loss is higher.
///
/// Cost: two forwards, one backward.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels`: `N`.
///
/// # Errors
/// If images or labels do not fit the classifier, or ε is larger than the pixel range.
pub fn fgsm(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &FgsmOptions,
) -> Result<Adversarial> {
    // Nothing is random here: any indices do.
    let indices: Vec<usize> = (0..labels.len()).collect();
    pgd(classifier, images, labels, &options.as_pgd(), &Streams::new(0, &indices))
}

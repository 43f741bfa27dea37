//! The fast gradient (sign) method, one step of length ε.

use std::fmt;

use cure_network::Classifier;
use cure_tensor::Tensor;

use crate::adversarial::Adversarial;
use crate::attack::{Attack, AttackSpec};
use crate::epsilon::{Epsilon, Norm};
use crate::error::Result;
use crate::loss::Loss;
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::pgd::{PgdOptions, Start, pgd};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};
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
    let default = FgsmOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    Ok(AttackSpec::new(FgsmOptions { loss: given.or("loss", default.loss)?, ..default }))
}

/// The parameters of [`fgsm`]. The defaults are those of [`FgsmOptions::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct FgsmOptions {
    /// The norm of the step.
    pub norm: Norm,
    /// ε, its length in pixels.
    pub epsilon: Epsilon,
    /// What is climbed.
    pub loss: Loss,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl FgsmOptions {
    /// The defaults at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self { norm, epsilon, loss: Loss::default(), region: None }
    }

    fn as_pgd(&self) -> PgdOptions {
        PgdOptions {
            steps: 1,
            step: self.epsilon,
            loss: self.loss,
            start: Start::Clean,
            early_stop: false,
            region: self.region.clone(),
            ..PgdOptions::new(self.norm, self.epsilon)
        }
    }
}

impl Attack for FgsmOptions {
    usual!(fgsm: name, norm, epsilon, at, region);

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

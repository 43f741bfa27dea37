use std::fmt;

use serde::{Serialize, Serializer};

/// Something that makes a robust accuracy mean less than it says. Shown to the user and written
/// into the results, as one sentence each.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// One step leaves the ball: the iterates jump between its borders.
    StepLargerThanEpsilon {
        /// The attack's specification.
        attack: String,
    },
    /// All steps together are shorter than ε.
    OutOfReach {
        /// The attack's specification.
        attack: String,
    },
    /// The gradient vanished: the attack was blind there.
    ZeroGradient {
        /// The attack's specification.
        attack: String,
        /// Samples with a zero gradient at some iterate.
        samples: usize,
        /// Samples attacked.
        attacked: usize,
    },
    /// A gradient was NaN or infinite: no step was taken there.
    NonFiniteGradient {
        /// The attack's specification.
        attack: String,
        /// Samples with such a gradient at some iterate.
        samples: usize,
        /// Samples attacked.
        attacked: usize,
    },
    /// Samples that no attack found and no gradient was there to attack with.
    Undecided {
        /// The attack's specification.
        attack: String,
        /// How many.
        samples: usize,
        /// Samples attacked.
        attacked: usize,
    },
    /// Logits were NaN or infinite.
    NonFiniteLogits {
        /// The attack's specification, or `clean`.
        stage: String,
        /// Samples concerned.
        samples: usize,
        /// Samples classified.
        of: usize,
    },
    /// The same logits for every image: the classifier ignores its input.
    ConstantLogits {
        /// Images classified.
        samples: usize,
    },
    /// The largest logit is shared by several classes; the first of them counts.
    TiedLogits {
        /// Images concerned.
        samples: usize,
        /// Images classified.
        of: usize,
    },
    /// Within one attack, a member that sees logits alone solved what members that follow gradients
    /// had left standing.
    GradientMasking {
        /// The attack's specification.
        attack: String,
        /// The member's name.
        member: String,
        /// Samples it solved.
        samples: usize,
        /// All samples.
        of: usize,
    },
    /// A second look at the same image gave another class.
    Unconfirmed {
        /// The attack's specification.
        attack: String,
        /// Samples concerned.
        samples: usize,
    },
    /// The classifier ends in a softmax.
    Probabilities {
        /// Images looked at; all of them gave probabilities.
        samples: usize,
    },
    /// The same images gave other logits when asked again.
    NonDeterministic {
        /// How often they were looked at.
        runs: usize,
        /// The largest difference of a logit; infinite where it was finite in some runs only.
        difference: f64,
    },
    /// The gradient of the cross-entropy is zero at clean images.
    VanishingGradient {
        /// Images concerned.
        samples: usize,
        /// Images looked at.
        of: usize,
    },
    /// The gradient of the cross-entropy is NaN or infinite at clean images.
    UnusableGradient {
        /// Images concerned.
        samples: usize,
        /// Images looked at.
        of: usize,
    },
    /// The label's probability rounds to 1 in single precision.
    SaturatedSoftmax {
        /// Images concerned.
        samples: usize,
        /// Images looked at.
        of: usize,
    },
    /// Fewer than four classes.
    FewClasses {
        /// How many.
        classes: usize,
    },
    /// An attack without gradients found what one with gradients did not.
    MaskedGradients {
        /// The specification of the attack without gradients.
        free: String,
        /// That of the attack with gradients.
        based: String,
        /// Samples that only the first fooled.
        samples: usize,
        /// All samples.
        of: usize,
    },
    /// PGD leaves another accuracy when it starts at random points.
    StartMatters {
        /// The specification with a random start.
        random: String,
        /// The one without.
        clean: String,
        /// By how many points of robust accuracy they differ.
        points: f64,
    },
    /// A larger ε left as much as a smaller one.
    NotFalling {
        /// The specification with the smaller ε.
        smaller: String,
        /// The one with the larger.
        larger: String,
        /// Samples robust at the smaller ε.
        before: usize,
        /// Samples robust at the larger one.
        after: usize,
    },
    /// More than chance is left where every image could be made the same grey one.
    RobustWhenGrey {
        /// Samples that withstood all attacks of at least 0.5 in ℓ∞.
        robust: usize,
        /// All samples.
        of: usize,
    },
    /// The device had too little memory for whole batches. Results are the same.
    SmallerBatches {
        /// Images a batch, as asked for.
        asked: usize,
        /// Images that were taken at a time in the end.
        taken: usize,
    },
    /// The loss had not stopped rising when the steps ran out.
    StillRising {
        /// The attack's specification.
        attack: String,
        /// By how many percent the mean best loss rose over the last tenth of the steps.
        percent: f64,
    },
}

impl Warning {
    /// Whether it is about what several attacks, or one at several ε, say of each other.
    pub(crate) fn compares_attacks(&self) -> bool {
        matches!(
            self,
            Self::MaskedGradients { .. }
                | Self::StartMatters { .. }
                | Self::NotFalling { .. }
                | Self::RobustWhenGrey { .. }
        )
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StepLargerThanEpsilon { attack } => {
                write!(out, "{attack}: the step is larger than ε; ε/4 is usual")
            }
            Self::OutOfReach { attack } => write!(
                out,
                "{attack}: all steps together are shorter than ε; take more or longer ones"
            ),
            Self::ZeroGradient { attack, samples, attacked } => write!(
                out,
                "{attack}: zero gradient on {samples} of {attacked} attacked samples; an attack \
                 without gradients is needed there"
            ),
            Self::NonFiniteGradient { attack, samples, attacked } => write!(
                out,
                "{attack}: NaN or infinite gradient on {samples} of {attacked} attacked samples"
            ),
            Self::Undecided { attack, samples, attacked } => write!(
                out,
                "{attack}: {samples} of {attacked} attacked samples never showed a direction: \
                 no usable gradient, or no query that changed anything; they are not counted as \
                 robust"
            ),
            Self::NonFiniteLogits { stage, samples, of } => write!(
                out,
                "{stage}: NaN or infinite logits on {samples} of {of} samples; they are not \
                 counted as robust"
            ),
            Self::ConstantLogits { samples } => write!(
                out,
                "constant logits: the same for all {samples} images; the network ignores its input"
            ),
            Self::TiedLogits { samples, of } => write!(
                out,
                "the largest logit is shared by several classes on {samples} of {of} images; the \
                 first of them counts"
            ),
            Self::GradientMasking { attack, member, samples, of } => write!(
                out,
                "{attack}: {member}, which sees logits alone, solved {samples} of {of} samples that \
                 attacks with gradients left standing: the gradients may be masked"
            ),
            Self::Unconfirmed { attack, samples } => write!(
                out,
                "{attack}: a fresh forward pass contradicts the attack on {samples} samples; the \
                 network is not deterministic"
            ),
            Self::Probabilities { samples } => write!(
                out,
                "the network gives probabilities, not logits (all {samples} rows looked at are \
                 non-negative and sum to 1); take the softmax off, it hides the gradient"
            ),
            Self::NonDeterministic { runs, difference } => write!(
                out,
                "the network is not deterministic: logits of the same images differ by \
                 {difference:.1e} between {runs} runs; switch off what is random, or attack its mean"
            ),
            Self::VanishingGradient { samples, of } => write!(
                out,
                "the gradient of the cross-entropy is zero at {samples} of {of} clean images; use \
                 loss=margin or dlr and an attack without gradients"
            ),
            Self::UnusableGradient { samples, of } => write!(
                out,
                "the gradient of the cross-entropy is NaN or infinite at {samples} of {of} clean \
                 images; mend the network, or use an attack without gradients"
            ),
            Self::SaturatedSoftmax { samples, of } => write!(
                out,
                "the softmax is saturated: in single precision loss and gradient vanish at {samples} \
                 of {of} clean images; use loss=margin or dlr"
            ),
            Self::FewClasses { classes } => write!(
                out,
                "the network has {classes} classes, the DLR loss needs 3 and its targeted form 4; \
                 use loss=margin or ce"
            ),
            Self::MaskedGradients { free, based, samples, of } => write!(
                out,
                "{free}: without gradients it fools {samples} of {of} samples that {based} does not; \
                 gradients may be masked, so do not trust the latter: try other losses, more steps \
                 and restarts"
            ),
            Self::StartMatters { random, clean, points } => write!(
                out,
                "{random}: its robust accuracy differs by {points:.1} points from that of {clean}; \
                 gradients may be masked near the images: use restarts and an attack without \
                 gradients"
            ),
            Self::NotFalling { smaller, larger, before, after } => write!(
                out,
                "{larger}: {after} samples are robust, no fewer than the {before} of {smaller}; \
                 gradients may be masked: use an attack without gradients, or more samples"
            ),
            Self::RobustWhenGrey { robust, of } => write!(
                out,
                "{robust} of {of} samples withstand all attacks of ε ≥ 0.5 in ℓ∞, more than chance, \
                 though every image could be made the same grey one; the attacks fail: use stronger \
                 ones"
            ),
            Self::SmallerBatches { asked, taken } => write!(
                out,
                "the device has too little memory for batches of {asked}; {taken} images were taken at a \
                 time, to the same results"
            ),
            Self::StillRising { attack, percent } => write!(
                out,
                "{attack}: the mean loss still rose by {percent:.1} % over the last tenth of the \
                 steps; take more steps"
            ),
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

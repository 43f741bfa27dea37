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
                "{attack}: {samples} of {attacked} attacked samples never had a usable gradient; \
                 they are not counted as robust"
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
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

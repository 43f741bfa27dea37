use std::path::PathBuf;

use cure_network::NetworkError;
use cure_tensor::TensorError;
use thiserror::Error;

/// Why an attack or an evaluation was refused or ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttackError {
    /// The classifier failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A tensor operation refused its arguments.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A text or number that is no length in pixels.
    #[error("`{text}` is not accepted: {reason}")]
    Length {
        /// What was given.
        text: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A length that leaves the pixel range altogether.
    #[error("{name} = {value} is larger than {range}; {remedy}")]
    LargerThanRange {
        /// ε or step.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The range it exceeds, in words.
        range: String,
        /// The likely meaning.
        remedy: String,
    },
    /// A name that is no norm.
    #[error("unknown norm `{name}`; known are linf, l2 and l1{hint}")]
    UnknownNorm {
        /// The name given.
        name: String,
        /// A suggestion, or nothing.
        hint: String,
    },
    /// A name that is no attack.
    #[error("unknown attack `{name}`; known are {known}{hint}")]
    UnknownAttack {
        /// The name given.
        name: String,
        /// The accepted names.
        known: String,
        /// A suggestion, or nothing.
        hint: String,
    },
    /// A parameter the attack does not have.
    #[error("{attack} has no parameter `{name}`; accepted are {accepted}{hint}")]
    UnknownParameter {
        /// The attack.
        attack: &'static str,
        /// The name given.
        name: String,
        /// The accepted names.
        accepted: String,
        /// A suggestion, or nothing.
        hint: String,
    },
    /// A budget attack without a budget.
    #[error("{attack}: eps must be given; write {attack}:eps=8/255")]
    NoEpsilon {
        /// The attack.
        attack: &'static str,
    },
    /// A parameter whose value the attack does not take.
    #[error("{attack}: {parameter} = `{value}` is not accepted: {reason}")]
    Parameter {
        /// The attack.
        attack: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// The value given.
        value: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// A region that is not one of the images.
    #[error("region: {value} is not accepted: {reason}")]
    Region {
        /// What was given.
        value: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// An attack that cannot be kept to some pixels or to radii of single samples.
    #[error("{attack} knows neither masks nor budgets; leave them out, or the attack")]
    NoRegion {
        /// The attack.
        attack: &'static str,
    },
    /// A pixel that is NaN or outside [0, 1].
    #[error(
        "pixel {value} in image {sample}; pixels must be in [0, 1] (found {found}): scale the \
         images, and leave normalisation to the network"
    )]
    Pixel {
        /// The first image concerned, counted from 0.
        sample: usize,
        /// The first value refused.
        value: f32,
        /// Smallest and largest value of all images.
        found: String,
    },
    /// A label that is no class.
    #[error("label {label} of image {sample} is no class; the network's are 0 to {largest}")]
    Label {
        /// The first image concerned, counted from 0.
        sample: usize,
        /// Its label.
        label: usize,
        /// The largest label accepted.
        largest: usize,
    },
    /// Numbers of things that belong together differ.
    #[error("{count} {what} for {images} images; there must be one for each")]
    Count {
        /// Labels or indices.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many images.
        images: usize,
    },
    /// An evaluation of nothing.
    #[error("there is no image to evaluate; at least one is needed")]
    Empty,
    /// A batch size of 0.
    #[error("batch = 0 is not accepted; it must be at least 1")]
    Batch,
    /// A text that is no shard.
    #[error("shard `{text}`: accepted is I/N with I from 1 to N, as 2/8")]
    Shard {
        /// The text given.
        text: String,
    },
    /// A journal that cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The observer asked to stop.
    #[error("stopped before the evaluation was complete")]
    Stopped,
}

cure_tensor::out_of_memory!(AttackError: Network, Tensor);

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, AttackError>;

/// `; did you mean …?` for the nearest of `known`, when one is near.
pub fn hint(name: &str, known: &[&str]) -> String {
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        // Up to half of the letters: far enough for `linf` from `inf`, not for `l2`.
        .filter(|&(distance, known)| 2 * distance <= known.len())
        .map(|(_, known)| format!("; did you mean `{known}`?"))
        .unwrap_or_default()
}

//! The architectures, by name.
//!
//! `resnet20`, `32`, `44`, `56`, `110` (option-A shortcuts) and the same with `-conv`
//! (convolution shortcuts); `resnet18`; `preact18`; `wrn-D-K`; `resnet2b`; `mlp`; `cnn`. A
//! smooth activation is asked for with a suffix: `resnet20+softplus`, `+softplus=10`, `+silu`,
//! `+gelu`.

mod preactivation;
mod residual;
mod small;

use cure_tensor::ops::Activation;
use serde::{Deserialize, Serialize};

use crate::error::{NetworkError, Result};
use crate::layout::Layout;

/// How a residual block's shortcut changes the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcut {
    /// Option A of He et al.: every second pixel, new channels zero; no parameters.
    Subsample,
    /// Option B: a strided 1×1 convolution and BatchNorm.
    Convolution,
}

/// The kind of a network with its sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Family {
    /// Fully connected layers of these widths.
    Perceptron {
        /// Widths of the hidden layers.
        hidden: Vec<usize>,
    },
    /// Two convolutions and two linear layers.
    Convolutional {
        /// Channels of the first convolution.
        width: usize,
    },
    /// Residual network of basic blocks.
    Residual {
        /// Channels of each stage.
        widths: Vec<usize>,
        /// Blocks of each stage.
        blocks: Vec<usize>,
        /// Shortcut where the shape changes.
        shortcut: Shortcut,
    },
    /// Pre-activation residual network.
    PreActivation {
        /// Channels of each stage.
        widths: Vec<usize>,
        /// Blocks of each stage.
        blocks: Vec<usize>,
    },
    /// Wide residual network WRN-depth-widen.
    Wide {
        /// Depth, 6n + 4.
        depth: usize,
        /// Widening factor.
        widen: usize,
    },
    /// The `resnet2b` of the α,β-CROWN benchmarks.
    ResNet2b,
}

/// Everything that decides the layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The kind and its sizes.
    pub family: Family,
    /// The non-linearity between layers.
    pub activation: Activation,
    /// Number of classes.
    pub classes: usize,
    /// Channels, height and width of an image.
    pub input: [usize; 3],
}

const KNOWN: &str = "resnet20, resnet32, resnet44, resnet56, resnet110 (add -conv for convolution \
    shortcuts), resnet18, preact18, wrn-28-10 (any wrn-D-K), resnet2b, mlp, cnn; \
    add +softplus, +silu or +gelu for a smooth activation";

/// Names that a mistyped one is compared with.
const EXAMPLES: [&str; 12] = [
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "resnet20-conv",
    "resnet18",
    "preact18",
    "wrn-28-10",
    "resnet2b",
    "mlp",
    "cnn",
];

impl Architecture {
    /// The architecture called `name` for `classes` classes and images of `input` (channels,
    /// height, width).
    ///
    /// # Errors
    /// [`NetworkError::UnknownArchitecture`] with the known names, or
    /// [`NetworkError::Architecture`] if the sizes make no network.
    pub fn named(name: &str, classes: usize, input: [usize; 3]) -> Result<Self> {
        let (base, activation) = match name.split_once('+') {
            Some((base, suffix)) => (base, parse_activation(name, suffix)?),
            None => (name, Activation::Relu),
        };
        let family = parse_family(base).ok_or_else(|| unknown(name, base))?;
        let architecture = Self { family, activation, classes, input };
        architecture.check()?;
        Ok(architecture)
    }

    /// The name that [`Architecture::named`] understands; sizes that no name stands for are
    /// shown in brackets.
    pub fn name(&self) -> String {
        let base = match &self.family {
            Family::Perceptron { hidden } if hidden[..] == [128, 64] => "mlp".into(),
            Family::Perceptron { hidden } => format!("mlp{hidden:?}"),
            Family::Convolutional { width: 16 } => "cnn".into(),
            Family::Convolutional { width } => format!("cnn[{width}]"),
            Family::Residual { widths, blocks, shortcut } => {
                let suffix = if *shortcut == Shortcut::Convolution { "-conv" } else { "" };
                let depth = 2 + 2 * blocks.iter().sum::<usize>();
                match (&widths[..], &blocks[..]) {
                    ([64, 128, 256, 512], [2, 2, 2, 2]) => "resnet18".into(),
                    ([16, 32, 64], [a, b, c]) if a == b && b == c => {
                        format!("resnet{depth}{suffix}")
                    }
                    _ => format!("resnet{depth}{suffix}{widths:?}"),
                }
            }
            Family::PreActivation { widths, blocks } => match (&widths[..], &blocks[..]) {
                ([64, 128, 256, 512], [2, 2, 2, 2]) => "preact18".into(),
                _ => format!("preact{blocks:?}{widths:?}"),
            },
            Family::Wide { depth, widen } => format!("wrn-{depth}-{widen}"),
            Family::ResNet2b => "resnet2b".into(),
        };
        match self.activation {
            Activation::Relu => base,
            Activation::Softplus { beta } => format!("{base}+softplus={beta}"),
            Activation::Silu => format!("{base}+silu"),
            Activation::Gelu => format!("{base}+gelu"),
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |reason: String| Err(NetworkError::Architecture { name: self.name(), reason });
        if self.classes < 2 {
            return refuse(format!("{} classes; at least 2 are needed", self.classes));
        }
        if self.input.contains(&0) {
            return refuse(format!("images of {:?} are empty", self.input));
        }
        if self.family == Family::ResNet2b && self.input != [3, 32, 32] {
            return refuse(format!("takes images of [3, 32, 32], not {:?}", self.input));
        }
        if self.classes > 1_000_000 || self.input.iter().any(|&side| side > 4096) {
            let (classes, input) = (self.classes, self.input);
            return refuse(format!(
                "{classes} classes of images {input:?}; accepted are 1,000,000 classes, 4096 a side"
            ));
        }
        if let Family::Wide { depth, widen } = self.family
            && (!(10..=1000).contains(&depth)
                || !(depth - 4).is_multiple_of(6)
                || !(1..=64).contains(&widen))
        {
            return refuse("the depth is 6n + 4 from 10 to 1000, the width 1 to 64".into());
        }
        Ok(())
    }

    pub(crate) fn layout(&self) -> Layout {
        let mut layout = Layout::new(self.input);
        let (activation, classes) = (self.activation, self.classes);
        match &self.family {
            Family::Perceptron { hidden } => {
                small::perceptron(&mut layout, hidden, activation, classes);
            }
            Family::Convolutional { width } => {
                small::convolutional(&mut layout, *width, activation, classes);
            }
            Family::Residual { widths, blocks, shortcut } => {
                residual::build(&mut layout, widths, blocks, *shortcut, activation, classes);
            }
            Family::PreActivation { widths, blocks } => {
                let names = &preactivation::PREACT;
                let stem = widths[0];
                preactivation::build(&mut layout, names, stem, widths, blocks, activation, classes);
            }
            Family::Wide { depth, widen } => {
                let widths = [16 * widen, 32 * widen, 64 * widen];
                let blocks = [(depth - 4) / 6; 3];
                let names = &preactivation::WIDE;
                preactivation::build(&mut layout, names, 16, &widths, &blocks, activation, classes);
            }
            Family::ResNet2b => small::resnet2b(&mut layout, activation, classes),
        }
        layout
    }
}

fn parse_family(base: &str) -> Option<Family> {
    match base {
        "mlp" => return Some(Family::Perceptron { hidden: vec![128, 64] }),
        "cnn" => return Some(Family::Convolutional { width: 16 }),
        "resnet2b" => return Some(Family::ResNet2b),
        "resnet18" => {
            return Some(Family::Residual {
                widths: vec![64, 128, 256, 512],
                blocks: vec![2; 4],
                shortcut: Shortcut::Convolution,
            });
        }
        "preact18" | "preactresnet18" | "preact-resnet18" => {
            return Some(Family::PreActivation {
                widths: vec![64, 128, 256, 512],
                blocks: vec![2; 4],
            });
        }
        _ => {}
    }
    if let Some(rest) = base.strip_prefix("wrn-") {
        let (depth, widen) = rest.split_once('-')?;
        return Some(Family::Wide { depth: depth.parse().ok()?, widen: widen.parse().ok()? });
    }
    let rest = base.strip_prefix("resnet")?;
    let (depth, shortcut) = match rest.strip_suffix("-conv") {
        Some(depth) => (depth, Shortcut::Convolution),
        None => (rest, Shortcut::Subsample),
    };
    let depth: usize = depth.parse().ok()?;
    // He et al.'s CIFAR networks have depth 6n + 2.
    ((8..=1202).contains(&depth) && (depth - 2).is_multiple_of(6)).then(|| Family::Residual {
        widths: vec![16, 32, 64],
        blocks: vec![(depth - 2) / 6; 3],
        shortcut,
    })
}

fn parse_activation(name: &str, suffix: &str) -> Result<Activation> {
    let refuse = |reason: String| NetworkError::Architecture { name: name.into(), reason };
    match suffix.split_once('=') {
        None if suffix == "relu" => Ok(Activation::Relu),
        None if suffix == "silu" => Ok(Activation::Silu),
        None if suffix == "gelu" => Ok(Activation::Gelu),
        None if suffix == "softplus" => Ok(Activation::Softplus { beta: 10.0 }),
        Some(("softplus", beta)) => match beta.parse::<f32>() {
            Ok(beta) if beta > 0.0 && beta.is_finite() => Ok(Activation::Softplus { beta }),
            _ => Err(refuse(format!("softplus takes a number over 0, not `{beta}`"))),
        },
        _ => Err(refuse(format!(
            "unknown activation `{suffix}`; known are relu, softplus, softplus=β, silu, gelu"
        ))),
    }
}

fn unknown(name: &str, base: &str) -> NetworkError {
    let nearest = EXAMPLES
        .iter()
        .map(|known| (distance(base, known), known))
        .min()
        .filter(|&(distance, known)| distance <= 3 && 3 * distance <= known.len());
    NetworkError::UnknownArchitecture {
        name: name.into(),
        known: KNOWN.into(),
        hint: nearest.map(|(_, known)| format!("; did you mean `{known}`?")).unwrap_or_default(),
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in EXAMPLES.iter().copied().chain(["resnet20-conv+softplus=4", "wrn-16-4+gelu"]) {
            assert_eq!(Architecture::named(name, 10, [3, 32, 32]).unwrap().name(), name);
        }
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        // He et al., table 6 (0.27M, 0.46M, 0.66M, 0.85M, 1.7M); the public CIFAR ResNet-18 and the
        // PreActResNet-18 with a final BatchNorm, 11.17M; Zagoruyko & Komodakis, table 4:
        // WRN-28-10 36.5M.
        for (name, expected) in [
            ("resnet20", 269_722),
            ("resnet32", 464_154),
            ("resnet110", 1_727_962),
            ("resnet18", 11_173_962),
            ("preact18", 11_172_170),
            ("wrn-28-10", 36_479_194),
        ] {
            let layout = Architecture::named(name, 10, [3, 32, 32]).unwrap().layout();
            let trained = layout.parameters.iter().filter(|spec| spec.role.is_trained());
            let count: usize = trained.map(|spec| spec.shape.iter().product::<usize>()).sum();
            assert_eq!(count, expected, "{name}");
        }
    }

    #[test]
    fn refusals_say_what_is_known() {
        let error = Architecture::named("resnet21", 10, [3, 32, 32]).unwrap_err().to_string();
        assert!(error.contains("did you mean `resnet20`"), "{error}");
        assert!(Architecture::named("wrn-27-10", 10, [3, 32, 32]).is_err());
        assert!(Architecture::named("resnet20+tanh", 10, [3, 32, 32]).is_err());
        assert!(Architecture::named("resnet20", 1, [3, 32, 32]).is_err());
    }
}

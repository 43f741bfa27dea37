//! The names that public code bases give to the parameters of the same networks, in ours.

use std::collections::HashMap;

use cure_tensor::Tensor;

use super::{NamedTensors, Result, WeightFile, WeightsError};

/// A weights file in our names, what is no parameter set aside.
#[derive(Debug, Clone)]
pub struct Canonical {
    /// Parameters and running statistics under our names, in the file's order.
    pub tensors: Vec<(String, Tensor)>,
    /// The input normalisation that was saved as a layer before the network.
    pub normalization: Option<NormalizationHint>,
    /// Names in the file that are of no use here: `num_batches_tracked` and copies of the network.
    pub dropped: Vec<String>,
}

/// An input normalisation found among the tensors: the network sees `(pixel − mean) / std`.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalizationHint {
    /// One value a channel, or one for all.
    pub mean: Vec<f32>,
    /// As many.
    pub std: Vec<f32>,
}

/// Layers' attributes that hold a mean, and beside them those that hold the standard deviation.
const MEAN_AND_STD: &[(&str, &str)] = &[
    ("mean", "std"),
    ("mu", "sigma"),
    ("means", "stds"),
    ("means", "sds"),
    ("_mean", "_std"),
    ("new_mean", "new_std"),
];

/// Attributes under which public code keeps the network itself. A number is a place in a
/// `Sequential`.
const WRAPPERS: &[&str] =
    &["module", "model", "_orig_mod", "net", "network", "backbone", "base_model", "resnet", "wrn"];

/// The tensors of `file` under our names. A file that `cure` wrote has them already.
///
/// # Errors
/// [`WeightsError::Ambiguous`] if two names of the file mean the same parameter;
/// [`WeightsError::Normalization`] if a saved normalisation divides by zero.
pub fn canonical(file: &WeightFile) -> Result<Canonical> {
    let mut tensors = file.tensors.clone();
    let mut dropped = Vec::new();
    if file.metadata.as_ref().is_some_and(|metadata| metadata.architecture.is_some()) {
        return Ok(Canonical { tensors, normalization: None, dropped });
    }
    drop_where(&mut tensors, &mut dropped, |name| {
        // The robustness library saves the network again inside its attacker, TRADES' WRN its
        // first group.
        name.ends_with("num_batches_tracked")
            || strip_component(name, &["module"]).starts_with("attacker.")
            || strip_component(name, &["module"]).starts_with("sub_block1.")
    });
    let mut normalization = None;
    loop {
        let found = extract_normalization(&mut tensors)?;
        let unwrapped = strip_common_wrapper(&mut tensors);
        if found.is_none() && !unwrapped {
            break;
        }
        normalization = found.or(normalization);
    }
    let layout = Layout::of(&tensors);
    let mut origin: HashMap<String, String> = HashMap::new();
    for (name, _) in &mut tensors {
        let ours = layout.translate(name);
        if let Some(first) = origin.insert(ours.clone(), name.clone()) {
            return Err(WeightsError::Ambiguous { first, second: name.clone(), name: ours });
        }
        *name = ours;
    }
    Ok(Canonical { tensors, normalization, dropped })
}

fn drop_where(
    tensors: &mut NamedTensors,
    dropped: &mut Vec<String>,
    useless: impl Fn(&str) -> bool,
) {
    tensors.retain(|(name, _)| {
        let keep = !useless(name);
        if !keep {
            dropped.push(name.clone());
        }
        keep
    });
}

fn strip_component<'a>(name: &'a str, components: &[&str]) -> &'a str {
    match name.split_once('.') {
        Some((first, rest)) if components.contains(&first) => rest,
        _ => name,
    }
}

/// Takes a mean and a standard deviation that lie beside each other out of the tensors.
fn extract_normalization(tensors: &mut NamedTensors) -> Result<Option<NormalizationHint>> {
    // One value a channel, whatever ones are around it: [3], [1, 3, 1, 1], [].
    let per_channel = |tensor: &Tensor| (1..=4).contains(&tensor.len());
    for &(mean_name, std_name) in MEAN_AND_STD {
        let mean = tensors.iter().position(|(name, tensor)| {
            name.rsplit('.').next() == Some(mean_name) && per_channel(tensor)
        });
        let Some(mean) = mean else { continue };
        let prefix = tensors[mean].0.strip_suffix(mean_name).unwrap_or_default();
        let std_key = format!("{prefix}{std_name}");
        let count = tensors[mean].1.len();
        let std = tensors.iter().position(|(name, std)| *name == std_key && std.len() == count);
        let Some(std) = std else { continue };
        let values = |at: usize| tensors[at].1.host().into_owned();
        let hint = NormalizationHint { mean: values(mean), std: values(std) };
        if !hint.std.iter().all(|&std| std.is_finite() && std > 0.0) {
            return Err(WeightsError::Normalization { name: std_key, values: hint.std });
        }
        for at in [mean.max(std), mean.min(std)] {
            tensors.remove(at);
        }
        return Ok(Some(hint));
    }
    Ok(None)
}

/// Removes the first component of every name where it is the same wrapper in all of them.
fn strip_common_wrapper(tensors: &mut NamedTensors) -> bool {
    let component = |name: &str| {
        let (first, rest) = name.split_once('.')?;
        let wrapper = WRAPPERS.contains(&first) || first.bytes().all(|byte| byte.is_ascii_digit());
        // What remains has to be a layer's attribute still: `0.weight` is a layer, not a wrapper.
        (wrapper && rest.contains('.')).then(|| first.to_owned())
    };
    let Some(first) = tensors.first().and_then(|(name, _)| component(name)) else { return false };
    if !tensors.iter().all(|(name, _)| component(name).as_deref() == Some(&first)) {
        return false;
    }
    for (name, _) in tensors {
        name.drain(..=first.len());
    }
    true
}

/// Whose names a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// A residual network: ours but for `downsample` and `fc`.
    Residual,
    /// The same, BatchNorm before each convolution.
    PreActivation,
    /// A wide residual network under the names of a pre-activation one.
    WideAsStages,
    /// A wide residual network: ours but for `linear`.
    Wide,
    /// weiaicunzai's `pytorch-cifar100`.
    ResidualFunctions,
    /// Anything else stays as it is.
    Other,
}

/// Names of the last, linear layer.
const CLASSIFIERS: &[&str] = &["linear", "fc", "classifier", "head"];

impl Layout {
    fn of(tensors: &[(String, Tensor)]) -> Self {
        let shape = |key: &str| {
            tensors.iter().find(|(name, _)| name == key).map(|(_, tensor)| tensor.shape())
        };
        if shape("block1.layer.0.conv1.weight").is_some() {
            return Self::Wide;
        }
        if shape("conv2_x.0.residual_function.0.weight").is_some() {
            return Self::ResidualFunctions;
        }
        // The first block of the second stage changes the channels: the size of its first
        // BatchNorm tells on which side of the convolution it stands.
        let norm = shape("layer2.0.bn1.weight");
        let convolution = shape("layer2.0.conv1.weight");
        match (norm, convolution) {
            (Some(&[norm]), Some(&[output, input, ..])) if norm == input && norm != output => {
                let four = shape("layer4.0.conv1.weight").is_some();
                if four { Self::PreActivation } else { Self::WideAsStages }
            }
            (Some(_), Some(_)) => Self::Residual,
            _ => Self::Other,
        }
    }

    fn translate(self, name: &str) -> String {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let is_classifier = CLASSIFIERS.contains(&first);
        match self {
            Self::Other => name.to_owned(),
            Self::Wide if is_classifier => format!("fc.{rest}"),
            Self::Wide => name.replace(".shortcut.0.", ".convShortcut."),
            Self::WideAsStages if is_classifier => format!("fc.{rest}"),
            Self::WideAsStages if first == "bn" => format!("bn1.{rest}"),
            Self::WideAsStages => match first.strip_prefix("layer") {
                Some(stage) => format!("block{stage}.layer.{rest}")
                    .replace(".shortcut.0.", ".convShortcut.")
                    .replace(".downsample.0.", ".convShortcut."),
                None => name.to_owned(),
            },
            Self::Residual | Self::PreActivation if is_classifier => format!("linear.{rest}"),
            Self::PreActivation if first == "bn1" => format!("bn.{rest}"),
            Self::Residual | Self::PreActivation => name
                .replace(".downsample.", ".shortcut.")
                .replace(".shortcut.conv.", ".shortcut.0.")
                .replace(".shortcut.bn.", ".shortcut.1."),
            Self::ResidualFunctions => residual_function_name(name, first, rest),
        }
    }
}

/// `conv3_x.1.residual_function.4.bias` → `layer2.1.bn2.bias`.
fn residual_function_name(name: &str, first: &str, rest: &str) -> String {
    if CLASSIFIERS.contains(&first) {
        return format!("linear.{rest}");
    }
    if let Some((layer @ ("0" | "1"), attribute)) = rest.split_once('.')
        && first == "conv1"
    {
        return format!("{}.{attribute}", if layer == "0" { "conv1" } else { "bn1" });
    }
    let stage = first.strip_prefix("conv").and_then(|first| first.strip_suffix("_x"));
    let Some(stage @ 2..=5) = stage.and_then(|stage| stage.parse::<usize>().ok()) else {
        return name.to_owned();
    };
    let rest = rest
        .replace(".residual_function.0.", ".conv1.")
        .replace(".residual_function.1.", ".bn1.")
        .replace(".residual_function.3.", ".conv2.")
        .replace(".residual_function.4.", ".bn2.");
    format!("layer{}.{rest}", stage - 1)
}

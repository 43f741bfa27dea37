//! `cure derivatives`: everything CURE's gradient is made of, for checking us against anything
//! else.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_network::Scale;
use cure_network::weights::Metadata;
use cure_tensor::Tensor;
use cure_training::{BatchNormMode, CureOptions, Direction, SampleStreams, derivatives};

use crate::arguments::{DataArguments, General, ModelArguments};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::{check_outputs, print};

#[derive(Args, Debug)]
#[command(after_help = "\
The file holds, per sample: logits, loss, input_gradient, direction, perturbed, perturbed_gradient,
regularizer; and, as means over the batch: loss_gradient/NAME, regularizer_gradient/NAME for every
trained parameter. BatchNorm uses its running statistics throughout. Gradients are with respect to
pixels in [0, 1]; h and the regulariser are in the scale of --scale.")]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// Length of the step to the second point.
    #[arg(long, default_value_t = 1.5)]
    h: f64,
    /// Scale of h and of the regulariser: pixel, pixel255 or normalized.
    #[arg(long, default_value = "pixel")]
    scale: String,
    /// Whether the regulariser is ‖Δg‖² (true) or ‖Δg‖ (false).
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    squared: bool,
    /// The direction z: sign, gradient or gaussian.
    #[arg(long, default_value = "sign")]
    direction: String,
    /// The safetensors file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Reads one of an option's words.
pub(crate) fn parse_word<T: Copy>(option: &str, text: &str, words: &[(&str, T)]) -> Outcome<T> {
    words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        Failure::Input(format!("--{option} `{text}`: accepted are {}", known.join(", ")))
    })
}

/// The words of `--direction`.
pub(crate) const DIRECTIONS: [(&str, Direction); 3] = [
    ("sign", Direction::Sign),
    ("gradient", Direction::Gradient),
    ("gaussian", Direction::Gaussian),
];

/// The words of `--scale`.
pub(crate) const SCALES: [(&str, Scale); 3] =
    [("pixel", Scale::Pixel), ("pixel255", Scale::Pixel255), ("normalized", Scale::Normalized)];

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let cure = CureOptions {
        direction: parse_word("direction", &options.direction, &DIRECTIONS)?,
        scale: parse_word("scale", &options.scale, &SCALES)?,
        squared: options.squared,
        loss_mode: BatchNormMode::Eval,
        regularizer_mode: BatchNormMode::Eval,
        direction_mode: BatchNormMode::Eval,
        ..CureOptions::default()
    };
    if !(options.h.is_finite() && options.h > 0.0) {
        return Err(Failure::Input(format!("--h is {}; accepted is a length over 0", options.h)));
    }
    let place = options.data.place()?;
    let inputs: Vec<&Path> =
        std::iter::once(options.model.file()?).chain(place.as_deref()).collect();
    check_outputs(&[&options.out], &inputs)?;
    let data = options.data.load()?;
    let network = options.model.ours(&data)?.network;
    let positions: Vec<usize> = (0..data.len()).collect();
    let batch = data.batch(&positions).input()?;
    let streams = SampleStreams { seed: general.seed(), epoch: 0, indices: &batch.indices };

    let found =
        derivatives(&cure, &network, &batch.images, &batch.labels, options.h, &streams).failed()?;
    let (terms, losses) = (found.terms, found.losses);

    let vector = |values: &[f64]| {
        Tensor::new(&[values.len()], values.iter().map(|&value| value as f32).collect()).failed()
    };
    let mut tensors = vec![
        ("logits".to_owned(), found.logits),
        ("loss".to_owned(), vector(&losses)?),
        ("input_gradient".to_owned(), terms.gradient),
        ("direction".to_owned(), terms.direction),
        ("perturbed".to_owned(), terms.perturbed),
        ("perturbed_gradient".to_owned(), terms.perturbed_gradient),
        ("regularizer".to_owned(), vector(&terms.values)?),
    ];
    for (prefix, gradients) in [
        ("loss_gradient", &found.loss_gradient),
        ("regularizer_gradient", &found.regularizer_gradient),
    ] {
        for (spec, gradient) in network.parameters().iter().zip(gradients.tensors()) {
            if let Some(gradient) = gradient {
                tensors.push((format!("{prefix}/{}", spec.name), gradient.clone()));
            }
        }
    }
    let provenance = serde_json::json!({
        "h": options.h, "scale": options.scale, "squared": options.squared,
        "direction": options.direction, "seed": general.seed(), "n": batch.labels.len(),
    });
    let metadata = Metadata {
        architecture: None,
        normalization: None,
        provenance: Some(provenance.to_string()),
    };
    cure_network::weights::write(&options.out, &tensors, &metadata).failed()?;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    print(&format!(
        "{}: {} samples, mean loss {:.6}, mean regulariser {:.6e} ({}squared, h = {} {})\n",
        options.out.display(),
        batch.labels.len(),
        mean(&losses),
        mean(&terms.values),
        if options.squared { "" } else { "not " },
        options.h,
        options.scale,
    ))
}

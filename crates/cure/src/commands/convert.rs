//! `cure convert`: a weights file of PyTorch to safetensors that say what they are.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::{General, ModelArguments};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::{check_outputs, print};

#[derive(Args, Debug)]
#[command(
    after_help = "Example: cure convert --weights resnet20.th --normalize imagenet --to resnet20.safetensors"
)]
pub(crate) struct Options {
    #[command(flatten)]
    model: ModelArguments,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Number of classes, where the weights do not tell.
    #[arg(long, value_name = "N", default_value_t = 10)]
    classes: usize,
    /// Channels, height and width of the images.
    #[arg(long, value_name = "C,H,W", default_value = "3,32,32")]
    input: String,
}

pub(crate) fn run(_general: &General, options: &Options) -> Outcome {
    let input = parse_shape(&options.input)?;
    let file = options.model.file()?;
    check_outputs(&[&options.to], &[file])?;
    if options.to.exists() {
        return Err(Failure::Input(format!(
            "{} exists already; name another file with --to",
            options.to.display()
        )));
    }
    let loaded = options.model.ours_for(options.classes, input)?;
    let provenance = serde_json::json!({
        "converted-from": file.file_name().map(|name| name.to_string_lossy()),
        "sha256": loaded.sha256.hexadecimal(),
        "tool": concat!("cure ", env!("CARGO_PKG_VERSION")),
    });
    cure_network::save(&options.to, &loaded.network, Some(&provenance.to_string())).failed()?;
    let network = &loaded.network;
    print(&format!(
        "{}: {}, {} parameters, normalisation {}\n",
        options.to.display(),
        network.architecture().name(),
        network.parameter_count(),
        network.normalization(),
    ))
}

fn parse_shape(text: &str) -> Outcome<[usize; 3]> {
    let numbers: Option<Vec<usize>> =
        text.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers
        .and_then(|numbers| <[usize; 3]>::try_from(numbers).ok())
        .filter(|shape| !shape.contains(&0))
        .ok_or_else(|| Failure::Input(format!("--input `{text}`: write C,H,W, as 3,32,32")))
}

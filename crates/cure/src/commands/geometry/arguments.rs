//! What the measurements of geometry have in common on the command line.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::Dataset;
use cure_network::Scale;

use super::operator::Operator;
use crate::arguments::{DataArguments, Model, ModelArguments};
use crate::commands::derivatives::{SCALES, parse_word};
use crate::failure::{Blame, Failure, Outcome};

/// Images, networks, scale and where results go.
#[derive(Args, Debug)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) data: DataArguments,
    #[command(flatten)]
    networks: NetworkArguments,
    /// The scale of h, of all lengths and derivatives: pixel (of [0, 1]), pixel255 or normalized
    /// (what the network sees).
    #[arg(long, value_name = "SCALE", default_value = "pixel")]
    scale: String,
    /// Images sent through the network at once: memory and speed, never results.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) batch: usize,
    /// Where figures (SVG, PNG, CSV), rows and results go, under the command's name; made if it is
    /// not there. Until they do, what is done waits in geometry.jsonl, from which the same command
    /// line goes on.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Write the results, which are in DIR as JSON, here too.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Measure only part I of N, as 2/8, each part into a DIR of its own; `cure geometry merge` joins
    /// them.
    #[arg(long, value_name = "I/N", conflicts_with = "json")]
    pub(super) shard: Option<String>,
}

/// The networks that are compared.
#[derive(Args, Debug)]
struct NetworkArguments {
    /// A network's weights: safetensors, or PyTorch's .pt, .pth, .th, .pkl; may be given several
    /// times. NAME is what figures call it; the file's name where it is not given.
    #[arg(long, value_name = "[NAME=]FILE", required = true, help_heading = "Network")]
    weights: Vec<String>,
    /// The architecture of them all; `auto` recognises each from its weights, `torchscript` takes each file as a
    /// module that torch.jit.save wrote.
    #[arg(long, value_name = "NAME", default_value = "auto", help_heading = "Network")]
    model: String,
    /// What is done to pixels first, for files that do not say: none, imagenet, cifar10 or
    /// M,M,M/S,S,S.
    #[arg(long, value_name = "HOW", help_heading = "Network")]
    normalize: Option<String>,
}

/// A network under its name in figures.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) model: Model,
}

impl Common {
    /// The scale of a measurement that looks for the nearest boundary, as attacks do: in pixels.
    pub(super) fn scale_of_distances(&self) -> Outcome<Scale> {
        match self.scale()? {
            Scale::Normalized => Err(Failure::Input(
                "--scale normalized: attacks look for the nearest boundary in pixels, which is not the \
                 nearest where each channel has a unit of its own; write pixel or pixel255"
                    .into(),
            )),
            scale => Ok(scale),
        }
    }

    pub(super) fn scale(&self) -> Outcome<Scale> {
        parse_word("scale", &self.scale, &SCALES)
    }

    /// The images: the first `default` ones where nothing is said.
    pub(super) fn images(&self, default: usize) -> Outcome<Dataset> {
        let limit = match (&self.data.limit, &self.data.indices) {
            (None, None) => Some(default),
            (limit, _) => *limit,
        };
        DataArguments { limit, ..self.data.clone() }.load()
    }

    /// Networks by name, with their files.
    pub(super) fn files(&self) -> Outcome<Vec<(String, PathBuf)>> {
        let given: Vec<(Option<&str>, &Path)> =
            self.networks.weights.iter().map(|text| split(text)).collect();
        let mut named: Vec<(String, PathBuf)> = Vec::with_capacity(given.len());
        for (name, file) in &given {
            let name = match name {
                Some(name) => (*name).to_owned(),
                None => own_name(file, &given),
            };
            if named.iter().any(|(other, _)| *other == name) {
                return Err(Failure::Input(format!(
                    "--weights: two networks are called `{name}`; name them apart, as NAME={}",
                    file.display()
                )));
            }
            named.push((name, (*file).to_owned()));
        }
        Ok(named)
    }

    pub(super) fn load(&self, files: &[(String, PathBuf)], data: &Dataset) -> Outcome<Vec<Named>> {
        let load = |(name, file): &(String, PathBuf)| {
            let arguments = ModelArguments {
                weights: Some(file.clone()),
                model: self.networks.model.clone(),
                normalize: self.networks.normalize.clone(),
            };
            Ok(Named { name: name.clone(), model: arguments.load(data)? })
        };
        files.iter().map(load).collect()
    }
}

/// `NAME=FILE` or `FILE`; a file that is there may have a `=` in its name.
fn split(text: &str) -> (Option<&str>, &Path) {
    match text.split_once('=') {
        Some((name, file))
            if !name.is_empty() && !file.is_empty() && !Path::new(text).is_file() =>
        {
            (Some(name), Path::new(file))
        }
        _ => (None, Path::new(text)),
    }
}

/// A file's name without its ending, behind that of its folder where other files are called alike.
fn own_name(file: &Path, given: &[(Option<&str>, &Path)]) -> String {
    let stem = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let own = stem(file);
    let alike = given.iter().filter(|(name, other)| name.is_none() && stem(other) == own).count();
    let folder = file.parent().and_then(Path::file_name);
    match folder {
        Some(folder) if alike > 1 => format!("{}/{own}", folder.to_string_lossy()),
        _ => own,
    }
}

/// How H multiplies.
#[derive(Args, Debug)]
pub(super) struct OperatorArguments {
    /// How H multiplies: forward, (∇ℓ(x + hv) − ∇ℓ(x))/h, the paper's; central; columns, the
    /// symmetric matrix of forward differences along each pixel, that of the paper's profile (as many
    /// products as pixel values); exact, h → 0; or factor, the whole exact H of a piecewise linear
    /// network, which exact uses by itself where that costs less [default: exact where eigenvectors
    /// are looked for, which a difference along any direction does not have; else forward]
    #[arg(long, value_name = "HOW")]
    operator: Option<String>,
    /// The ℓ2 length h of the finite differences' step, in the scale of --scale [default: 0.1 of
    /// pixels in [0, 1], which is 25.5 with pixel255; 0.5 with normalized]
    #[arg(long, value_name = "LENGTH")]
    h: Option<f64>,
}

/// The operator where none is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Usual {
    Forward,
    Exact,
}

impl OperatorArguments {
    pub(super) fn parse(&self, scale: Scale, usual: Usual) -> Outcome<Operator> {
        let name = match (&self.operator, usual) {
            (Some(name), _) => name.as_str(),
            (None, Usual::Forward) => "forward",
            (None, Usual::Exact) if self.h.is_none() => "exact",
            (None, Usual::Exact) => {
                return Err(Failure::Input(
                    "--h is of finite differences; say of which: --operator columns, whose \
                     eigenvectors are the curvature profile's, or forward or central, which are quicker \
                     and have none"
                        .into(),
                ));
            }
        };
        let h = self.h.unwrap_or(match scale {
            Scale::Pixel => 0.1,
            Scale::Pixel255 => 25.5,
            Scale::Normalized => 0.5,
        });
        let words = [
            ("forward", Operator::Forward { h }),
            ("central", Operator::Central { h }),
            ("columns", Operator::Columns { h }),
            ("exact", Operator::Exact),
            ("factor", Operator::Factor),
        ];
        let operator = parse_word("operator", name, &words)?;
        if !(h.is_finite() && h > 0.0) {
            return Err(Failure::Input(format!("--h is {h}; accepted is a length above 0")));
        }
        if self.h.is_some() && matches!(operator, Operator::Exact | Operator::Factor) {
            return Err(Failure::Input(format!(
                "--h is of finite differences; with --operator {name} leave it out"
            )));
        }
        Ok(operator)
    }
}

/// The attack that finds the nearest point across the boundary.
#[derive(Args, Debug)]
pub(super) struct NearestArguments {
    /// The attack that looks for the nearest point across the boundary.
    #[arg(long, value_name = "SPEC", default_value = "deepfool:norm=l2")]
    attack: String,
}

impl NearestArguments {
    pub(super) fn parse(&self) -> Outcome<cure_attacks::AttackSpec> {
        let attack = self.attack.parse().input()?;
        cure_geometry::check_nearest(&attack).input()?;
        Ok(attack)
    }
}

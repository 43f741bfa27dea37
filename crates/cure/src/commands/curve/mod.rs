//! `cure curve`: robust accuracy against ε for one network or several, as a figure and a table.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{
    AttackError, AttackSpec, Curve, Epsilon, EvaluationOptions, EvaluationSet, curve,
};
use cure_data::Dataset;
use serde_json::{Value, json};

use crate::arguments::{Confinement, DataArguments, General, MaskArguments, Model, ModelArguments};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::output::{check_folder, identity_of, print, provenance, write_json};
use crate::progress::Watcher;

mod figure;

use figure::{draw, table};

/// What is written.
const FILES: [&str; 4] = ["curve.svg", "curve.png", "curve.csv", "results.json"];
/// More points than anyone draws.
const MOST_POINTS: usize = 1000;

#[derive(Args, Debug)]
#[command(after_help = "\
  cure curve --network original=net.pt --network CURE=runs/cure/weights.safetensors \\
      --normalize cifar10 --data cifar10:DIR --limit 1000 --eps 0..16/255@17 --out curve

An image that is fooled at one ε is fooled at every larger one, so only those still standing are
attacked again; a minimal-norm attack (deepfool, fab, …) runs once and is read off at every ε.")]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataArguments,
    /// A network as NAME=FILE, where NAME is what the figure calls it; may be given several times.
    #[arg(long, value_name = "NAME=FILE", required = true, help_heading = "Network")]
    network: Vec<String>,
    /// The architecture of them all; `auto` recognises each from its weights, `torchscript` takes each file as a
    /// module that torch.jit.save wrote.
    #[arg(long, value_name = "NAME", default_value = "auto", help_heading = "Network")]
    model: String,
    /// What is done to pixels first, for files that do not say.
    #[arg(long, value_name = "HOW", help_heading = "Network")]
    normalize: Option<String>,
    /// The attack, without its eps; a step that is given is that of the largest ε and shrinks with it.
    #[arg(long, value_name = "SPEC", default_value = "pgd:norm=linf,steps=20")]
    attack: String,
    #[command(flatten)]
    mask: MaskArguments,
    /// The values of ε: FROM..TO@COUNT, or a list as 1/255,2/255,4/255.
    #[arg(long, value_name = "RANGE", default_value = "0..16/255@17")]
    eps: String,
    /// Images a batch: memory and speed, never results.
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch: usize,
    /// Where curve.svg, curve.png, curve.csv and results.json go; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let epsilons = read_epsilons(&options.eps)?;
    let attack = read_attack(&options.attack, &epsilons)?;
    if options.batch == 0 {
        return Err(Failure::Input("--batch is 0; accepted is 1 or more".into()));
    }
    let networks: Vec<(&str, PathBuf)> =
        options.network.iter().map(|text| read_network(text)).collect::<Outcome<_>>()?;
    let place = options.data.place()?;
    let weights = networks.iter().map(|(_, weights)| weights.as_path());
    let inputs: Vec<&Path> = weights.chain(place.as_deref()).chain(options.mask.inputs()).collect();
    check_folder(&options.out, &FILES, &inputs)?;
    let data = options.data.load()?;
    let confinement = options.mask.load(&data)?;
    let set = confinement.set(&data)?;
    set.confine(&attack).input()?;
    let models = networks
        .iter()
        .map(|(name, weights)| {
            let (model, normalize) = (options.model.clone(), options.normalize.clone());
            let arguments = ModelArguments { weights: Some(weights.clone()), model, normalize };
            Ok((*name, arguments.load(&data)?))
        })
        .collect::<Outcome<Vec<(&str, Model)>>>()?;
    let dimension = data.shape().iter().product();
    for (_, network) in &models {
        let classes = network.classes();
        for &epsilon in &epsilons {
            attack.at(epsilon).check(Some(dimension), Some(classes)).input()?;
        }
    }
    interrupt::listen()?;

    let mut curves = Vec::with_capacity(models.len());
    for (name, network) in &models {
        curves.push((*name, trace(general, options, network, &set, &attack, &epsilons)?));
    }
    let figure = draw(&curves, &attack, &data)?;
    std::fs::create_dir_all(&options.out).failed()?;
    let files = figure.save(&options.out, "curve").failed()?;
    let results = results(general, &models, &curves, &data, &confinement);
    write_json(&options.out.join("results.json"), &results)?;
    let [svg, png, csv] = files.map(|file| file.display().to_string());
    let text = table(&curves, &data).to_text() + &confinement.text + &warnings(&curves);
    print(&(text + &format!("{svg}\n{png}\n{csv}\n")))
}

fn read_network(text: &str) -> Outcome<(&str, PathBuf)> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name, file.into())),
        _ => Err(Failure::Input(format!("--network `{text}`: write NAME=FILE, as CURE=net.pt"))),
    }
}

/// The values over 0; 0 itself is the clean accuracy, which every curve begins with.
fn read_epsilons(text: &str) -> Outcome<Vec<Epsilon>> {
    let refuse = |reason: &str| {
        Failure::Input(format!("--eps `{text}`: {reason}; write 0..16/255@17 or 1/255,2/255"))
    };
    let zero_or = |part: &str| match part.trim() {
        "0" => Ok(0.0),
        part => part.parse::<Epsilon>().map(Epsilon::value).input(),
    };
    let values: Vec<f64> = match text.split_once("..") {
        Some((from, rest)) => {
            let (to, count) = rest.split_once('@').ok_or_else(|| refuse("it has no @COUNT"))?;
            let count: usize =
                count.trim().parse().map_err(|_| refuse("the count is no whole number"))?;
            let (from, to) = (zero_or(from)?, zero_or(to)?);
            if !(2..=MOST_POINTS).contains(&count) || from >= to {
                return Err(refuse("it needs 2 to 1000 values that rise"));
            }
            (0..count).map(|i| from + (to - from) * i as f64 / (count - 1) as f64).collect()
        }
        None => text.split(',').map(zero_or).collect::<Outcome<_>>()?,
    };
    let over_zero = values.into_iter().filter(|&value| value > 0.0);
    let epsilons: Vec<Epsilon> =
        over_zero.map(|value| Epsilon::new(value).input()).collect::<Outcome<_>>()?;
    if epsilons.is_empty() { Err(refuse("it has no value over 0")) } else { Ok(epsilons) }
}

/// The attack at the largest ε; lengths given in the specification itself are kept in proportion.
fn read_attack(text: &str, epsilons: &[Epsilon]) -> Outcome<AttackSpec> {
    if let Ok(spec) = text.parse::<AttackSpec>()
        && spec.epsilon().is_some()
    {
        return Err(Failure::Input(format!(
            "--attack `{text}` has an eps of its own; leave it out, --eps says them all"
        )));
    }
    let largest = epsilons.iter().map(|epsilon| epsilon.value()).fold(0.0, f64::max);
    let separator = if text.contains(':') { "," } else { ":" };
    let notation = Epsilon::new(largest).input()?.notation();
    format!("{text}{separator}eps={notation}").parse().input()
}

fn trace(
    general: &General,
    options: &Options,
    model: &Model,
    set: &EvaluationSet,
    attack: &AttackSpec,
    epsilons: &[Epsilon],
) -> Outcome<Curve> {
    let classifier = model.classifier()?;
    let settings = EvaluationOptions {
        seed: general.seed(),
        batch: options.batch,
        ..EvaluationOptions::default()
    };
    let mut watcher = Watcher::new(general.quiet);
    match curve(classifier.as_ref(), set, attack, epsilons, &settings, &mut watcher) {
        Err(AttackError::Stopped) => {
            Err(Failure::Interrupted("interrupted; nothing was written".into()))
        }
        other => other.failed(),
    }
}

fn warnings(curves: &[(&str, Curve)]) -> String {
    let each = curves.iter().flat_map(|(name, curve)| {
        curve.warnings.iter().map(move |warning| format!("warning: {name}: {warning}\n"))
    });
    each.collect()
}

fn results(
    general: &General,
    models: &[(&str, Model)],
    curves: &[(&str, Curve)],
    data: &Dataset,
    confinement: &Confinement,
) -> Value {
    let networks: Vec<Value> = models
        .iter()
        .zip(curves)
        .map(|((name, model), (_, curve))| {
            json!({
                "name": name,
                "model": identity_of(model),
                "clean": curve.clean,
                "points": curve.points,
                "warnings": curve.warnings,
            })
        })
        .collect();
    let mut results = provenance("curve", general, None, data);
    results.insert("networks".into(), networks.into());
    results.extend(confinement.json.clone());
    results.into()
}

//! `cure evaluate`: clean accuracy, and robust accuracy under any number of attacks.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{
    AttackError, AttackSpec, Evaluation, EvaluationOptions, EvaluationSet, Journal, Progress,
    evaluate_with,
};
use cure_data::Dataset;
use cure_network::Loaded;
use cure_report::{Cell, Table};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::arguments::{DataArguments, General, ModelArguments, remark_on};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::output::{check_outputs, print, write_json};
use crate::progress;

#[derive(Args, Debug)]
#[command(after_help = "\
Attacks are written NAME:PARAMETER=VALUE,…
  fgsm:norm=linf,eps=1/255
  pgd:norm=linf,eps=8/255,steps=20,step=2/255,random-start=true,restarts=1
  deepfool:norm=l2
  autoattack:norm=linf,eps=8/255,version=standard
cure attacks list shows them all, cure attacks list NAME an attack's parameters. ε and steps are
lengths over pixels in [0, 1], written 8/255 or 0.0314.

Long evaluations: --journal FILE notes each batch; the same command line goes on from there.

A robust accuracy is an upper bound that is only as good as the attack.")]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// An attack; may be given several times.
    #[arg(long, value_name = "SPEC")]
    attack: Vec<String>,
    /// Images a batch: memory and speed, never results.
    #[arg(long, value_name = "N", default_value_t = 128)]
    batch: usize,
    /// Write the results here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write one row for each image and attack here.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the attacked images here, as floats: FILE.npz for one attack, FILE-1.npz, FILE-2.npz,
    /// … for several. How many successes rounding to 8 bits would lose is reported.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Note each batch here once it is done, and go on from what is noted: an evaluation that was
    /// interrupted ends in the same results.
    #[arg(long, value_name = "FILE", conflicts_with = "save")]
    journal: Option<PathBuf>,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let attacks: Vec<AttackSpec> =
        options.attack.iter().map(|text| text.parse()).collect::<Result<_, _>>().input()?;
    if options.batch == 0 {
        return Err(Failure::Input("--batch is 0; accepted is 1 or more".into()));
    }
    if options.save.is_some() && attacks.is_empty() {
        return Err(Failure::Input("--save needs an --attack whose images to save".into()));
    }
    let saved = options.save.as_deref();
    let saved = saved.into_iter().flat_map(|path| {
        (0..attacks.len()).map(|position| numbered(path, position, attacks.len()))
    });
    let outputs = [&options.json, &options.csv, &options.journal].into_iter().flatten().cloned();
    let outputs: Vec<PathBuf> = outputs.chain(saved).collect();
    let place = options.data.place()?;
    let inputs: Vec<&Path> =
        std::iter::once(options.model.weights.as_path()).chain(place.as_deref()).collect();
    check_outputs(&outputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &inputs)?;
    let data = options.data.load()?;
    let dimension = data.shape().iter().product();
    attacks.iter().try_for_each(|attack| attack.check(Some(dimension), None)).input()?;
    let loaded = options.model.load(&data)?;
    let classes = Some(loaded.network.architecture().classes);
    attacks.iter().try_for_each(|attack| attack.check(Some(dimension), classes)).input()?;
    interrupt::listen()?;

    let settings = EvaluationOptions {
        seed: general.seed(),
        batch: options.batch,
        keep_images: options.save.is_some(),
        recheck_rounded: options.save.is_some(),
        preflight: true,
    };
    let mut journal = match &options.journal {
        Some(path) => {
            let identity = identity(&loaded, &data, &attacks, &settings);
            Some(Journal::open(path, &identity).input()?)
        }
        None => None,
    };
    let evaluation =
        run_evaluation(&loaded, &data, &attacks, &settings, general.quiet, journal.as_mut())?;

    let mut text = describe(&evaluation, &loaded, &data, general);
    if let Some(path) = &options.json {
        write_json(path, &results("evaluate", &evaluation, &loaded, &data, general))?;
    }
    if let Some(path) = &options.csv {
        cure_report::write_atomically(path, evaluation.csv().as_bytes()).failed()?;
    }
    if let Some(path) = &options.save {
        for (position, images) in evaluation.images.iter().enumerate() {
            let path = numbered(path, position, attacks.len());
            cure_data::write_npz(&path, images, data.labels(), data.indices()).failed()?;
            text.push_str(&format!("{}: images of {}\n", path.display(), attacks[position]));
        }
    }
    print(&text)
}

/// All that the results of an evaluation depend on, for its journal.
fn identity(
    loaded: &Loaded,
    data: &Dataset,
    attacks: &[AttackSpec],
    settings: &EvaluationOptions,
) -> String {
    let attacks: Vec<String> = attacks.iter().map(AttackSpec::to_string).collect();
    let mut indices = Sha256::new();
    data.indices().iter().for_each(|&index| indices.update((index as u64).to_le_bytes()));
    let indices: String = indices.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "architecture": loaded.network.architecture().name(),
        "weights": loaded.sha256,
        "normalization": loaded.network.normalization().to_string(),
        "data": data.sha256(),
        "indices": indices,
        "attacks": attacks,
        "seed": settings.seed,
        "batch": settings.batch,
    })
    .to_string()
}

/// Attacks every image of `data`, with progress.
pub(crate) fn run_evaluation(
    loaded: &Loaded,
    data: &Dataset,
    attacks: &[AttackSpec],
    settings: &EvaluationOptions,
    quiet: bool,
    journal: Option<&mut Journal>,
) -> Outcome<Evaluation> {
    let positions: Vec<usize> = (0..data.len()).collect();
    let batch = data.batch(&positions).input()?;
    let set = EvaluationSet::new(batch.images, batch.labels, batch.indices).input()?;
    let frozen = loaded.network.frozen().failed()?;
    let bar = progress::bar(0, quiet);
    let mut watch = |progress: &Progress<'_>| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_prefix(format!("{}/{}", progress.position + 1, progress.stages));
        bar.set_message(format!("{}, {} standing", progress.stage, progress.standing));
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let noted = journal.is_some();
    let evaluation = evaluate_with(&frozen, &set, attacks, settings, &mut watch, journal);
    bar.finish_and_clear();
    match evaluation {
        Err(AttackError::Stopped) if noted => Err(Failure::Interrupted(
            "interrupted; the same command goes on from the journal".into(),
        )),
        Err(AttackError::Stopped) => {
            Err(Failure::Interrupted("interrupted; nothing was written".into()))
        }
        other => other.failed(),
    }
}

/// `file.npz`, or `file-2.npz` for the second of several.
fn numbered(path: &Path, position: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    path.with_file_name(format!("{stem}-{}.npz", position + 1))
}

/// The results as `--json` writes them.
pub(crate) fn results(
    command: &str,
    evaluation: &Evaluation,
    loaded: &Loaded,
    data: &Dataset,
    general: &General,
) -> Value {
    let remark = remark_on(data).into_iter();
    let warnings: Vec<String> =
        remark.chain(evaluation.warnings.iter().map(ToString::to_string)).collect();
    let mut value = json!({
        "tool": concat!("cure ", env!("CARGO_PKG_VERSION")),
        "command": command,
        "seed": general.seed(),
        "device": general.device,
        "model": {
            "arch": loaded.network.architecture().name(),
            "weights_sha256": loaded.sha256,
            "normalization": loaded.network.normalization().to_string(),
        },
        "data": {
            "name": data.name(),
            "split": data.split().to_string(),
            "n": data.len(),
            "sha256": data.sha256(),
        },
        "clean": evaluation.clean,
        "attacks": evaluation.attacks,
        "warnings": warnings,
    });
    if let (Some(worst), Some(object)) = (&evaluation.worst_case, value.as_object_mut()) {
        object.insert("worst_case".into(), json!(worst));
    }
    value
}

fn describe(evaluation: &Evaluation, loaded: &Loaded, data: &Dataset, general: &General) -> String {
    let interval = |ci: [f64; 2]| format!("{:.2} – {:.2} %", 100.0 * ci[0], 100.0 * ci[1]);
    let clean = &evaluation.clean;
    let mut table = Table::new(
        format!(
            "{} on {} {} ({} images), normalisation {}, seed {}",
            loaded.network.architecture().name(),
            data.name(),
            data.split(),
            data.len(),
            loaded.network.normalization(),
            general.seed(),
        ),
        ["attack", "accuracy", "of n", "95 % interval", "median |δ|", "forward", "backward", "s"],
    )
    .row([
        Cell::from("none (clean)"),
        Cell::Percent(clean.accuracy, 2),
        Cell::from(format!("{}/{}", clean.correct, clean.n)),
        Cell::from(interval(clean.ci95)),
    ]);
    for attack in &evaluation.attacks {
        table = table.row([
            Cell::from(attack.spec.as_str()),
            Cell::Percent(attack.robust_accuracy, 2),
            Cell::from(format!("{}/{}", attack.robust, attack.n)),
            Cell::from(interval(attack.ci95)),
            attack.median_norm.map_or(Cell::Missing, |norm| Cell::Number(norm, 4)),
            Cell::Count(attack.forward),
            Cell::Count(attack.backward),
            Cell::Number(attack.seconds, 1),
        ]);
    }
    if let Some(worst) = &evaluation.worst_case {
        table = table.row([
            Cell::from("worst of these, per image"),
            Cell::Percent(worst.robust_accuracy, 2),
            Cell::from(format!("{}/{}", worst.robust, worst.n)),
            Cell::from(interval(worst.ci95)),
        ]);
    }
    let mut text = table.to_text();
    for attack in &evaluation.attacks {
        if let Some(lost) = attack.rounded_successes_lost {
            text.push_str(&format!(
                "{}: {lost} of its successes do not survive rounding to 8 bits a pixel\n",
                attack.spec
            ));
        }
    }
    for warning in &evaluation.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

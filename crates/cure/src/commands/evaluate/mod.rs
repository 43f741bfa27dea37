//! `cure evaluate`: clean accuracy, and robust accuracy under any number of attacks.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{
    AttackError, AttackSpec, Evaluation, EvaluationOptions, EvaluationSet, Journal, evaluate_with,
};

use crate::arguments::{DataArguments, General, Model, ModelArguments, RegionArguments};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::journal::Work;
use crate::output::{check_outputs, print, write_json};
use crate::progress::Watcher;

mod results;
mod shards;

use results::describe;
pub(crate) use results::results;
use shards::{ShardArguments, Shared};

#[derive(Args, Debug)]
#[command(after_help = "\
Attacks are written NAME:PARAMETER=VALUE,…
  fgsm:norm=linf,eps=1/255
  pgd:norm=linf,eps=8/255,steps=20,step=2/255,random-start=true,restarts=1
  deepfool:norm=l2
  autoattack:norm=linf,eps=8/255,version=standard
cure attacks list shows them all, cure attacks list NAME an attack's parameters. ε and steps are
lengths over pixels in [0, 1], written 8/255 or 0.0314.

With --budgets each image has its own ε, and attacks need no eps: pgd:steps=20.

Long evaluations: --journal FILE notes each batch; the same command line goes on from there.

Several machines: mpirun -n 4 cure evaluate … (a build with MPI), or a job array: the same command
line with --shard 1/4 --journal part-1, …, --shard 4/4 --journal part-4, then without --shard but
with --merge part-1 --merge part-2 --merge part-3 --merge part-4.

A robust accuracy is an upper bound that is only as good as the attack.")]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    region: RegionArguments,
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
    #[command(flatten)]
    shards: ShardArguments,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    if options.batch == 0 {
        return Err(Failure::Input("--batch is 0; accepted is 1 or more".into()));
    }
    if options.save.is_some() && options.attack.is_empty() {
        return Err(Failure::Input("--save needs an --attack whose images to save".into()));
    }
    let (saved, count) = (options.save.as_deref(), options.attack.len());
    let saved = saved
        .into_iter()
        .flat_map(|path| (0..count).map(|position| numbered(path, position, count)));
    let outputs = [&options.json, &options.csv, &options.journal].into_iter().flatten().cloned();
    let outputs: Vec<PathBuf> = outputs.chain(saved).collect();
    let place = options.data.place()?;
    let inputs: Vec<&Path> = std::iter::once(options.model.file()?)
        .chain(place.as_deref())
        .chain(options.region.inputs())
        .chain(options.shards.inputs())
        .collect();
    check_outputs(&outputs.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &inputs)?;
    let data = options.data.load()?;
    let confinement = options.region.load(&data)?;
    let read = |text: &String| options.region.attack(text, &confinement);
    let attacks: Vec<AttackSpec> = options.attack.iter().map(read).collect::<Outcome<_>>()?;
    let set = confinement.set(&data)?;
    let dimension = data.shape().iter().product();
    for attack in &attacks {
        set.confine(attack).input()?.check(Some(dimension), None).input()?;
    }
    let model = options.model.load(&data)?;
    let classes = Some(model.classes());
    attacks.iter().try_for_each(|attack| attack.check(Some(dimension), classes)).input()?;
    interrupt::listen()?;

    let settings = EvaluationOptions {
        seed: general.seed(),
        batch: options.batch,
        keep_images: options.save.is_some(),
        recheck_rounded: options.save.is_some(),
        preflight: true,
    };
    let specs: Vec<String> = attacks.iter().map(AttackSpec::to_string).collect();
    let (seed, batch, plain_sums) = (settings.seed, settings.batch, general.plain_sums);
    let work = Work { attacks: &specs, seed, batch, plain_sums };
    let identity = work.identity(&model, &data, &confinement.json);
    let mut journal = options.shards.open(options.journal.as_deref(), &identity, general)?;
    if let Some(shard) = options.shards.shard(general)? {
        let work = Shared { model: &model, set: &set, attacks: &attacks, settings: &settings };
        if !work.run(shard, &mut journal, options, general)? {
            return Ok(());
        }
    }
    let evaluation =
        run_evaluation(&model, &set, &attacks, &settings, general.quiet, journal.as_mut())?;

    let mut text = describe(&evaluation, &model, &data, general) + &confinement.text;
    if let Some(path) = &options.json {
        let confinement = &confinement.json;
        let results = results("evaluate", &evaluation, &model, &data, general, confinement);
        write_json(path, &results)?;
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

/// Attacks every image of `set`, with progress.
pub(crate) fn run_evaluation(
    model: &Model,
    set: &EvaluationSet,
    attacks: &[AttackSpec],
    settings: &EvaluationOptions,
    quiet: bool,
    journal: Option<&mut Journal>,
) -> Outcome<Evaluation> {
    let classifier = model.classifier()?;
    let noted = journal.as_ref().is_some_and(|journal| journal.is_kept());
    let evaluation = evaluate_with(
        classifier.as_ref(),
        set,
        attacks,
        settings,
        &mut Watcher::new(quiet),
        journal,
    );
    evaluation.map_err(|error| failure(error, noted))
}

/// What to say of an evaluation that did not come to its end.
fn failure(error: AttackError, noted: bool) -> Failure {
    match (error, noted) {
        (AttackError::Stopped, true) => {
            Failure::Interrupted("interrupted; the same command goes on from the journal".into())
        }
        (AttackError::Stopped, false) => {
            Failure::Interrupted("interrupted; nothing was written".into())
        }
        (error, _) => Failure::Failed(error.to_string()),
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

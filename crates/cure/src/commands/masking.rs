//! `cure masking`: the margins that PGD and SPSA leave, image by image, with a verdict.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_attacks::{
    AttackError, Epsilon, Journal, Masking, Norm, PgdOptions, SpsaOptions, masking,
};
use cure_report::plot::ScatterPlot;
use cure_report::{Cell, Figure, Table};
use serde_json::json;

use crate::arguments::{Confinement, DataArguments, General, ModelArguments};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;
use crate::journal::Work;
use crate::output::{check_folder, print, provenance, write_json};
use crate::progress::Watcher;

/// What is written.
const FILES: [&str; 5] = ["masking.svg", "masking.png", "masking.csv", "results.json", JOURNAL];
/// Where batches that are done wait for the others.
const JOURNAL: &str = "masking.jsonl";

#[derive(Args, Debug)]
#[command(after_help = "\
The paper's Fig. 7. PGD follows gradients, SPSA only looks at logits: where SPSA finds what PGD does
not, the gradients hide something. Both climb the margin (the largest other logit less the one of
the image's class) to their last step. SPSA with 100 steps of 128 directions costs 25,700 forwards an
image; publications use --samples 8192.")]
pub(crate) struct Options {
    #[command(flatten)]
    data: DataArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// ε, the largest change of a pixel.
    #[arg(long, value_name = "LENGTH", default_value = "8/255")]
    eps: String,
    /// Steps of PGD, of length ε/4.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pgd_steps: usize,
    /// Steps of SPSA, of about 0.01.
    #[arg(long, value_name = "N", default_value_t = 100)]
    spsa_steps: usize,
    /// Random directions of each of SPSA's steps.
    #[arg(long, value_name = "N", default_value_t = 128)]
    samples: usize,
    /// Images a batch: memory and speed, never results.
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Where masking.svg, masking.png, masking.csv and results.json go; made if it is not there.
    /// Until they do, batches that are done wait in masking.jsonl, from which the same command line
    /// goes on.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let epsilon: Epsilon = options.eps.parse().input()?;
    let follower = PgdOptions { steps: options.pgd_steps, ..PgdOptions::new(Norm::Linf, epsilon) };
    let looker = SpsaOptions {
        steps: options.spsa_steps,
        samples: options.samples,
        ..SpsaOptions::new(epsilon)
    };
    if options.batch == 0 {
        return Err(Failure::Input("--batch is 0; accepted is 1 or more".into()));
    }
    let place = options.data.place()?;
    let inputs: Vec<&Path> =
        std::iter::once(options.model.file()?).chain(place.as_deref()).collect();
    check_folder(&options.out, &FILES, &inputs)?;
    let data = options.data.load()?;
    let dimension = Some(data.shape().iter().product());
    for attack in [&follower as &dyn cure_attacks::Attack, &looker] {
        attack.check(dimension, None).input()?;
    }
    let model = options.model.load(&data)?;
    interrupt::listen()?;

    let set = Confinement::default().set(&data)?;
    let classifier = model.classifier()?;
    let mut watcher = Watcher::new(general.quiet);
    let seed = general.seed() as usize;
    std::fs::create_dir_all(&options.out).failed()?;
    let path = options.out.join(JOURNAL);
    let mut journal = {
        let (follower, looker) = Masking::attacks(&follower, &looker);
        let attacks = ["masking".into(), follower.to_string(), looker.to_string()];
        let work = Work {
            attacks: &attacks,
            seed: general.seed(),
            batch: options.batch,
            plain_sums: general.plain_sums,
        };
        let identity = work.identity(&model, &data, &serde_json::Map::new());
        Journal::open(&path, &identity).input()?
    };
    let pace = [seed, options.batch];
    let journaled = Some(&mut journal);
    let found =
        masking(classifier.as_ref(), &set, pace, &follower, &looker, &mut watcher, journaled);
    drop(watcher);
    let found = match found {
        Err(AttackError::Stopped) => {
            return Err(Failure::Interrupted("interrupted; the same command goes on".into()));
        }
        other => other.failed()?,
    };

    let figure = draw(&found, epsilon)?;
    let files = figure.save(&options.out, "masking").failed()?;
    let mut results = provenance("masking", general, Some(&model), &data);
    results.insert("rule".into(), Masking::RULE.into());
    results.insert("masking".into(), json!(found));
    results.insert("rows".into(), json!(found.rows));
    write_json(&options.out.join("results.json"), &results)?;
    std::fs::remove_file(&path).failed()?;
    let [svg, png, csv] = files.map(|file| file.display().to_string());
    print(&(describe(&found) + &format!("{svg}\n{png}\n{csv}\n")))
}

fn draw(found: &Masking, epsilon: Epsilon) -> Outcome<Figure> {
    let (below, above): (Vec<_>, Vec<_>) = found
        .rows
        .iter()
        .map(|row| (row.pgd_margin, row.spsa_margin))
        .partition(|(pgd, spsa)| spsa < pgd);
    let caption = format!(
        "The margin (logit of the class less the largest other) that each attack left of {} images \
         within ε = {epsilon}; negative is misclassified. Below the line y = x SPSA, which sees no \
         gradient, found the stronger perturbation.",
        found.n
    );
    ScatterPlot::new("Margins under PGD and SPSA", "margin under PGD", "margin under SPSA")
        .points("PGD at least as strong", above)
        .points("SPSA stronger", below)
        .diagonal()
        .caption(caption)
        .draw()
        .failed()
}

fn describe(found: &Masking) -> String {
    let share = |count: usize| format!("{count}/{}", found.n);
    let table = Table::new("Images classified correctly and then", ["", "of n"])
        .row(["fooled by PGD".into(), Cell::from(share(found.fooled_by_pgd))])
        .row(["fooled by SPSA".into(), Cell::from(share(found.fooled_by_spsa))])
        .row(["fooled by SPSA alone".into(), Cell::from(share(found.only_by_spsa))])
        .row(["smaller margin under SPSA".into(), Cell::from(share(found.below_the_line))])
        .row(["blind: nothing to be seen".into(), Cell::from(share(found.blind))]);
    let verdict = match (found.is_suspected, found.is_undetermined) {
        (true, _) => "gradient masking suspected",
        (_, true) => "undetermined",
        _ => "no sign of masking",
    };
    format!(
        "{}{}\n{}\nverdict: {verdict} ({})\n",
        table.to_text(),
        found.pgd,
        found.spsa,
        Masking::RULE
    )
}

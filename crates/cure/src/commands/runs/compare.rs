//! `cure runs compare`.

use std::path::{Path, PathBuf};

use cure_report::{Figure, Report, Section, Table};
use serde_json::{Value, json};

use super::folder::{ATTACKED, CLEAN, Measured, Run};
use super::{CompareOptions, differences, figures, tables};
use crate::failure::{Blame, Failure, Outcome};
use crate::output::{PROGRAM, check_folder, check_outputs, print, write_json};

pub(super) fn run(options: &CompareOptions) -> Outcome {
    let outputs: Vec<&Path> =
        [&options.out, &options.json].into_iter().flatten().map(PathBuf::as_path).collect();
    let inputs: Vec<&Path> = options.runs.iter().map(PathBuf::as_path).collect();
    check_outputs(&outputs, &inputs)?;
    let folder = options.out.as_deref().map(figures_of);
    if let Some(folder) = &folder {
        check_folder(folder, &[], &inputs)?;
    }
    let runs = read(&options.runs)?;
    let settings = differences::settings(&runs);
    let doubts = differences::doubts(&runs);
    let shown = [
        tables::results(&runs),
        tables::passes(&runs),
        differences::table(&runs, &settings),
        tables::origins(&runs),
    ];

    let mut text = shown.iter().map(Table::to_text).collect::<Vec<_>>().join("\n");
    text += &format!("\n{}", tables::ACCURACIES);
    text.extend(doubts.iter().map(|doubt| format!("warning: {doubt}\n")));
    if let (Some(out), Some(folder)) = (&options.out, &folder) {
        let figures = figures::draw(&runs)?;
        for (stem, figure) in &figures {
            figure.save(folder, stem).failed()?;
        }
        report(&runs, &shown, &doubts, figures).save(out).failed()?;
        text += &format!("{}\n{}\n", out.display(), folder.display());
    }
    if let Some(path) = &options.json {
        write_json(path, &document(&runs, &settings, &doubts))?;
    }
    print(&text)
}

/// The folder of a report's figures: beside it, by its name.
fn figures_of(report: &Path) -> PathBuf {
    let mut name = report.file_stem().unwrap_or_default().to_owned();
    name.push("-figures");
    report.with_file_name(name)
}

/// The runs, under the names of their folders where those tell them apart.
fn read(paths: &[PathBuf]) -> Outcome<Vec<Run>> {
    let whole: Vec<PathBuf> =
        paths.iter().map(|path| path.canonicalize().unwrap_or(path.clone())).collect();
    let mut runs = Vec::with_capacity(paths.len());
    for (position, path) in paths.iter().enumerate() {
        if whole[..position].contains(&whole[position]) {
            let shown = path.display();
            return Err(Failure::Input(format!("`{shown}` is named twice; name each run once")));
        }
        let own = whole[position].file_name();
        let is_alone = whole.iter().filter(|other| other.file_name() == own).count() == 1;
        let name = match own {
            Some(own) if is_alone => own.to_string_lossy().into_owned(),
            _ => path.display().to_string(),
        };
        runs.push(Run::read(name, path)?);
    }
    Ok(runs)
}

fn report(
    runs: &[Run],
    shown: &[Table; 4],
    doubts: &[String],
    figures: Vec<(String, Figure)>,
) -> Report {
    let [results, passes, settings, origins] = shown.clone();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let mut report = Report::new("Training runs side by side")
        .summary(format!("The runs compared: {}.", names.join(", ")));
    for doubt in doubts {
        report = report.summary(doubt);
    }
    let course = figures
        .into_iter()
        .fold(Section::new("Their course"), |section, (_, figure)| section.figure(figure));
    report
        .section(
            Section::new("What they came to")
                .table(results)
                .table(passes)
                .paragraph(tables::ACCURACIES),
        )
        .section(course)
        .section(Section::new("In what they differ").table(settings))
        .section(Section::new("What they were made by").table(origins))
        .provenance("program", PROGRAM)
        .provenance("command", "cure runs compare")
}

fn document(runs: &[Run], settings: &[(String, Vec<Option<String>>)], doubts: &[String]) -> Value {
    let measured = |measured: Option<Measured>| {
        measured.map(|measured| {
            json!({
                "accuracy": measured.accuracy,
                "n": measured.n,
                "ci95": measured.interval(),
            })
        })
    };
    let each = runs.iter().map(|run| {
        let (done, all) = run.epochs();
        json!({
            "name": run.name,
            "path": run.path,
            "objective": run.objective(),
            "network": run.network(),
            "seed": run.seed(),
            "state": tables::state(run),
            "epochs_done": done,
            "epochs": all,
            "chosen_epoch": run.chosen,
            "clean": measured(run.measured(CLEAN)),
            "attacked": measured(run.measured(ATTACKED)),
            "attack": run.attack(),
            "passes": run.passes(),
            "seconds": run.seconds(),
            "seconds_an_epoch": run.seconds_an_epoch(),
            "sessions": run.record.sessions,
            "rows": run.rows,
        })
    });
    let settings: serde_json::Map<String, Value> =
        settings.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    json!({
        "tool": PROGRAM,
        "command": "runs compare",
        "runs": each.collect::<Vec<_>>(),
        "differences": settings,
        "warnings": doubts,
    })
}

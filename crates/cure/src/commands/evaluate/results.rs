//! What an evaluation says, as JSON and as a table.

use cure_attacks::Evaluation;
use cure_data::Dataset;
use cure_report::{Cell, Table};
use serde_json::{Map, Value, json};

use crate::arguments::{General, Model, remark_on};
use crate::output::provenance;

/// The results as `--json` writes them; `confinement` says where attacks were kept.
pub(crate) fn results(
    command: &str,
    evaluation: &Evaluation,
    model: &Model,
    data: &Dataset,
    general: &General,
    confinement: &Map<String, Value>,
) -> Value {
    let remark = remark_on(data).into_iter();
    let warnings: Vec<String> =
        remark.chain(evaluation.warnings.iter().map(ToString::to_string)).collect();
    let mut results = provenance(command, general, Some(model), data);
    results.insert("clean".into(), json!(evaluation.clean));
    results.insert("attacks".into(), json!(evaluation.attacks));
    results.insert("warnings".into(), json!(warnings));
    results.extend(confinement.clone());
    if let Some(worst) = &evaluation.worst_case {
        results.insert("worst_case".into(), json!(worst));
    }
    results.into()
}

pub(super) fn describe(
    evaluation: &Evaluation,
    model: &Model,
    data: &Dataset,
    general: &General,
) -> String {
    let interval = |ci: [f64; 2]| format!("{:.2} – {:.2} %", 100.0 * ci[0], 100.0 * ci[1]);
    let clean = &evaluation.clean;
    let mut table = Table::new(
        format!(
            "{} on {} {} ({} images), normalisation {}, seed {}{}",
            model.name(),
            data.name(),
            data.split(),
            data.len(),
            model.normalization(),
            general.seed(),
            match cure_tensor::precision() {
                cure_tensor::Precision::F32 => String::new(),
                other => format!(", convolutions in {other}"),
            },
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
    text.push_str(&lengths(evaluation));
    for attack in &evaluation.attacks {
        let members = attack
            .members
            .iter()
            .map(|member| format!("{} {} of {}", member.name, member.solved, member.attacked));
        let members: Vec<String> = members.collect();
        if !members.is_empty() {
            text.push_str(&format!("{} fooled: {}\n", attack.name, members.join(", ")));
        }
        if let Some(met) = attack.on_target {
            text.push_str(&format!("{}: {met} came out as their target\n", attack.spec));
        }
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

/// Every ε in both ways of writing it: 0.031 is not 8/255.
fn lengths(evaluation: &Evaluation) -> String {
    let mut lines: Vec<String> = Vec::new();
    for attack in &evaluation.attacks {
        let Some(epsilon) = attack.epsilon.filter(|_| attack.norm == "linf") else { continue };
        let line = format!("ε = {epsilon:.6} of the pixel range = {:.3}/255\n", 255.0 * epsilon);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

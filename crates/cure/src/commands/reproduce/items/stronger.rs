//! What section 4 says of stronger attacks.

use cure_report::Cell;
use cure_report::Table;

use super::tables::{minutes, pgd, text};
use super::{Part, Results};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Setting, Subject};
use crate::failure::Outcome;
use crate::paired::Difference;

pub(super) fn plan(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let (radius, sizes) = (setting.scale.radii().main, setting.scale.sizes());
    // The paper's are of WideResNet-28-10.
    let architectures = setting.architectures(Subject::Cifar10);
    let Some(architecture) = architectures.last() else { return Vec::new() };
    let network = (Subject::Cifar10, *architecture, Role::Cure);
    let attacks = [pgd(radius, 20), pgd(radius, 40), pgd(radius, 100)];
    let images = sizes.evaluated;
    let first = plan.evaluation(
        setting,
        network,
        "stronger",
        &attacks,
        images,
        minutes(setting.scale, 5.0, 30.0),
    );
    let attacks = [format!("spsa:eps={radius},steps={}", sizes.spsa_steps), pgd(radius, 20)];
    let images = sizes.masked;
    let second = plan.evaluation(
        setting,
        network,
        "spsa",
        &attacks,
        images,
        minutes(setting.scale, 15.0, 90.0),
    );
    vec![first, second]
}

/// Whether an attack leaves less than another by no more than two points.
fn hardly(difference: Difference) -> Verdict {
    const POINTS: f64 = 2.0;
    match difference.ci95 {
        [_, high] if high <= POINTS => Verdict::Agrees,
        [low, _] if low > POINTS => Verdict::Differs,
        _ => Verdict::Undecided,
    }
}

pub(super) fn read(results: &Results<'_>) -> Outcome<Part> {
    let radius = results.setting.scale.radii().main;
    let [first, second] = results.steps else { return Ok(Part::default()) };
    let (pgd, spsa) = (results.accuracies(first)?, results.accuracies(second)?);
    let table = Table::new(
        format!(
            "Accuracy of the network fine-tuned with CURE at ε = {radius}, with 95 % intervals (paper: WideResNet-28-10 at \
             8/255)."
        ),
        ["attack", "paper", "here", "n"],
    );
    let rows = [
        ("PGD(20)", "41.4 %", pgd[1]),
        ("PGD(40)", "41.1 %", pgd[2]),
        ("PGD(100)", "41.1 %", pgd[3]),
        ("SPSA", "44.5 %", spsa[1]),
        ("PGD(20), SPSA's images", "–", spsa[2]),
    ];
    let table = rows.into_iter().fold(table, |table, (attack, paper, found)| {
        let cells = [Cell::from(attack), Cell::from(paper), text(found), Cell::from(found.n)];
        table.row(cells)
    });
    let (of_pgd, of_spsa) = (results.standing(first)?, results.standing(second)?);
    let steps = Difference::of(&of_pgd[1], &of_pgd[3]);
    let gradients = Difference::of(&of_spsa[2], &of_spsa[1]);
    let claims = vec![
        Claim::new(
            "Five times as many steps hardly find more: PGD(100) leaves 0.3 points less than PGD(20).",
            format!("it leaves less by {}", steps.words()),
            hardly(steps),
        )
        .because("the steps of PGD(20) are too few for this network: trust the longer attack"),
        Claim::new(
            "Without gradients nothing more is found: SPSA leaves 44.5 %, PGD(20) 41.4 %.",
            format!(
                "{} under SPSA, {} under PGD(20); SPSA leaves less by {}",
                spsa[1].percent_in_full(),
                spsa[2].percent_in_full(),
                gradients.words()
            ),
            hardly(gradients),
        )
        .because("gradients hide something: see fig7"),
    ];
    Ok(Part { tables: vec![table], claims, ..Part::default() })
}

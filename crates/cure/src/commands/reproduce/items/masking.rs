//! Fig. 7: whether gradients hide something.

use cure_attacks::wilson95;
use cure_report::{Cell, Figure, Table};

use super::{Part, Results, lacks};
use crate::commands::pipeline::{Plan, RESULTS, WEIGHTS, file, folder, words};
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::{Blame, Outcome};

/// "But for a few": the share of images up to which that is said.
const FEW: f64 = 0.1;

pub(super) fn plan(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let sizes = setting.scale.sizes();
    let architecture = setting.architectures(Subject::Cifar10)[0];
    let network = plan.network(setting, Subject::Cifar10, architecture, Role::Cure);
    let id = format!("{network}-masking");
    let mut command = words(&["masking", "--weights", &file(&network, WEIGHTS)]);
    command.extend(words(&["--data", setting.data(Subject::Cifar10).unwrap_or_default()]));
    command.extend(words(&[
        "--limit",
        &sizes.masked.to_string(),
        "--eps",
        setting.scale.radii().main,
    ]));
    command.extend(words(&["--spsa-steps", &sizes.spsa_steps.to_string()]));
    command.extend(words(&["--seed", &setting.seed.to_string(), "--out", &folder(&id)]));
    let minutes = match setting.scale {
        Scale::Demo => 0.5,
        Scale::Cpu => 20.0,
        Scale::Paper => 120.0,
    };
    let title = format!("{network}: margins under PGD and SPSA, {} images", sizes.masked);
    vec![plan.measurement(id, title, vec![network], command, &[RESULTS], minutes)]
}

pub(super) fn read(results: &Results<'_>) -> Outcome<Part> {
    let Some(step) = results.steps.first() else { return Ok(Part::default()) };
    let found = results.json(step, RESULTS)?;
    let count = |name: &str| found["masking"][name].as_u64().ok_or_else(|| lacks(step));
    let (n, by_pgd, by_spsa) = (count("n")?, count("fooled_by_pgd")?, count("fooled_by_spsa")?);
    let (only, below) = (count("only_by_spsa")?, count("below_the_line")?);
    let mut table = Table::new(
        format!(
            "Images of {n} that the network classifies correctly. Margins are logit differences of the true and the likeliest \
             other class; under the line SPSA found the smaller one."
        ),
        ["", "images"],
    );
    for (what, images) in [
        ("fooled by PGD(100)", by_pgd),
        ("fooled by SPSA", by_spsa),
        ("fooled by SPSA alone", only),
        ("smaller margin under SPSA", below),
    ] {
        table = table.row([Cell::from(what), Cell::from(images)]);
    }
    let share = below as f64 / n.max(1) as f64;
    let says = |name: &str| found["masking"][name].as_bool().unwrap_or(true);
    let [low, high] = wilson95(below as usize, n as usize);
    let verdict = match (says("is_suspected"), says("is_undetermined")) {
        // Neither attack had anything to follow on too many images.
        (false, true) => Verdict::Undecided,
        (true, _) => Verdict::Differs,
        (false, false) if high <= FEW => Verdict::Agrees,
        (false, false) if low > FEW => Verdict::Differs,
        (false, false) => Verdict::Undecided,
    };
    let claims = vec![
        Claim::new(
            "SPSA and PGD find similar perturbations but for a few images: CURE does not mask gradients.",
            format!(
                "SPSA alone fools {only} of {n}, and finds the smaller margin for {:.1} % ({:.1}–{:.1})",
                100.0 * share,
                100.0 * low,
                100.0 * high
            ),
            verdict,
        )
        .because("where many points are under the line, gradients mislead PGD: see cure masking"),
    ];
    let stem = results.out.join(file(step, "masking"));
    let caption = "Each point is an image of CURE's network. Below the line SPSA found the stronger perturbation.";
    let figure = Figure::read(&stem, "Margins under PGD and SPSA", caption).failed()?;
    Ok(Part { tables: vec![table], figures: vec![figure], claims, ..Part::default() })
}

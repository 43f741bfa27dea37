//! Figs. 6 and 15: accuracy against ε.

use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Table};

use super::{Part, Results};
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::plan::Plan;
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::{Blame, Outcome};
use crate::measured::Measured;

const NETWORKS: [Role; 3] = [Role::Original, Role::Cure, Role::Adversarial];

fn plan(setting: &Setting, plan: &mut Plan, subject: Subject, steps: usize) -> Vec<String> {
    let attacks: Vec<String> = setting
        .scale
        .radii()
        .curve
        .iter()
        .map(|radius| format!("pgd:eps={radius},steps={steps},random-start=false"))
        .collect();
    let images = setting.scale.sizes().curve;
    let minutes = match setting.scale {
        Scale::Demo => 0.02,
        Scale::Cpu => 4.0,
        Scale::Paper => 5.0,
    };
    let mut own = Vec::new();
    for architecture in setting.architectures(subject) {
        for role in NETWORKS {
            let network = (subject, *architecture, role);
            own.push(plan.evaluation(
                setting,
                network,
                &format!("{}-curve", subject.key()),
                &attacks,
                images,
                minutes,
            ));
        }
    }
    own
}

pub(super) fn plan_six(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Cifar10, 20)
}

pub(super) fn plan_fifteen(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Svhn, 10)
}

pub(super) fn read_six(results: &Results<'_>) -> Outcome<Part> {
    read(results, Subject::Cifar10, 20)
}

pub(super) fn read_fifteen(results: &Results<'_>) -> Outcome<Part> {
    read(results, Subject::Svhn, 10)
}

fn read(results: &Results<'_>, subject: Subject, attack_steps: usize) -> Outcome<Part> {
    let setting = results.setting;
    let radii = setting.scale.radii().curve;
    let title = format!("Accuracy under PGD({attack_steps}), {}", setting.subject_name(subject));
    let mut plot = LinePlot::new(title, "ε, largest change of a pixel (0 to 1)", "accuracy")
        .percent_y()
        .y_range(0.0, 1.0)
        .caption("ε = 0 is no attack; bars are 95 % intervals. The paper's figure has the curves of CURE alone, without numbers.");
    let mut table = Table::new(
        format!("Accuracy under PGD({attack_steps})."),
        ["network".to_owned(), "n".into(), "clean".into()]
            .into_iter()
            .chain(radii.iter().map(|radius| format!("ε = {radius}"))),
    );
    let mut claims = Vec::new();
    let mut steps = results.steps.iter();
    for architecture in setting.architectures(subject) {
        let mut found: Vec<Vec<Measured>> = Vec::new();
        for role in NETWORKS {
            let Some(step) = steps.next() else { continue };
            let accuracies = results.accuracies(step)?;
            let name = format!("{architecture}, {}", role.name());
            let points =
                std::iter::once(0.0).chain(radii.iter().filter_map(|radius| value(radius)));
            let series =
                Series::new(name.as_str(), points.zip(accuracies.iter().map(|found| found.value)))
                    .with_error(accuracies.iter().map(|found| (found.ci95[0], found.ci95[1])));
            plot = plot.series(series);
            let head = [Cell::from(name), Cell::from(accuracies[0].n)];
            table = table.row(
                head.into_iter().chain(accuracies.iter().map(|found| Cell::from(found.percent()))),
            );
            found.push(accuracies);
        }
        let [original, cure, _] = &found[..] else { continue };
        let falls = cure.windows(2).all(|pair| pair[1].value <= pair[0].value);
        claims.push(Claim::new(
            "CURE's accuracy falls steadily with ε, without a plateau.",
            format!(
                "from {} to {} at ε = {}",
                cure[0].percent(),
                cure[cure.len() - 1].percent(),
                radii[radii.len() - 1]
            ),
            Verdict::of(falls),
        ));
        let above = original
            .iter()
            .zip(cure)
            .skip(1)
            .filter(|(a, b)| Verdict::below(**a, **b) == Verdict::Agrees)
            .count();
        claims.push(Claim::new(
            "It is above that of the original network at every ε where either stands.",
            format!("clearly above at {above} of {} radii", radii.len()),
            Verdict::of(
                original.iter().zip(cure).skip(1).all(|(a, b)| a.value <= b.value) && above > 0,
            ),
        ));
    }
    Ok(Part {
        tables: vec![table],
        figures: vec![plot.draw().failed()?],
        claims,
        ..Part::default()
    })
}

/// What `8/255` and `0.1` are.
fn value(radius: &str) -> Option<f64> {
    match radius.split_once('/') {
        Some((above, below)) => Some(above.parse::<f64>().ok()? / below.parse::<f64>().ok()?),
        None => radius.parse().ok(),
    }
}

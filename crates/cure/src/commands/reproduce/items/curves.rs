//! Figs. 6 and 15: accuracy against ε.

use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Table};

use super::{Part, Results};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::{Blame, Outcome};
use crate::measured::Measured;
use crate::paired::{Course, Difference, course, is_fallen, sign_test};

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
        let mut standing: Vec<Vec<Vec<bool>>> = Vec::new();
        for role in NETWORKS {
            let Some(step) = steps.next() else { continue };
            let accuracies = results.accuracies(step)?;
            standing.push(results.standing(step)?);
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
        let ([_, cure, _], [original_stands, cure_stands, _]) = (&found[..], &standing[..]) else {
            continue;
        };
        let (verdict, flat) = steadily(cure_stands);
        claims.push(Claim::new(
            "CURE's accuracy falls steadily with ε, without a plateau.",
            format!(
                "from {} to {} at ε = {}, {}",
                cure[0].percent(),
                cure[cure.len() - 1].percent(),
                radii[radii.len() - 1],
                match flat {
                    0 => "at every step that it stands".to_owned(),
                    flat => format!("not clearly so at {flat} of {} steps", radii.len()),
                }
            ),
            verdict,
        ));
        let (verdict, above) = above(original_stands, cure_stands);
        claims.push(Claim::new(
            "It is above that of the original network at every ε where either stands.",
            format!("clearly above at {above} of {} radii (image by image)", radii.len()),
            verdict,
        ));
    }
    Ok(Part {
        tables: vec![table],
        figures: vec![plot.draw().failed()?],
        claims,
        ..Part::default()
    })
}

/// Whether accuracy falls from each ε to the next, and at how many steps it does not clearly.
fn steadily(standing: &[Vec<bool>]) -> (Verdict, usize) {
    let (course, flat) = course(standing);
    let verdict = match course {
        Course::Falls => Verdict::Agrees,
        Course::HasPlateau => Verdict::Differs,
        Course::Unclear => Verdict::Undecided,
    };
    (verdict, flat)
}

/// Whether `second` is above `first` at every ε where either stands, and at how many it clearly is.
fn above(first: &[Vec<bool>], second: &[Vec<bool>]) -> (Verdict, usize) {
    let mut clearly = 0;
    let mut verdict = Verdict::Agrees;
    for (first, second) in first.iter().zip(second).skip(1) {
        if is_fallen(first) && is_fallen(second) {
            continue;
        }
        let lead = Difference::of(second, first);
        let here = Verdict::higher(sign_test(lead.first, lead.second));
        clearly += usize::from(here == Verdict::Agrees);
        verdict = verdict.and(here);
    }
    (if clearly == 0 { verdict.and(Verdict::Undecided) } else { verdict }, clearly)
}

/// What `8/255` and `0.1` are.
fn value(radius: &str) -> Option<f64> {
    match radius.split_once('/') {
        Some((above, below)) => Some(above.parse::<f64>().ok()? / below.parse::<f64>().ok()?),
        None => radius.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a hundred images, so many stand at each ε: the first ones.
    fn curve(counts: &[usize]) -> Vec<Vec<bool>> {
        counts.iter().map(|&count| (0..100).map(|image| image < count).collect()).collect()
    }

    #[test]
    fn one_curve_is_above_another_everywhere_or_not() {
        let low = curve(&[95, 40, 10, 0, 0]);
        assert_eq!(above(&low, &curve(&[80, 60, 40, 20, 1])), (Verdict::Agrees, 3));
        assert_eq!(above(&low, &curve(&[80, 42, 40, 20, 0])), (Verdict::Undecided, 2));
        assert_eq!(above(&low, &curve(&[80, 20, 40, 20, 0])), (Verdict::Differs, 2));
        assert_eq!(above(&curve(&[90, 0, 0]), &curve(&[90, 0, 0])), (Verdict::Undecided, 0));
    }
}

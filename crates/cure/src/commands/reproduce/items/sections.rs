//! Figs. 1, 3, 8 and 13: decision boundaries and loss surfaces.

use cure_report::{Cell, Table};

use super::{Part, Results, lacks};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::Outcome;

const BEFORE_AND_AFTER: [Role; 2] = [Role::Original, Role::DeepFool];
const ALL: [Role; 3] = [Role::Original, Role::DeepFool, Role::Cure];
const FEW: &str = "there are few images, and each counts alike";

/// Whether the report shows a figure, of which there is one for each image.
fn is_shown(results: &Results<'_>, file: &str) -> bool {
    let image = file.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
    image.is_some_and(|image| image < results.setting.scale.sizes().drawn)
}

fn minutes(setting: &Setting, cpu: f64) -> f64 {
    match setting.scale {
        Scale::Demo => 0.05,
        Scale::Cpu => cpu,
        Scale::Paper => 10.0,
    }
}

/// The paper's subjects, as far as there is data for them.
fn subjects(setting: &Setting) -> impl Iterator<Item = Subject> {
    [Subject::Cifar10, Subject::Svhn]
        .into_iter()
        .filter(|&subject| setting.data(subject).is_some())
        // The digits stand for both, and these networks are the same for both.
        .take(if setting.scale == Scale::Demo { 1 } else { 2 })
}

pub(super) fn plan_boundaries(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let images = setting.scale.sizes().sections.to_string();
    let minutes = minutes(setting, 3.0);
    subjects(setting)
        .map(|subject| {
            let options = ["--limit", images.as_str()];
            plan.geometry(setting, subject, &BEFORE_AND_AFTER, ("boundary", ""), &options, minutes)
        })
        .collect()
}

fn surfaces(setting: &Setting, plan: &mut Plan, subject: Subject) -> String {
    let images = setting.scale.sizes().sections.to_string();
    let minutes = minutes(setting, 3.0);
    plan.geometry(setting, subject, &ALL, ("surface", ""), &["--limit", &images], minutes)
}

pub(super) fn plan_surfaces(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    subjects(setting).map(|subject| surfaces(setting, plan, subject)).collect()
}

pub(super) fn plan_cure_surfaces(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    vec![surfaces(setting, plan, Subject::Cifar10)]
}

pub(super) fn plan_svhn_surfaces(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    vec![surfaces(setting, plan, Subject::Svhn)]
}

pub(super) fn read_boundaries(results: &Results<'_>) -> Outcome<Part> {
    let mut part = Part::default();
    for step in results.steps {
        let found = results.geometry(step, "boundary")?;
        let distances = found.means("/distance");
        let bends = found.means("/curvature_magnitude");
        let mut table = Table::new(
            "Means over images with 95 % intervals, ℓ2 over pixels in [0, 1]: how far the boundary is, and how much it bends where it is \
             nearest.",
            ["network", "n", "distance", "|curvature| of the boundary"],
        );
        for ((role, distance), bend) in BEFORE_AND_AFTER.iter().zip(&distances).zip(&bends) {
            let (Some(distance), Some(bend)) = (distance, bend) else { return Err(lacks(step)) };
            table = table.row([
                Cell::from(role.name()),
                Cell::from(distance.n),
                Cell::from(distance.number_in_full()),
                Cell::from(bend.number_in_full()),
            ]);
        }
        let column = |name| results.of_both(step, "boundary", BEFORE_AND_AFTER, name);
        let distance = column("distance")?;
        let bend = column("curvature")?.magnitudes();
        part.claims.push(
            Claim::new(
                "Fine-tuning moves the boundary away from images.",
                format!("the distance is {}", distance.words(false)),
                Verdict::higher(distance.change()),
            )
            .because(FEW),
        );
        part.claims.push(
            Claim::new(
                "Boundaries are flatter afterwards.",
                format!("|curvature| is {}", bend.words(true)),
                Verdict::lower(bend.change()),
            )
            .because(FEW),
        );
        part.tables.push(table);
        part.figures.extend(found.figures(results.out, |file| is_shown(results, file))?);
    }
    Ok(part)
}

pub(super) fn read_surfaces(results: &Results<'_>) -> Outcome<Part> {
    read(
        results,
        Role::DeepFool,
        "Adversarial fine-tuning makes the loss around images smoother and closer to linear.",
    )
}

pub(super) fn read_cure_surfaces(results: &Results<'_>) -> Outcome<Part> {
    read(
        results,
        Role::Cure,
        "CURE flattens the loss around images, as adversarial fine-tuning does.",
    )
}

pub(super) fn read_svhn_surfaces(results: &Results<'_>) -> Outcome<Part> {
    read(results, Role::Cure, "On SVHN, too, CURE flattens the loss.")
}

fn read(results: &Results<'_>, role: Role, paper: &str) -> Outcome<Part> {
    let mut part = Part::default();
    for step in results.steps {
        let found = results.geometry(step, "surface")?;
        let [losses, bends] = ["/largest_loss", "/deviation"].map(|path| found.means(path));
        let mut table = Table::new(
            "In the plane of the figure, means over images with 95 % intervals: the largest loss, and how far the loss goes at \
             most from its tangent plane at the image.",
            ["network", "n", "largest loss", "farthest from the tangent"],
        );
        for ((network, loss), bend) in ALL.iter().zip(&losses).zip(&bends) {
            let (Some(loss), Some(bend)) = (loss, bend) else { return Err(lacks(step)) };
            table = table.row([
                Cell::from(network.name()),
                Cell::from(loss.n),
                Cell::from(loss.number_in_full()),
                Cell::from(bend.number_in_full()),
            ]);
        }
        let pairs = results.of_both(step, "surface", [Role::Original, role], "deviation")?;
        part.claims.push(
            Claim::new(
                paper,
                format!("the largest deviation from the tangent plane is {}", pairs.words(true)),
                Verdict::lower(pairs.change()),
            )
            .because(FEW),
        );
        part.tables.push(table);
        part.figures.extend(
            found.figures(results.out, |file| {
                file.starts_with("surface") && is_shown(results, file)
            })?,
        );
    }
    Ok(part)
}

//! Figs. 2, 9 and 12: curvature profiles.

use cure_report::{Cell, Table};

use super::{Part, Results, lacks};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::Outcome;
use crate::measured::short;

const COUNTED: &str = "the verdict counts images, and an image that was classified with certainty had hardly any loss to bend; where \
     few images have most of the curvature, flattening them shows in the means above and not in the count";
const NETWORKS: [Role; 3] = [Role::Original, Role::DeepFool, Role::Cure];

/// One measurement of all three networks serves the figures of one data set.
fn plan(setting: &Setting, plan: &mut Plan, subject: Subject) -> Vec<String> {
    let images = setting.scale.sizes().profiled.to_string();
    let minutes = match setting.scale {
        Scale::Demo => 0.05,
        Scale::Cpu => 15.0,
        Scale::Paper => 60.0,
    };
    let options = ["--operator", "columns", "--limit", &images];
    vec![plan.geometry(setting, subject, &NETWORKS, ("profile", ""), &options, minutes)]
}

pub(super) fn plan_two(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Cifar10)
}

pub(super) fn plan_nine(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Cifar10)
}

pub(super) fn plan_twelve(setting: &Setting, steps: &mut Plan) -> Vec<String> {
    plan(setting, steps, Subject::Svhn)
}

pub(super) fn read_two(results: &Results<'_>) -> Outcome<Part> {
    read(
        results,
        Role::DeepFool,
        "Fine-tuning on DeepFool's examples strongly decreases the curvature around images.",
    )
}

pub(super) fn read_nine(results: &Results<'_>) -> Outcome<Part> {
    read(
        results,
        Role::Cure,
        "CURE decreases curvature as fine-tuning on DeepFool's examples does.",
    )
}

pub(super) fn read_twelve(results: &Results<'_>) -> Outcome<Part> {
    read(results, Role::Cure, "On SVHN, too, CURE decreases curvature.")
}

fn read(results: &Results<'_>, role: Role, paper: &str) -> Outcome<Part> {
    let Some(step) = results.steps.first() else { return Ok(Part::default()) };
    let found = results.geometry(step, "profile")?;
    let [largest, smallest, frobenius] =
        ["/largest", "/smallest", "/frobenius"].map(|path| found.means(path));
    let medians = found.medians("/frobenius");
    let median = |at: usize| medians.get(at).copied().flatten().map_or("–".into(), short);
    let mut table = Table::new(
        "Means over images with 95 % intervals; eigenvalues of the loss's Hessian over pixels in [0, 1]. The paper gives \
         curves without numbers.",
        ["network", "n", "largest λ", "smallest λ", "‖H‖_F", "median ‖H‖_F"],
    );
    for (at, network) in NETWORKS.iter().enumerate() {
        let [Some(largest), Some(smallest), Some(norm)] =
            [&largest, &smallest, &frobenius].map(|means| means.get(at).copied().flatten())
        else {
            return Err(lacks(step));
        };
        table = table.row([
            Cell::from(network.name()),
            Cell::from(norm.n),
            Cell::from(largest.number_in_full()),
            Cell::from(smallest.number_in_full()),
            Cell::from(norm.number_in_full()),
            Cell::from(median(at)),
        ]);
    }
    let at = NETWORKS.iter().position(|&other| other == role).unwrap_or(0);
    let (Some(before), Some(after)) = (largest[0], largest[at]) else { return Err(lacks(step)) };
    let norms = results.of_both(step, "profile", [Role::Original, role], "frobenius")?;
    let times = before.value / after.value.max(f64::MIN_POSITIVE);
    let mut claims = vec![
        // As the paper measures it: profiles averaged over images.
        Claim::new(
            paper,
            format!(
                "mean largest λ {} before and {} after, {} times smaller",
                before.number_in_full(),
                after.number_in_full(),
                short(times)
            ),
            Verdict::below(after, before),
        )
        .because("means over few images vary with single images of very large curvature"),
        Claim::new(
            "It does so around images in general, and not in the mean alone.",
            format!("‖H‖_F is {}", norms.words(true)),
            Verdict::lower(norms.change()),
        )
        .because(COUNTED),
    ];
    // It is said of the original, which all these figures have.
    if role == Role::DeepFool {
        claims.push(sparse(results, step)?);
    }
    let figures = found.figures(results.out, |_| true)?;
    Ok(Part { tables: vec![table], figures, claims, ..Part::default() })
}

/// "The very sparse nature of curvature profiles": how many of the original's eigenvalues are over a tenth of the largest.
fn sparse(results: &Results<'_>, step: &str) -> Outcome<Claim> {
    let file = results.out.join(crate::commands::pipeline::file(step, "profile.csv"));
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let values: Vec<f64> = text
        .lines()
        .filter(|line| line.starts_with(Role::Original.name()))
        .filter_map(|line| line.split(',').nth(2)?.parse().ok())
        .collect();
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let large = values.iter().filter(|value| value.abs() > largest / 10.0).count();
    if values.is_empty() || largest == 0.0 {
        return Err(lacks(step));
    }
    let share = large as f64 / values.len() as f64;
    Ok(Claim::new(
        "Profiles are very sparse: only a few eigenvalues are large.",
        format!(
            "{large} of {} of the original's are over a tenth of the largest ({:.1} %)",
            values.len(),
            100.0 * share
        ),
        Verdict::of(share <= 0.1),
    )
    .because("an image of few pixels has few directions for curvature to spare"))
}

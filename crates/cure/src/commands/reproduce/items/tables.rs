//! Tables 1 to 3.

use cure_geometry::Mean;
use cure_report::{Cell, Table};

use super::{Part, Results};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::Outcome;
use crate::measured::{Change, Measured};
use crate::paired::signed;

const SMALLER: &str = "another network, another training and fewer images than the paper's";

pub(super) fn pgd(radius: &str, steps: usize) -> String {
    format!("pgd:eps={radius},steps={steps},random-start=false")
}

pub(super) fn text(accuracy: Measured) -> Cell {
    // Number and interval each stay whole where a page has no room for both in a line.
    Cell::from(accuracy.percent_in_full().replace(" %", "\u{a0}%"))
}

/// Minutes of two cores.
pub(super) fn minutes(scale: Scale, at_cpu: f64, at_paper: f64) -> f64 {
    match scale {
        Scale::Demo => 0.02,
        Scale::Cpu => at_cpu,
        Scale::Paper => at_paper,
    }
}

const ONE: [Role; 2] = [Role::Original, Role::DeepFool];

pub(super) fn plan_one(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let (radius, sizes) = (setting.scale.radii().small, setting.scale.sizes());
    let attacks = [
        format!("fgsm:eps={radius}"),
        format!("deepfool:norm=linf,eps={radius}"),
        pgd(radius, 7),
        pgd(radius, 20),
    ];
    let architecture = setting.architectures(Subject::Cifar10)[0];
    ONE.map(|role| {
        let network = (Subject::Cifar10, architecture, role);
        let minutes = minutes(setting.scale, 2.0, 2.0);
        plan.evaluation(setting, network, "table1", &attacks, sizes.evaluated, minutes)
    })
    .to_vec()
}

/// The paper's, in percent.
const TABLE_ONE: [[&str; 4]; 2] =
    [["38.0", "11.0", "0.5", "0.2"], ["61.0", "57.5", "57.2", "56.9"]];

pub(super) fn read_one(results: &Results<'_>) -> Outcome<Part> {
    let radius = results.setting.scale.radii().small;
    let mut table = Table::new(
        format!(
            "Accuracy under ℓ∞ attacks at ε = {radius}, 95 % intervals below the paper's numbers (ε = 4/255)."
        ),
        ["network", "", "n", "FGSM", "ℓ∞-DeepFool", "PGD(7)", "PGD(20)"],
    );
    let mut found = Vec::new();
    for ((role, step), paper) in ONE.iter().zip(results.steps).zip(TABLE_ONE) {
        let accuracies = results.accuracies(step)?;
        let head = [Cell::from(role.name()), Cell::from("paper"), Cell::Missing];
        table =
            table.row(head.into_iter().chain(paper.map(|value| Cell::from(format!("{value} %")))));
        let head = [Cell::from(role.name()), Cell::from("here"), Cell::from(accuracies[0].n)];
        table = table.row(head.into_iter().chain(accuracies[1..].iter().map(|&value| text(value))));
        found.push(accuracies);
    }
    let [before, after] = [&found[0], &found[1]];
    let [first, second] = results.steps else { return Ok(Part::default()) };
    let (gap_before, gap_after, change) =
        gaps(&results.standing(first)?, &results.standing(second)?);
    let claims = vec![
        Claim::new(
            "Fine-tuning on DeepFool's examples makes the network robust: PGD(20) leaves 0.2 % before and 56.9 % after.",
            format!("{} before and {} after", before[4].percent_in_full(), after[4].percent_in_full()),
            Verdict::below(before[4], after[4]),
        )
        .because(SMALLER),
        Claim::new(
            "Afterwards simple attacks do nearly as well as strong ones: FGSM leaves 37.8 points more than PGD(20) before \
             and 4.1 after.",
            format!(
                "{} points before and {} after: closed by {} points ({})",
                signed(gap_before),
                signed(gap_after),
                signed(gap_before - gap_after),
                change.map_or("of one image".into(), |[low, high]| format!("{} to {}", signed(low), signed(high)))
            ),
            match change {
                Some([low, _]) if low > 0.0 => Verdict::Agrees,
                Some([_, high]) if high < 0.0 => Verdict::Differs,
                _ => Verdict::Undecided,
            },
        )
        .because(SMALLER),
    ];
    Ok(Part { tables: vec![table], claims, ..Part::default() })
}

/// By how many points of accuracy FGSM leaves more than PGD(20), before and after, and the 95 % interval of how much the
/// gap closes, of the same images in both.
fn gaps(before: &[Vec<bool>], after: &[Vec<bool>]) -> (f64, f64, Option<[f64; 2]>) {
    let gap = |of: &[Vec<bool>]| -> Vec<f64> {
        let (one_step, twenty) = (&of[1], &of[4]);
        one_step.iter().zip(twenty).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect()
    };
    let (before, after) = (gap(before), gap(after));
    let closed: Vec<f64> = before.iter().zip(&after).map(|(a, b)| 100.0 * (a - b)).collect();
    let mean = |gaps: &[f64]| 100.0 * gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
    let change = Mean::of(&closed).filter(|mean| mean.n > 1).map(|mean| mean.ci95);
    (mean(&before), mean(&after), change)
}

const TWO: [Role; 3] = [Role::Original, Role::Cure, Role::Adversarial];
/// Clean and under PGD(20), for ResNet-18 and WideResNet-28-10, in percent.
const TABLE_TWO: [[[&str; 2]; 3]; 2] = [
    [["94.9", "0.0"], ["81.2", "36.3"], ["79.4", "43.7"]],
    [["94.6", "0.0"], ["83.1", "41.4"], ["87.3", "45.8"]],
];
const TABLE_THREE: [[[&str; 2]; 3]; 1] = [[["96.3", "0.9"], ["91.1", "28.4"], ["93", "33"]]];

pub(super) fn plan_two(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let radius = setting.scale.radii().main;
    plan_accuracies(setting, plan, Subject::Cifar10, "table2", radius, 20)
}

pub(super) fn plan_three(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let radius = setting.scale.radii().large;
    plan_accuracies(setting, plan, Subject::Svhn, "table3", radius, 10)
}

/// For each architecture and role the attack of the table, and AutoAttack.
fn plan_accuracies(
    setting: &Setting,
    plan: &mut Plan,
    subject: Subject,
    what: &str,
    radius: &str,
    steps: usize,
) -> Vec<String> {
    let (sizes, scale) = (setting.scale.sizes(), setting.scale);
    let mut own = Vec::new();
    for architecture in setting.architectures(subject) {
        for role in TWO {
            let network = (subject, *architecture, role);
            let attacks = [pgd(radius, steps)];
            let minutes_of = minutes(scale, 1.0, 2.0);
            own.push(plan.evaluation(
                setting,
                network,
                what,
                &attacks,
                sizes.evaluated,
                minutes_of,
            ));
            let attacks = [format!("autoattack:norm=linf,eps={radius}")];
            let minutes_of = match role {
                Role::Original => minutes(scale, 0.5, 2.0),
                _ => minutes(scale, 10.0, 60.0),
            };
            let what = format!("{what}-autoattack");
            let images = sizes.autoattacked;
            own.push(plan.evaluation(setting, network, &what, &attacks, images, minutes_of));
        }
    }
    own
}

pub(super) fn read_two(results: &Results<'_>) -> Outcome<Part> {
    let radius = results.setting.scale.radii().main;
    let caption = format!(
        "Accuracy, clean, under PGD(20) and under AutoAttack at ε = {radius} (paper: 8/255, without AutoAttack), with \
         95 % intervals. The paper's row of adversarial training is Madry et al.'s, from random weights; here it is \
         fine-tuning on PGD's examples from the same start as CURE."
    );
    read_accuracies(results, Subject::Cifar10, &caption, "PGD(20)", &TABLE_TWO)
}

pub(super) fn read_three(results: &Results<'_>) -> Outcome<Part> {
    let radius = results.setting.scale.radii().large;
    let caption = format!(
        "Accuracy, clean, under PGD(10) and under AutoAttack at ε = {radius} (paper: 12/255, without AutoAttack), with \
         95 % intervals. The paper's row of adversarial training is Buckman et al.'s; here it is fine-tuning on PGD's \
         examples from the same start as CURE."
    );
    read_accuracies(results, Subject::Svhn, &caption, "PGD(10)", &TABLE_THREE)
}

fn read_accuracies(
    results: &Results<'_>,
    subject: Subject,
    caption: &str,
    attack: &str,
    papers: &[[[&str; 2]; 3]],
) -> Outcome<Part> {
    let columns = ["network", "", "n", "clean", attack, "n", "AutoAttack"];
    let mut table = Table::new(caption, columns);
    let mut claims = Vec::new();
    let mut steps = results.steps.iter();
    let names = ["ResNet-18", "WideResNet-28-10"];
    for ((architecture, paper), name) in
        results.setting.architectures(subject).iter().zip(papers).zip(names)
    {
        let mut robust = Vec::new();
        let mut clean = Vec::new();
        for (role, [of_clean, of_robust]) in TWO.iter().zip(paper) {
            let network = format!("{architecture}, {}", role.name());
            let [percent, robust_percent] =
                [of_clean, of_robust].map(|v| Cell::from(format!("{v} %")));
            let head = [
                Cell::from(format!("{name}, {}", role.name())),
                Cell::from("paper"),
                Cell::Missing,
            ];
            table = table.row(head.into_iter().chain([
                percent,
                robust_percent,
                Cell::Missing,
                Cell::Missing,
            ]));
            let (Some(step), Some(auto)) = (steps.next(), steps.next()) else { continue };
            let (found, under_auto) = (results.accuracies(step)?, results.accuracies(auto)?);
            table = table.row([
                Cell::from(network),
                Cell::from("here"),
                Cell::from(found[0].n),
                text(found[0]),
                text(found[1]),
                Cell::from(under_auto[1].n),
                text(under_auto[1]),
            ]);
            clean.push(found[0]);
            robust.push(found[1]);
        }
        let [normal, cure, adversarial] = robust[..] else { continue };
        let [[_, paper_normal], [_, paper_cure], [_, paper_adversarial]] = *paper;
        claims.push(
            Claim::new(
                &format!(
                    "CURE makes {name} robust: {attack} leaves {paper_normal} % before and {paper_cure} % after."
                ),
                format!("{} before and {} after", normal.percent_in_full(), cure.percent_in_full()),
                Verdict::below(normal, cure),
            )
            .because(SMALLER),
        );
        claims.push(
            Claim::new(
                &format!(
                    "CURE comes near adversarial training ({paper_cure} % and {paper_adversarial} %), and is slightly worse."
                ),
                format!(
                    "{} with CURE and {} with adversarial training, {:.0} % of it",
                    cure.percent_in_full(),
                    adversarial.percent_in_full(),
                    100.0 * cure.value / adversarial.value.max(f64::MIN_POSITIVE)
                ),
                near(cure, adversarial),
            )
            .because(SMALLER),
        );
    }
    Ok(Part { tables: vec![table], claims, ..Part::default() })
}

/// Whether CURE has at least three quarters of adversarial training's robust accuracy (the paper's have 83, 90 and
/// 86 %), and not more than all of it.
fn near(cure: Measured, adversarial: Measured) -> Verdict {
    const SHARE: f64 = 0.75;
    let of = |end: f64| SHARE * end;
    if cure.ci95[1] < of(adversarial.ci95[0]) || cure.against(adversarial) == Change::Higher {
        Verdict::Differs
    } else if cure.ci95[0] >= of(adversarial.ci95[1]) {
        Verdict::Agrees
    } else {
        Verdict::Undecided
    }
}

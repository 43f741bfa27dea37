//! Tables 1 to 3, and what section 4 says of stronger attacks.

use cure_report::{Cell, Table};

use super::{Part, Results};
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::plan::Plan;
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::Outcome;
use crate::measured::Measured;

const SMALLER: &str = "another network, another training and fewer images than the paper's";

fn pgd(radius: &str, steps: usize) -> String {
    format!("pgd:eps={radius},steps={steps},random-start=false")
}

fn text(accuracy: Measured) -> Cell {
    // Number and interval each stay whole where a page has no room for both in a line.
    Cell::from(accuracy.percent_in_full().replace(" %", "\u{a0}%"))
}

/// Minutes of two cores.
fn minutes(scale: Scale, at_cpu: f64, at_paper: f64) -> f64 {
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
    let gap = |of: &[Measured]| 100.0 * (of[1].value - of[4].value);
    let (gap_before, gap_after) = (gap(before), gap(after));
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
            format!("{gap_before:.1} points before and {gap_after:.1} after"),
            gap_verdict(gap_before, gap_after, after[4].n),
        )
        .because(SMALLER),
    ];
    Ok(Part { tables: vec![table], claims, ..Part::default() })
}

/// Whether the gap closed by more than such gaps vary by.
fn gap_verdict(before: f64, after: f64, n: usize) -> Verdict {
    // The same images stand in both; a generous bound on the standard error of each gap, in points.
    let error = 100.0 * (0.5 / n.max(1) as f64).sqrt();
    match before - after {
        change if change > 2.0 * error => Verdict::Agrees,
        change if change < -2.0 * error => Verdict::Differs,
        _ => Verdict::Undecided,
    }
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
/// 86 %).
fn near(cure: Measured, adversarial: Measured) -> Verdict {
    const SHARE: f64 = 0.75;
    let of = |end: f64| SHARE * end;
    if cure.ci95[0] >= of(adversarial.ci95[1]) {
        Verdict::Agrees
    } else if cure.ci95[1] < of(adversarial.ci95[0]) {
        Verdict::Differs
    } else {
        Verdict::Undecided
    }
}

pub(super) fn plan_stronger(setting: &Setting, plan: &mut Plan) -> Vec<String> {
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

pub(super) fn read_stronger(results: &Results<'_>) -> Outcome<Part> {
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
    let lost = 100.0 * (pgd[1].value - pgd[3].value);
    let claims = vec![
        Claim::new(
            "Five times as many steps hardly find more: PGD(100) leaves 0.3 points less than PGD(20).",
            format!("{lost:.1} points less"),
            Verdict::of(lost <= 2.0),
        )
        .because("the steps of PGD(20) are too few for this network: trust the longer attack"),
        Claim::new(
            "Without gradients nothing more is found: SPSA leaves 44.5 %, PGD(20) 41.4 %.",
            format!("{} under SPSA, {} under PGD(20)", spsa[1].percent_in_full(), spsa[2].percent_in_full()),
            Verdict::of(spsa[1].value >= spsa[2].value - 0.02),
        )
        .because("gradients hide something: see fig7"),
    ];
    Ok(Part { tables: vec![table], claims, ..Part::default() })
}

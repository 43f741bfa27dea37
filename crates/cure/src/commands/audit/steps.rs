//! The measurements of an audit, each a command of this program that can be repeated by hand.

use cure_attacks::Epsilon;

use super::budget::Costs;
use super::setting::Setting;
use crate::commands::pipeline::{Kind, Plan, RESULTS, ROWS, Step, file, folder, words};

pub(super) const ATTACKS: &str = "attacks";
pub(super) const AUTOATTACK: &str = "autoattack";
pub(super) const MASKING: &str = "masking";
pub(super) const CURVE: &str = "curve";
pub(super) const PROFILE: &str = "profile";
pub(super) const BOUNDS: &str = "bounds";

/// Steps of PGD, and of the longer one that shows whether they are enough.
pub(super) const STEPS: [usize; 2] = [20, 100];
/// The largest ε of the curve: where every image can be made the same grey one.
const GREY: f64 = 0.5;

/// What the attacks of [`ATTACKS`] are called, in their order.
pub(super) const NAMES: [&str; 5] =
    ["noise", "FGSM", "PGD(20)", "PGD(20), random start", "PGD(100), random start"];

/// The radii of the curve: parts and multiples of ε, and half of all there is.
pub(super) fn radii(epsilon: Epsilon) -> Vec<Epsilon> {
    let mut radii: Vec<Epsilon> =
        [0.25, 0.5, 1.0, 2.0, 4.0].iter().map(|factor| epsilon.times(*factor)).collect();
    radii.retain(|radius| radius.value() < GREY);
    // It is a length that every reader takes.
    radii.extend(Epsilon::new(GREY));
    radii
}

pub(super) fn plan(setting: &Setting, epsilon: Epsilon) -> Plan {
    let (sizes, costs) = (&setting.sizes, setting.pace.costs(setting.sizes.spsa_steps));
    let mut plan = Plan::default();
    let eps = epsilon.notation();
    let [few, many] = STEPS;
    let attacks = [
        format!("noise:eps={eps}"),
        format!("fgsm:eps={eps}"),
        format!("pgd:eps={eps},steps={few},random-start=false"),
        format!("pgd:eps={eps},steps={few}"),
        format!("pgd:eps={eps},steps={many}"),
    ];
    evaluate(
        &mut plan,
        setting,
        ATTACKS,
        "noise, FGSM and PGD",
        &attacks,
        sizes.attacks,
        costs.attacks,
    );
    let curve: Vec<String> = radii(epsilon)
        .iter()
        .map(|radius| format!("pgd:eps={},steps={few},random-start=false", radius.notation()))
        .collect();
    evaluate(&mut plan, setting, CURVE, "PGD at several ε", &curve, sizes.curve, costs.curve);
    geometry(&mut plan, setting, PROFILE, "curvature", &costs);
    geometry(&mut plan, setting, BOUNDS, "Theorem 1's bounds and distances", &costs);

    let mut command = words(&["masking"]);
    command.extend(images(setting, sizes.masking));
    command.extend(words(&["--eps", &eps, "--spsa-steps", &sizes.spsa_steps.to_string()]));
    command.extend(words(&["--out", &folder(MASKING)]));
    let title = format!("SPSA against PGD, {} images", sizes.masking);
    add(
        &mut plan,
        setting,
        MASKING,
        title,
        command,
        &[RESULTS],
        costs.masking * sizes.masking as f64,
    );

    // The standard version compares four logits.
    let (what, version) = match setting.classes {
        0..4 => ("AutoAttack without targets", ",version=custom,members=apgd+fab+square"),
        _ => ("AutoAttack", ""),
    };
    let strongest = [format!("autoattack:norm=linf,eps={eps}{version}")];
    let (count, cost) = (sizes.autoattack, costs.autoattack);
    evaluate(&mut plan, setting, AUTOATTACK, what, &strongest, count, cost);
    plan
}

/// Network and so many of the images, as a command line has them.
fn images(setting: &Setting, count: usize) -> Vec<String> {
    let asked = &setting.asked;
    let mut line = asked.model.clone();
    line.extend(words(&["--data", &asked.data, "--split", &asked.split]));
    match asked.first {
        0 => line.extend(words(&["--limit", &count.to_string()])),
        first => line.extend(words(&["--indices", &format!("{first}..{}", first + count)])),
    }
    line
}

fn evaluate(
    plan: &mut Plan,
    setting: &Setting,
    id: &str,
    what: &str,
    attacks: &[String],
    count: usize,
    cost: f64,
) {
    let mut command = words(&["evaluate"]);
    command.extend(images(setting, count));
    attacks.iter().for_each(|attack| command.extend(words(&["--attack", attack])));
    command.extend(words(&["--journal", &file(id, "journal.jsonl")]));
    command.extend(words(&["--json", &file(id, RESULTS), "--csv", &file(id, ROWS)]));
    let title = format!("{what}, {count} images");
    add(plan, setting, id, title, command, &[RESULTS, ROWS], cost * count as f64);
}

fn geometry(plan: &mut Plan, setting: &Setting, id: &str, what: &str, costs: &Costs) {
    let count = setting.sizes.geometry;
    let mut command = words(&["geometry", id]);
    command.extend(images(setting, count));
    command.extend(words(&["--operator", "exact", "--out", &folder(id)]));
    let title = format!("{what}, {count} images");
    let [json, rows] = [format!("{id}.json"), format!("{id}-samples.csv")];
    let seconds = costs.geometry * count as f64 / 2.0;
    add(plan, setting, id, title, command, &[&json, &rows], seconds);
}

fn add(
    plan: &mut Plan,
    setting: &Setting,
    id: &str,
    title: String,
    mut command: Vec<String>,
    makes: &[&str],
    seconds: f64,
) {
    command.extend(words(&["--seed", &setting.asked.seed.to_string()]));
    plan.add(Step {
        id: id.to_owned(),
        title,
        kind: Kind::Measurement,
        needs: Vec::new(),
        reads: vec![setting.asked.network.clone()],
        command,
        makes: makes.iter().map(|name| file(id, name)).collect(),
        minutes: seconds / 60.0,
    });
}

//! Figs. 4 and 5 and Remark 3: Theorem 1 and what it rests on.

use cure_geometry::TheoremOne;
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Table};

use super::{Part, Results, lacks};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::claims::{Claim, Verdict};
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::{Blame, Outcome};

const NETWORKS: [Role; 3] = [Role::Original, Role::DeepFool, Role::Cure];

pub(super) fn plan_nothing(_: &Setting, _: &mut Plan) -> Vec<String> {
    Vec::new()
}

fn minutes(setting: &Setting, cpu: f64) -> f64 {
    match setting.scale {
        Scale::Demo => 0.05,
        Scale::Cpu => cpu,
        Scale::Paper => 30.0,
    }
}

pub(super) fn plan_bounds(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let images = setting.scale.sizes().bounded.to_string();
    let options = ["--limit", images.as_str()];
    let minutes = minutes(setting, 15.0);
    vec![plan.geometry(setting, Subject::Cifar10, &NETWORKS, ("bounds", ""), &options, minutes)]
}

/// The figure's own values: ‖∇ℓ‖ = 1, c = 1, ∇ℓᵀv = 0.5.
pub(super) fn read_bounds(results: &Results<'_>) -> Outcome<Part> {
    let at = |curvature: f64| TheoremOne::new(1.0, 1.0, 0.5, curvature);
    let steps = || (1..=500).map(|step| f64::from(step) / 50.0);
    let lower: Vec<(f64, f64)> = steps().map(|nu| (nu, at(nu).lower)).collect();
    let upper: Vec<(f64, f64)> = steps().map(|nu| (nu, at(nu).upper)).collect();
    let figure =
        LinePlot::new("Bounds on ‖r*‖ for ‖∇ℓ‖ = 1, c = 1, ∇ℓᵀu = 0.5", "curvature ν", "‖r*‖")
            .series(Series::new("upper bound, eq. (3)", upper.iter().copied()))
            .series(Series::new("lower bound, eq. (2)", lower.iter().copied()))
            .caption("The paper's Fig. 4, from the paper's formulas and values.")
            .draw()
            .failed()?;
    let mut part = Part { figures: vec![figure], ..Part::default() };
    part.paragraphs.push(format!(
        "Both bounds fall as curvature grows, from {:.2} to {:.2} and from {:.2} to {:.2} between ν = {} and {}: what the \
         formulas say, computed and not measured, so that there is no verdict.",
        lower[0].1,
        lower[lower.len() - 1].1,
        upper[0].1,
        upper[upper.len() - 1].1,
        lower[0].0,
        lower[lower.len() - 1].0
    ));
    let Some(step) = results.steps.first() else { return Ok(part) };
    let found = results.geometry(step, "bounds")?;
    let columns =
        ["/of_bounded/lower", "/of_bounded/model", "/of_bounded/upper", "/of_bounded/measured"];
    let medians = columns.map(|path| found.medians(path));
    let counts = found.means("/of_bounded/measured");
    let mut table = Table::new(
        "On real images: medians of the theorem's bounds, of the exact minimum of the quadratic model, and of the distance \
         that an attack finds (ℓ2, pixels in [0, 1]). The theorem is about the model: where the loss is not quadratic as \
         far as the boundary, the distance is another.",
        ["network", "n", "lower bound", "model", "upper bound", "distance"],
    );
    for (at, role) in NETWORKS.iter().enumerate() {
        let count = counts.get(at).copied().flatten().map_or(0, |mean| mean.n);
        let cells = medians.each_ref().map(|values| match values.get(at).copied().flatten() {
            Some(value) => Cell::from(crate::measured::short(value)),
            None => Cell::Missing,
        });
        table = table.row([Cell::from(role.name()), Cell::from(count)].into_iter().chain(cells));
    }
    part.tables.push(table);
    part.figures.extend(found.figures(results.out, |file| file == "bounds")?);
    Ok(part)
}

/// Losses of one dimension that have value and slope in common at 0, and cross t where curvature decides.
pub(super) fn read_one_dimension(_: &Results<'_>) -> Outcome<Part> {
    const THRESHOLD: f64 = 1.0;
    const SLOPE: f64 = 0.5;
    let crossing = |curvature: f64| TheoremOne::new(THRESHOLD, SLOPE, SLOPE, curvature).lower;
    let mut plot = LinePlot::new("Losses of different curvature at x₀", "x − x₀", "ℓ(x) − ℓ(x₀)")
        .y_range(0.0, 1.4)
        .caption(
            "The paper's Fig. 5: loss and slope are the same at x₀, and the more a loss bends the sooner it reaches t.",
        );
    let mut crossings = Vec::new();
    for curvature in [0.1, 0.5, 1.0, 2.0] {
        let reach = crossing(curvature);
        let points = (0..=100).map(|step| {
            let x = f64::from(step) / 100.0 * 2.0;
            (x, SLOPE * x + curvature / 2.0 * x * x)
        });
        plot =
            plot.series(Series::new(format!("ν = {curvature}, reaches t at {reach:.2}"), points));
        crossings.push(reach);
    }
    plot = plot.series(Series::new("t", [(0.0, THRESHOLD), (2.0, THRESHOLD)]));
    let at: Vec<String> = crossings.iter().map(|x| format!("{x:.2}")).collect();
    let paragraphs = vec![format!(
        "The more a loss bends, the smaller the perturbation that reaches t: {}. It is a drawing of what the theorem says, so \
         that there is no verdict.",
        at.join(", ")
    )];
    Ok(Part { paragraphs, figures: vec![plot.draw().failed()?], ..Part::default() })
}

pub(super) fn plan_alignment(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let sizes = setting.scale.sizes();
    let images = sizes.aligned.to_string();
    let few = sizes.aligned_by_columns.to_string();
    let exact = ["--limit", images.as_str()];
    let columns = ["--operator", "columns", "--h", setting.scale.h(), "--limit", few.as_str()];
    let subject = Subject::Cifar10;
    vec![
        plan.geometry(
            setting,
            subject,
            &NETWORKS,
            ("alignment", "-columns"),
            &columns,
            minutes(setting, 10.0),
        ),
        plan.geometry(
            setting,
            subject,
            &NETWORKS,
            ("alignment", ""),
            &exact,
            minutes(setting, 10.0),
        ),
    ]
}

pub(super) fn read_alignment(results: &Results<'_>) -> Outcome<Part> {
    let [by_columns, exactly] = results.steps else { return Ok(Part::default()) };
    let [columns, exact] =
        [results.geometry(by_columns, "alignment")?, results.geometry(exactly, "alignment")?];
    let [of_columns, of_exact] = [columns.means("/alignment"), exact.means("/alignment")];
    let chance = exact.found["chance"].as_f64().unwrap_or_default();
    let h = results.setting.scale.h();
    let mut table = Table::new(
        format!(
            "|∇ℓᵀu| / ‖∇ℓ‖, u the eigenvector of the largest eigenvalue: mean over images with 95 % interval. The paper does not \
             give the h of its H; here H is the symmetric matrix of differences along every pixel at h = {h}, the length that CURE trains \
             with, and the exact one. Two directions drawn at random have 1/√d = {chance:.3} here, 0.02 in the paper."
        ),
        [
            "network".to_owned(),
            "paper".into(),
            format!("h = {h}"),
            "n".into(),
            "exact H".into(),
            "n".into(),
        ],
    );
    for (((role, at_h), exact), paper) in
        NETWORKS.iter().zip(&of_columns).zip(&of_exact).zip(["0.43", "0.90", "–"])
    {
        let (Some(at_h), Some(exact)) = (at_h, exact) else { return Err(lacks(by_columns)) };
        table = table.row([
            Cell::from(role.name()),
            Cell::from(paper),
            Cell::from(at_h.number_in_full()),
            Cell::from(at_h.n),
            Cell::from(exact.number_in_full()),
            Cell::from(exact.n),
        ]);
    }
    let Some(Some(before)) = of_columns.first() else { return Err(lacks(by_columns)) };
    let roles = [Role::Original, Role::DeepFool];
    let pairs = results.of_both(by_columns, "alignment", roles, "alignment")?;
    let claims = vec![
        Claim::new(
            "The gradient is not orthogonal to the direction of largest curvature: 0.43, where chance would give 0.02.",
            format!("{} at h = {h}, where chance would give {chance:.3}", before.number_in_full()),
            match before.ci95 {
                [low, _] if low > 2.0 * chance => Verdict::Agrees,
                [_, high] if high < 2.0 * chance => Verdict::Differs,
                _ => Verdict::Undecided,
            },
        ),
        Claim::new(
            "It is more nearly along it after fine-tuning on DeepFool's examples: 0.43 before and 0.90 after.",
            format!("at h = {h} it is {}", pairs.words(false)),
            Verdict::higher(pairs.change()),
        )
        .because("it depends on h, which the paper does not give: docs/geometry.md"),
    ];
    let figures = [&columns, &exact].map(|found| found.figures(results.out, |_| true));
    let mut drawn = Vec::new();
    for figures in figures {
        drawn.extend(figures?);
    }
    Ok(Part { tables: vec![table], figures: drawn, claims, ..Part::default() })
}

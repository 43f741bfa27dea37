//! What an audit comes to: report, results and what the terminal shows.

use std::path::Path;

use cure_attacks::Epsilon;
use cure_report::plot::{LinePlot, Series};
use cure_report::{Cell, Figure, Report, Section, Table};
use serde_json::{Value, json};

use super::budget;
use super::checks::{Check, checks};
use super::findings::{Findings, accuracy};
use super::setting::Setting;
use super::steps::NAMES;
use super::verdict::Verdict;
use crate::arguments::General;
use crate::commands::pipeline::{Plan, shell};
use crate::failure::{Blame, Outcome};
use crate::measured::{Measured, short};
use crate::output::{PROGRAM, write_json};

/// All of it.
pub(super) struct Audit<'a> {
    setting: &'a Setting,
    plan: &'a Plan,
    device: String,
    found: Findings,
    checks: Vec<Check>,
    verdict: Verdict,
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        general: &General,
        setting: &'a Setting,
        plan: &'a Plan,
        found: Findings,
        epsilon: Epsilon,
    ) -> Self {
        let checks = checks(&found);
        let verdict = Verdict::of(&found, &checks, epsilon);
        let device = match general.plain_sums {
            true => format!("{}, plain sums", cure_tensor::device()),
            false => cure_tensor::device().to_string(),
        };
        Self { setting, plan, device, found, checks, verdict }
    }

    pub(super) fn save(&self, out: &Path) -> Outcome {
        let curve = self.curve()?;
        curve.save(out.join("figures"), "curve").failed()?;
        write_json(&out.join("results.json"), &self.json())?;
        self.html(curve).save(out.join("report.html")).failed()
    }

    fn json(&self) -> Value {
        json!({
            "tool": PROGRAM,
            "command": "audit",
            "device": self.device,
            "setting": self.setting,
            "model": self.found.network,
            "verdict": self.verdict,
            "checks": self.checks,
            "found": self.found.json(),
            "steps": self.plan.steps.iter().map(|step| format!("cure {}", shell(&step.command))).collect::<Vec<_>>(),
        })
    }

    fn html(&self, curve: Figure) -> Report {
        let mut report = Report::new(format!("Audit: {}", self.verdict.headline)).unnumbered();
        for sentence in &self.verdict.sentences {
            report = report.summary(sentence.as_str());
        }
        report = report
            .section(Section::new("The questions, and what was measured").table(self.questions()))
            .section(
                Section::new("Accuracy under attack")
                    .table(self.accuracies())
                    .figure(curve)
                    .paragraph(
                        "An accuracy under attack is an upper bound: it is as good as the attack. The last row is the one to quote, \
                         with ε, n and its interval.",
                    ),
            );
        if !self.found.warnings.is_empty() {
            let mut section = Section::new("What the attacks remarked");
            for warning in &self.found.warnings {
                section = section.paragraph(warning.as_str());
            }
            report = report.section(section);
        }
        let mut geometry = Section::new("Curvature around images, and gradients against none")
            .table(self.geometry());
        for figure in &self.found.figures {
            geometry = geometry.figure(figure.clone());
        }
        let commands: Vec<String> =
            self.plan.steps.iter().map(|step| format!("cure {}", shell(&step.command))).collect();
        report = report
            .section(geometry)
            .section(Section::new("What was cut").table(budget::cuts(self.setting)))
            .section(
                Section::new("To repeat it").paragraph("In this folder:").code(commands.join("\n")),
            );
        self.provenance()
            .into_iter()
            .fold(report, |report, (key, value)| report.provenance(key, value))
    }

    fn questions(&self) -> Table {
        let caption = "Good is what is seen where attacks work. Carlini et al., On evaluating adversarial robustness, 2019; Pintor et \
                       al., Indicators of attack failure, 2022.";
        self.checks.iter().fold(
            Table::new(caption, ["question", "answer", "from", "asked by"]),
            |table, check| {
                table.row([
                    Cell::from(check.question),
                    Cell::from(check.answer.word()),
                    Cell::from(check.evidence.as_str()),
                    Cell::from(check.source),
                ])
            },
        )
    }

    fn accuracies(&self) -> Table {
        let caption = format!(
            "ε = {} in ℓ∞, pixels in [0, 1]; seed {}; 95 % intervals (Wilson).",
            self.setting.asked.epsilon, self.setting.asked.seed
        );
        let row = |table: Table, name: &str, found: Measured, blind: Option<usize>| {
            let blind = blind.map_or(Cell::Missing, Cell::from);
            table.row([
                Cell::from(name),
                Cell::from(found.percent_in_full()),
                Cell::from(found.n),
                blind,
            ])
        };
        let columns = ["attack", "stand", "n", "of them without a gradient"];
        let found = &self.found;
        let blind = std::iter::once(None).chain(found.undecided.iter().copied().map(Some));
        let names = std::iter::once("clean").chain(NAMES);
        let table = names
            .zip(&found.standing)
            .zip(blind)
            .fold(Table::new(caption, columns), |table, ((name, standing), blind)| {
                row(table, name, accuracy(standing), blind)
            });
        let table = row(table, "AutoAttack", accuracy(&found.auto_standing), None);
        row(table, "all of these, the worst for each image", found.worst(), None)
    }

    fn geometry(&self) -> Table {
        let found = &self.found;
        let mean = |found: Option<Measured>| found.map_or("–".into(), Measured::number_in_full);
        let middle = |found: Option<f64>| found.map_or("–".into(), short);
        let [largest, norm] = found.curvature;
        let [lower, upper, measured] = found.bounds;
        let below = format!("{} of {}", found.masking.below, found.masking.n);
        [
            ("largest eigenvalue of the loss's exact Hessian, mean", mean(largest)),
            ("‖H‖_F, mean", mean(norm)),
            ("‖H‖_F, median", middle(found.median_norm)),
            ("Theorem 1's lower bound, median (ℓ2)", middle(lower)),
            ("Theorem 1's upper bound, median (ℓ2)", middle(upper)),
            ("distance that DeepFool finds, median (ℓ2)", middle(measured)),
            ("images where SPSA leaves the smaller margin", below),
        ]
        .into_iter()
        .fold(
            Table::new(
                format!(
                    "{} images; pixels in [0, 1]. The theorem is about the quadratic model of the loss: it bounds the distance where \
                     the loss is quadratic as far as the boundary, and far from it no more.",
                    self.setting.sizes.geometry
                ),
                ["", "found"],
            ),
            |table, (what, value)| table.row([Cell::from(what), Cell::from(value)]),
        )
    }

    fn curve(&self) -> Outcome<Figure> {
        let found = &self.found;
        let points = std::iter::once(0.0).chain(found.radii.iter().map(|radius| 255.0 * radius));
        // The last, half of all there is, would leave the others no room.
        let shown: Vec<Measured> =
            found.curve_standing.iter().map(|standing| accuracy(standing)).collect();
        let shown = &shown[..shown.len().saturating_sub(1)];
        let series = Series::new("PGD(20)", points.zip(shown.iter().map(|found| found.value)))
            .with_error(shown.iter().map(|found| (found.ci95[0], found.ci95[1])));
        LinePlot::new("Accuracy against ε", "ε (ℓ∞), in 1/255", "accuracy")
            .percent_y()
            .y_range(0.0, 1.0)
            .series(series)
            .caption(format!(
                "{} images; ε = 0 is no attack, bars are 95 % intervals.",
                shown.first().map_or(0, |found| found.n)
            ))
            .draw()
            .failed()
    }

    fn provenance(&self) -> Vec<(String, String)> {
        let (asked, network) = (&self.setting.asked, &self.found.network);
        let text = |name: &str| network[name].as_str().unwrap_or_default().to_owned();
        let name = Path::new(&asked.network).file_name().unwrap_or_default().to_string_lossy();
        vec![
            ("program".into(), PROGRAM.into()),
            ("device".into(), self.device.clone()),
            ("network".into(), format!("{name}: {}", text("arch"))),
            ("its SHA-256".into(), text("weights_sha256")),
            ("normalisation".into(), text("normalization")),
            ("data".into(), self.found.data.clone()),
            ("seed".into(), asked.seed.to_string()),
            ("minutes asked for".into(), asked.minutes.to_string()),
        ]
    }

    /// What the terminal shows.
    pub(super) fn text(&self, out: &Path) -> String {
        let questions =
            self.checks.iter().fold(Table::new("", ["question", "answer"]), |table, check| {
                table.row([Cell::from(check.question), Cell::from(check.answer.word())])
            });
        format!(
            "{}\n{}\n{}\n{}\n{}\n",
            self.accuracies().to_text(),
            questions.to_text(),
            self.verdict.headline,
            self.verdict.sentences.join("\n"),
            out.join("report.html").display()
        )
    }
}

//! What a reproduction comes to: report, results and tables.

use std::path::Path;

use cure_report::{Cell, Report, Section, Table};
use serde_json::{Value, json};

use super::claims::{Claim, Verdict};
use super::items::{ITEMS, Item, Part, Results};
use super::provenance;
use super::scale::{Scale, Setting};
use crate::commands::pipeline::{Done, Files, Ledger, Plan, Step, shell};
use crate::failure::{Blame, Outcome};
use crate::output::{PROGRAM, write_json};

/// All that was found.
pub(super) struct Reproduction<'a> {
    setting: &'a Setting,
    steps: Vec<(&'a Step, Done)>,
    items: Vec<(&'a Item, Result<Part, String>, &'a [String])>,
    /// What was asked for before and is not done.
    left: Vec<&'a str>,
}

impl<'a> Reproduction<'a> {
    /// Reads the results of steps that are done.
    pub(super) fn read(
        setting: &'a Setting,
        plan: &'a Plan,
        planned: &'a [(&'a Item, Vec<String>)],
        ledger: &Ledger<'_>,
        left: Vec<&'a str>,
    ) -> Outcome<Self> {
        let out = ledger.out;
        let done = |step: &'a Step| Some((step, ledger.done(plan, step)?));
        let mut items = Vec::new();
        for (item, steps) in planned {
            let part = match item.want(setting) {
                Some(want) => Err(want),
                None => Ok((item.read)(&Results { files: Files { out }, setting, steps })?),
            };
            items.push((*item, part, steps.as_slice()));
        }
        Ok(Self { setting, steps: plan.steps.iter().filter_map(done).collect(), items, left })
    }

    fn claims(&self) -> impl Iterator<Item = (&'a Item, &Claim)> {
        self.items.iter().flat_map(|(item, part, _)| {
            let claims = part.as_ref().map(|part| part.claims.as_slice()).unwrap_or_default();
            claims.iter().map(move |claim| (*item, claim))
        })
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.claims().filter(|(_, claim)| claim.verdict == verdict).count()
    }

    /// Writes everything, and takes away tables and figures of items that are not shown any more.
    pub(super) fn save(&self, out: &Path) -> Outcome {
        let (tables, figures) = (out.join("tables"), out.join("figures"));
        std::fs::create_dir_all(&tables).failed()?;
        let (mut of_tables, mut of_figures) = (Vec::new(), Vec::new());
        for (item, part, _) in &self.items {
            let Ok(part) = part else { continue };
            for (number, table) in part.tables.iter().enumerate() {
                let stem = numbered(item.key, number, part.tables.len());
                let path = tables.join(format!("{stem}.tex"));
                cure_report::write_atomically(&path, table.to_latex().as_bytes()).failed()?;
                of_tables.push(stem);
            }
            for (number, figure) in part.figures.iter().enumerate() {
                let stem = numbered(item.key, number, part.figures.len());
                figure.save(&figures, &stem).failed()?;
                of_figures.push(stem);
            }
        }
        sweep(&tables, &of_tables)?;
        sweep(&figures, &of_figures)?;
        write_json(&out.join("results.json"), &self.json())?;
        self.html().save(out.join("report.html")).failed()
    }

    fn json(&self) -> Value {
        let items: Vec<Value> = self
            .items
            .iter()
            .map(|(item, part, steps)| match part {
                Err(want) => json!({ "key": item.key, "title": item.title, "not_measured": want }),
                Ok(part) => json!({
                    "key": item.key,
                    "title": item.title,
                    "claims": part.claims,
                    "tables": part.tables.iter().map(table_json).collect::<Vec<_>>(),
                    "steps": steps,
                }),
            })
            .collect();
        let steps: Vec<Value> =
            self.steps.iter().map(|(step, done)| provenance::json(step, done)).collect();
        json!({ "tool": PROGRAM, "command": "reproduce", "setting": self.setting, "items": items,
            "asked_and_not_done": self.left, "steps": steps })
    }

    fn title(&self) -> String {
        format!(
            "Robustness via curvature regularization, and vice versa: reproduced at scale {}",
            self.setting.scale.name()
        )
    }

    /// Three sentences.
    fn summary(&self) -> [String; 3] {
        let all = self.claims().count();
        let [agree, differ, undecided] = [Verdict::Agrees, Verdict::Differs, Verdict::Undecided]
            .map(|verdict| self.count(verdict));
        let what = match self.setting.scale {
            Scale::Demo => {
                "The built-in digits, 8×8 pixels, stand for the paper's photographs and house numbers, and a small \
                 convolutional network for its ResNets: what is tested is what the paper claims, not its numbers."
            }
            Scale::Cpu => {
                "ResNet-20 and a CPU's hours stand for the paper's networks and training, on the paper's CIFAR-10: what is \
                 tested is what the paper claims, and its numbers are beside ours to be compared with that in mind."
            }
            Scale::Paper => "The paper's networks, data and numbers of images.",
        };
        let which = |verdict| {
            let mut keys: Vec<&str> = self
                .claims()
                .filter(|(_, claim)| claim.verdict == verdict)
                .map(|(item, _)| item.key)
                .collect();
            keys.dedup();
            keys.join(", ")
        };
        let rest = match (differ, undecided) {
            (0, 0) => "None differs.".to_owned(),
            (0, _) => format!("None differs; undecided: {}.", which(Verdict::Undecided)),
            (_, 0) => format!("Those that differ: {}.", which(Verdict::Differs)),
            _ => format!(
                "Those that differ: {}; undecided: {}.",
                which(Verdict::Differs),
                which(Verdict::Undecided)
            ),
        };
        let count = format!(
            "Of {all} statements of the paper that numbers here can test, {agree} agree, {differ} differ and \
             {undecided} are left undecided by so few images."
        );
        [what.to_owned(), count, rest]
    }

    fn html(&self) -> Report {
        let mut report = Report::new(self.title()).unnumbered();
        for sentence in self.summary() {
            report = report.summary(sentence);
        }
        let mut overview = Section::new("What the paper says, and what was found");
        overview = overview.table(self.overview());
        report = report.section(overview);
        for (item, part, steps) in &self.items {
            report = report.section(self.section(item, part, steps));
        }
        report = report.section(provenance::how_to_read(self.setting));
        provenance::rows(self.setting, &self.steps, &self.left)
            .into_iter()
            .fold(report, |report, (key, value)| report.provenance(key, value))
    }

    fn overview(&self) -> Table {
        let caption = "Every statement that a number decides, in the paper's order.";
        self.claims().fold(
            Table::new(caption, ["", "verdict", "the paper", "here"]),
            |table, (item, claim)| {
                table.row([
                    Cell::from(item.key),
                    Cell::from(claim.verdict.word()),
                    Cell::from(claim.paper.as_str()),
                    Cell::from(claim.found.as_str()),
                ])
            },
        )
    }

    fn section(&self, item: &Item, part: &Result<Part, String>, steps: &[String]) -> Section {
        let mut section = Section::new(format!("{} ({})", item.title, item.place));
        let part = match part {
            Err(want) => return section.paragraph(format!("Not measured: {want}.")),
            Ok(part) => part,
        };
        for claim in &part.claims {
            let reason = claim.reason.as_ref().map(|reason| format!(" Likely reason: {reason}."));
            section = section.paragraph(format!(
                "{}: {} Here: {}.{}",
                capital(claim.verdict.word()),
                claim.paper,
                claim.found,
                reason.unwrap_or_default()
            ));
        }
        for paragraph in &part.paragraphs {
            section = section.paragraph(paragraph.as_str());
        }
        for table in &part.tables {
            section = section.table(table.clone());
        }
        for figure in &part.figures {
            section = section.figure(figure.clone());
        }
        let commands: Vec<String> = self
            .steps
            .iter()
            .filter(|(step, _)| steps.contains(&step.id))
            .map(|(step, _)| format!("cure {}", shell(&step.command)))
            .collect();
        match commands.is_empty() {
            true => section,
            false => section.folded_code("To repeat it, in this folder", commands.join("\n")),
        }
    }

    /// What the terminal shows.
    pub(super) fn text(&self, out: &Path) -> String {
        let mut text = String::new();
        for (item, claim) in self.claims() {
            let verdict = claim.verdict.word();
            text.push_str(&format!(
                "{:8} {verdict:9}  {}\n{:20}here: {}\n",
                item.key, claim.paper, "", claim.found
            ));
        }
        for (item, part, _) in &self.items {
            if let Err(want) = part {
                text.push_str(&format!("{:8} not measured: {want}\n", item.key));
            }
        }
        if !self.left.is_empty() {
            text.push_str(&format!(
                "asked for before, and not done: {}; ask for them again\n",
                self.left.join(", ")
            ));
        }
        let [_, count, rest] = self.summary();
        format!("{text}\n{count} {rest}\n{}\n", out.join("report.html").display())
    }
}

fn numbered(key: &str, number: usize, count: usize) -> String {
    match count {
        1 => key.to_owned(),
        _ => format!("{key}-{}", number + 1),
    }
}

/// Removes an item's files that an earlier call wrote and this one did not; all others are left alone.
fn sweep(folder: &Path, written: &[String]) -> Outcome {
    let Ok(files) = std::fs::read_dir(folder) else { return Ok(()) };
    for file in files.flatten() {
        let path = file.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (key, number) = stem.split_once('-').unwrap_or((stem, "1"));
        let is_ours = ITEMS.iter().any(|item| item.key == key) && number.parse::<usize>().is_ok();
        if is_ours && written.iter().all(|other| other != stem) {
            std::fs::remove_file(&path).failed()?;
        }
    }
    Ok(())
}

fn table_json(table: &Table) -> Value {
    let rows: Vec<Vec<String>> =
        table.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
    json!({ "caption": table.caption, "columns": table.columns, "rows": rows })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

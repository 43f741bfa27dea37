//! Where a reproduction's numbers come from, and how to read them.

use cure_report::Section;
use serde_json::{Value, json};

use super::scale::{Role, Setting, Subject};
use crate::commands::pipeline::{Done, Step, shell};
use crate::output::PROGRAM;

/// A step, in the results.
pub(super) fn json(step: &Step, done: &Done) -> Value {
    json!({
        "id": step.id,
        "command": format!("cure {}", shell(&step.command)),
        "sessions": done.begun.sessions,
        "inputs": done.begun.inputs,
        "made": done.made,
        "seconds": done.seconds,
    })
}

/// The report's table of provenance.
pub(super) fn rows(
    setting: &Setting,
    steps: &[(&Step, Done)],
    left: &[&str],
) -> Vec<(String, String)> {
    let mut rows = vec![("this report by".to_owned(), PROGRAM.to_owned())];
    let mut row = |key: &str, value: String| rows.push((key.to_owned(), value));
    let steps_by =
        |what: fn(&crate::commands::pipeline::Session) -> String| {
            shares(steps.iter().map(|(step, done)| {
                (step.id.as_str(), done.begun.sessions.iter().map(what).collect())
            }))
        };
    if !steps.is_empty() {
        row("steps by", steps_by(|session| session.program.clone()));
        row("device", steps_by(|session| format!("{}, {}", session.device, session.precision)));
    }
    row("scale", setting.scale.name().into());
    row("seed", setting.seed.to_string());
    row("CIFAR-10", data(setting, Subject::Cifar10));
    row("SVHN", data(setting, Subject::Svhn));
    for (role, given) in &setting.networks {
        row(&of_role(*role), format!("{}, as it was given", given.name()));
    }
    if !left.is_empty() {
        row("asked for before, and not done", left.join(", "));
    }
    row(
        "paper",
        "Moosavi-Dezfooli, Fawzi, Uesato and Frossard, CVPR 2019, arXiv:1811.09716".into(),
    );
    for (step, done) in steps {
        let command = shell(&step.command);
        row(&step.id, format!("cure {command} ({:.1} s)", done.seconds));
    }
    rows
}

fn of_role(role: Role) -> String {
    format!("network: {}", role.name())
}

/// What all steps have in common, or, where they are mixed, which steps have what.
fn shares<'a>(steps: impl Iterator<Item = (&'a str, Vec<String>)>) -> String {
    let mut shares: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for (id, mut values) in steps {
        values.dedup();
        match shares.iter_mut().find(|(known, _)| *known == values) {
            Some((_, ids)) => ids.push(id),
            None => shares.push((values, vec![id])),
        }
    }
    let text = |values: &[String]| values.join(", then ");
    match &shares[..] {
        [] => "none".into(),
        [(values, _)] if values.len() == 1 => text(values),
        _ => {
            shares.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
            let parts =
                shares.iter().map(|(values, ids)| format!("{}: {}", text(values), ids.join(", ")));
            format!("mixed. {}", parts.collect::<Vec<_>>().join("; "))
        }
    }
}

/// What stands for the paper's data, without the place where it lies.
fn data(setting: &Setting, subject: Subject) -> String {
    match setting.data(subject) {
        Some(text) => text.split(':').next().unwrap_or_default().to_owned(),
        None => "none".into(),
    }
}

pub(super) fn how_to_read(setting: &Setting) -> Section {
    let section = Section::new("How to read this")
        .paragraph(
            "Robust accuracy is the share of test images that are classified correctly and stay so under the attack. Intervals \
             are at 95 %: Wilson's for shares, Student's for means over images. They say how much the number would vary with \
             other images, not with another training: that would take other seeds.",
        )
        .paragraph(
            "A statement agrees, or differs, where the intervals of the numbers it compares do not touch; where they do, it is \
             undecided. What is measured on the same images twice is compared image by image: a value is smaller or larger where it \
             is so for more images than chance would have (sign test at 5 %, which for accuracies is McNemar's), and a difference \
             of accuracies has an interval of its own (Bonett and Price, 2012). “Hardly” means no more than two points, “near” at \
             least three quarters, “but for a few” up to a tenth of the images, and a curve stands where it is over 2 %. What a \
             formula alone says has no verdict.",
        )
        .paragraph(
            "Lengths, eigenvalues and norms are over pixels in [0, 1]. ε is the largest change of a pixel on that scale; the \
             paper writes 8 for 8/255.",
        );
    let given: Vec<&str> = setting.networks.keys().map(|role| role.name()).collect();
    match given.is_empty() {
        true => section,
        false => section.paragraph(format!(
            "Networks that were given and not trained here: {}. What is said of a network's training holds for them as far as \
             whoever trained them kept to it.",
            given.join(", ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_named() {
        let of = |steps: &[(&'static str, &[&str])]| {
            let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
            shares(steps.iter().map(|(id, of)| (*id, values(of))).collect::<Vec<_>>().into_iter())
        };
        assert_eq!(of(&[("a", &["cpu, f32"]), ("b", &["cpu, f32", "cpu, f32"])]), "cpu, f32");
        assert_eq!(
            of(&[("a", &["torch:cuda:0, tf32"]), ("b", &["cpu, f32"]), ("c", &["cpu, f32"])]),
            "mixed. cpu, f32: b, c; torch:cuda:0, tf32: a"
        );
        assert_eq!(
            of(&[("a", &["cpu, f32", "torch:cpu, f32"])]),
            "mixed. cpu, f32, then torch:cpu, f32: a"
        );
    }
}

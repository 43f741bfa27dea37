//! Fig. 11: images, perturbations and what networks make of them.

use super::{Part, Results};
use crate::commands::pipeline::Plan;
use crate::commands::reproduce::scale::{Role, Scale, Setting, Subject};
use crate::failure::Outcome;

/// SVHN's images, as in the paper, where they are at hand.
pub(super) fn subject(setting: &Setting) -> Subject {
    match setting.data(Subject::Svhn) {
        Some(_) => Subject::Svhn,
        None => Subject::Cifar10,
    }
}

pub(super) fn plan(setting: &Setting, plan: &mut Plan) -> Vec<String> {
    let images = setting.scale.sizes().gallery.to_string();
    let minutes = match setting.scale {
        Scale::Demo => 0.02,
        Scale::Cpu | Scale::Paper => 1.0,
    };
    let options = ["--limit", images.as_str()];
    let roles = [Role::Original, Role::Cure];
    vec![plan.geometry(setting, subject(setting), &roles, ("gallery", ""), &options, minutes)]
}

pub(super) fn read(results: &Results<'_>) -> Outcome<Part> {
    let Some(step) = results.steps.first() else { return Ok(Part::default()) };
    let figures = results.geometry(step, "gallery")?.figures(results.out, |_| true)?;
    let paragraphs = vec![
        "The paper says that what fools CURE's network resembles the other class, and what fools the original does not. This \
         is for the eye; no verdict is computed."
            .to_owned(),
    ];
    Ok(Part { paragraphs, figures, ..Part::default() })
}

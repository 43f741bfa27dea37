//! The paper's tables and figures: what each needs, and what it comes to. One file a kind; each says in one place
//! which steps it takes and how their results are read.

mod curves;
mod evolution;
mod gallery;
mod masking;
mod profiles;
mod results;
mod sections;
mod stronger;
mod tables;
mod theory;

use cure_report::{Figure, Table};

use super::claims::Claim;
use super::scale::{Setting, Subject};
use crate::commands::pipeline::{Plan, lacks};
use crate::failure::Outcome;

pub(super) use results::Results;

/// A table or figure.
pub(super) struct Item {
    /// What the command line calls it.
    pub(super) key: &'static str,
    /// Its heading.
    pub(super) title: &'static str,
    /// Where in the paper it is.
    pub(super) place: &'static str,
    /// The data without which there is nothing of it.
    pub(super) subject: About,
    /// Adds the steps it needs, and names those whose results are its own.
    pub(super) plan: fn(&Setting, &mut Plan) -> Vec<String>,
    /// What it comes to.
    pub(super) read: fn(&Results<'_>) -> Outcome<Part>,
}

/// What an item comes to.
#[derive(Default)]
pub(super) struct Part {
    pub(super) paragraphs: Vec<String>,
    pub(super) tables: Vec<Table>,
    pub(super) figures: Vec<Figure>,
    pub(super) claims: Vec<Claim>,
}

/// Which data an item is about.
type About = fn(&Setting) -> Option<Subject>;
const CIFAR10: About = |_| Some(Subject::Cifar10);
const SVHN: About = |_| Some(Subject::Svhn);
const NOTHING: About = |_| None;
const ITS_OWN: About = |setting| Some(gallery::subject(setting));

macro_rules! item {
    ($key:literal, $title:literal, $place:literal, $subject:expr, $plan:expr, $read:expr) => {
        Item {
            key: $key,
            title: $title,
            place: $place,
            subject: $subject,
            plan: $plan,
            read: $read,
        }
    };
}

/// All of them, in the paper's order of topics.
pub(super) const ITEMS: &[Item] = &[
    item!(
        "table1",
        "Table 1: attacks before and after fine-tuning on DeepFool's examples",
        "section 2",
        CIFAR10,
        tables::plan_one,
        tables::read_one
    ),
    item!(
        "fig1",
        "Fig. 1: decision boundaries before and after fine-tuning",
        "section 2",
        CIFAR10,
        sections::plan_boundaries,
        sections::read_boundaries
    ),
    item!(
        "fig2",
        "Fig. 2: curvature profiles before and after fine-tuning",
        "section 2",
        CIFAR10,
        profiles::plan_two,
        profiles::read_two
    ),
    item!(
        "fig3",
        "Fig. 3: loss surfaces before and after fine-tuning",
        "section 2",
        CIFAR10,
        sections::plan_surfaces,
        sections::read_surfaces
    ),
    item!(
        "fig4",
        "Fig. 4: Theorem 1's bounds against curvature",
        "section 3",
        CIFAR10,
        theory::plan_bounds,
        theory::read_bounds
    ),
    item!(
        "fig5",
        "Fig. 5: curvature and robustness in one dimension",
        "section 3",
        NOTHING,
        theory::plan_nothing,
        theory::read_one_dimension
    ),
    item!(
        "remark3",
        "Remark 3: the gradient along the direction of largest curvature",
        "section 3",
        CIFAR10,
        theory::plan_alignment,
        theory::read_alignment
    ),
    item!(
        "table2",
        "Table 2: CURE beside adversarial training",
        "section 4",
        CIFAR10,
        tables::plan_two,
        tables::read_two
    ),
    item!(
        "fig6",
        "Fig. 6: accuracy against ε",
        "section 4",
        CIFAR10,
        curves::plan_six,
        curves::read_six
    ),
    item!(
        "stronger",
        "Stronger attacks on CURE's network",
        "section 4",
        CIFAR10,
        stronger::plan,
        stronger::read
    ),
    item!("fig7", "Fig. 7: SPSA against PGD", "section 4", CIFAR10, masking::plan, masking::read),
    item!(
        "fig8",
        "Fig. 8: loss surfaces after CURE",
        "section 4",
        CIFAR10,
        sections::plan_cure_surfaces,
        sections::read_cure_surfaces
    ),
    item!(
        "fig9",
        "Fig. 9: curvature profiles of CURE and of fine-tuning on DeepFool",
        "section 4",
        CIFAR10,
        profiles::plan_nine,
        profiles::read_nine
    ),
    item!(
        "fig10",
        "Fig. 10: curvature and robustness while CURE trains",
        "section 4",
        CIFAR10,
        evolution::plan_ten,
        evolution::read_ten
    ),
    item!(
        "fig11",
        "Fig. 11: what attacks make of images",
        "section 4",
        ITS_OWN,
        gallery::plan,
        gallery::read
    ),
    item!(
        "table3",
        "Table 3: CURE on SVHN",
        "supplement A.1",
        SVHN,
        tables::plan_three,
        tables::read_three
    ),
    item!(
        "fig12",
        "Fig. 12: curvature profile of CURE on SVHN",
        "supplement A.2",
        SVHN,
        profiles::plan_twelve,
        profiles::read_twelve
    ),
    item!(
        "fig13",
        "Fig. 13: loss surfaces on SVHN",
        "supplement A.3",
        SVHN,
        sections::plan_svhn_surfaces,
        sections::read_svhn_surfaces
    ),
    item!(
        "fig14",
        "Fig. 14: curvature and robustness while CURE trains on SVHN",
        "supplement A.4",
        SVHN,
        evolution::plan_fourteen,
        evolution::read_fourteen
    ),
    item!(
        "fig15",
        "Fig. 15: accuracy against ε on SVHN",
        "supplement A.5",
        SVHN,
        curves::plan_fifteen,
        curves::read_fifteen
    ),
];

/// Those that read the course of CURE's training.
const FOLLOW_TRAINING: [&str; 2] = ["fig10", "fig14"];

impl Item {
    /// Why there is nothing of it.
    pub(super) fn want(&self, setting: &Setting) -> Option<String> {
        let subject = (self.subject)(setting)?;
        let follows = FOLLOW_TRAINING.contains(&self.key);
        setting.want(subject).or_else(|| setting.want_of_course(subject).filter(|_| follows))
    }
}

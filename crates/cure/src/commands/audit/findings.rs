//! What the measurements of an audit have found, as numbers.

use std::collections::BTreeSet;
use std::path::Path;

use cure_attacks::{Epsilon, Warning, wilson95};
use cure_data::Dataset;
use cure_report::Figure;
use serde_json::{Value, json};

use super::setting::Setting;
use super::steps::{ATTACKS, AUTOATTACK, BOUNDS, CURVE, MASKING, PROFILE, radii};
use crate::arguments::Model;
use crate::commands::pipeline::{Files, RESULTS, file, lacks};
use crate::failure::{Blame, Outcome};
use crate::measured::Measured;
use crate::output::identity_of;

/// What a look before any attack saw.
#[derive(Default)]
pub(super) struct Seen {
    /// Sentences.
    pub(super) remarks: Vec<String>,
    /// The cross-entropy gives no gradient to follow at many clean images.
    pub(super) without_gradient: bool,
    /// The same images, other logits.
    pub(super) is_random: bool,
}

/// SPSA against PGD.
#[derive(Clone, Copy)]
pub(super) struct Masking {
    pub(super) n: usize,
    pub(super) only_by_spsa: usize,
    pub(super) below: usize,
    pub(super) is_suspected: bool,
    pub(super) is_undetermined: bool,
}

/// One of AutoAttack's attacks.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) attacked: usize,
    pub(super) solved: usize,
}

/// Everything.
pub(super) struct Findings {
    pub(super) seen: Seen,
    pub(super) network: Value,
    pub(super) data: String,
    pub(super) classes: usize,
    /// Clean, then in the order of the step's attacks: whether each image is classified correctly and not fooled. One
    /// that an attack had no gradient at is not fooled by it: what counts here is what was found.
    pub(super) standing: Vec<Vec<bool>>,
    /// Of each of these attacks: images that it could say nothing about.
    pub(super) undecided: Vec<usize>,
    /// Sentences of the evaluations.
    pub(super) warnings: Vec<String>,
    pub(super) auto_standing: Vec<bool>,
    pub(super) members: Vec<Member>,
    pub(super) masking: Masking,
    /// Clean and at each radius.
    pub(super) radii: Vec<f64>,
    pub(super) curve_standing: Vec<Vec<bool>>,
    /// Means over images: the largest eigenvalue, and ‖H‖_F.
    pub(super) curvature: [Option<Measured>; 2],
    pub(super) median_norm: Option<f64>,
    /// Medians: lower bound, upper bound and what an attack finds.
    pub(super) bounds: [Option<f64>; 3],
    pub(super) figures: Vec<Figure>,
    /// Classes of the data that are not among the images that AutoAttack saw, though there is room for all.
    pub(super) missing_classes: usize,
    /// Whether all images that there are were used.
    pub(super) used_all: bool,
}

impl Findings {
    pub(super) fn read(
        setting: &Setting,
        seen: &[Warning],
        model: &Model,
        data: &Dataset,
        epsilon: Epsilon,
        out: &Path,
    ) -> Outcome<Self> {
        let files = Files { out };
        let evaluation = files.json(ATTACKS, RESULTS)?;
        let strongest = files.json(AUTOATTACK, RESULTS)?;
        let masking = files.json(MASKING, RESULTS)?;
        let (profile, bounds) =
            (files.geometry(PROFILE, PROFILE)?, files.geometry(BOUNDS, BOUNDS)?);
        let mut auto_standing = files.outcomes(AUTOATTACK, is_standing)?;
        let mean = |path| profile.means(path).first().copied().flatten();
        let median = |path: &str| bounds.medians(path).first().copied().flatten();
        let mut figures = profile.figures(out, |_| true)?;
        figures.extend(bounds.figures(out, |name| name == "bounds")?);
        figures.push(
            Figure::read(
                out.join(file(MASKING, "masking")),
                "Margins under PGD and SPSA",
                "Each point is an image. Below the line SPSA, which sees no gradient, found the stronger perturbation.",
            )
            .failed()?,
        );
        Ok(Self {
            seen: Seen::of(seen),
            network: identity_of(model),
            data: format!("{} {}", data.name(), setting.asked.split),
            classes: model.classes(),
            standing: files.outcomes(ATTACKS, is_standing)?,
            undecided: counts(&evaluation, "undecided"),
            warnings: [&evaluation, &strongest].into_iter().flat_map(warnings).collect(),
            auto_standing: auto_standing.pop().ok_or_else(|| lacks(AUTOATTACK))?,
            members: members(&strongest),
            masking: Masking::read(&masking["masking"]).ok_or_else(|| lacks(MASKING))?,
            radii: radii(epsilon).iter().map(|radius| radius.value()).collect(),
            curve_standing: files.outcomes(CURVE, is_standing)?,
            curvature: [mean("/largest"), mean("/frobenius")],
            median_norm: profile.medians("/frobenius").first().copied().flatten(),
            bounds: ["/of_bounded/lower", "/of_bounded/upper", "/of_bounded/measured"].map(median),
            figures,
            missing_classes: missing(data.labels(), setting.sizes.autoattack),
            used_all: setting.sizes.autoattack == setting.sizes.images,
        })
    }

    /// The lowest accuracy that was found: of each image's worst on those that AutoAttack saw, or of its worst under the
    /// other attacks on all of theirs.
    pub(super) fn quoted(&self) -> Measured {
        let stands = |image: usize| self.standing.iter().all(|of| of[image]);
        let n = self.standing[0].len();
        let without = accuracy(&(0..n).map(stands).collect::<Vec<_>>());
        let worst = self.worst();
        if without.value < worst.value { without } else { worst }
    }

    /// Whether each image that AutoAttack saw stands under it and under all others.
    pub(super) fn worst(&self) -> Measured {
        let stands = |image: &usize| {
            self.auto_standing[*image]
                && self.standing.iter().all(|of| of.get(*image).copied().unwrap_or(true))
        };
        accuracy(&(0..self.auto_standing.len()).map(|image| stands(&image)).collect::<Vec<_>>())
    }

    /// In JSON.
    pub(super) fn json(&self) -> Value {
        let names = std::iter::once("clean").chain(super::steps::NAMES);
        let attacks: serde_json::Map<String, Value> = names
            .zip(&self.standing)
            .map(|(name, standing)| (name.to_owned(), json!(accuracy(standing))))
            .collect();
        let clean = std::iter::once(0.0).chain(self.radii.iter().copied());
        let curve: Vec<Value> = clean
            .zip(&self.curve_standing)
            .map(
                |(epsilon, standing)| json!({ "epsilon": epsilon, "accuracy": accuracy(standing) }),
            )
            .collect();
        json!({
            "attacks": attacks,
            "autoattack": accuracy(&self.auto_standing),
            "worst_case": self.worst(),
            "masking": {
                "n": self.masking.n,
                "only_by_spsa": self.masking.only_by_spsa,
                "below_the_line": self.masking.below,
            },
            "curve": curve,
            "curvature": {
                "largest": self.curvature[0],
                "frobenius": self.curvature[1],
                "median_frobenius": self.median_norm,
            },
            "bounds": { "lower": self.bounds[0], "upper": self.bounds[1], "measured": self.bounds[2] },
            "remarks": self.seen.remarks,
            "warnings": self.warnings,
        })
    }
}

impl Seen {
    fn of(warnings: &[Warning]) -> Self {
        // Of single images nothing follows; PGD's own count says more of them.
        let many = |samples: usize, of: usize| 2 * samples >= of;
        let without = |warning: &Warning| match warning {
            Warning::VanishingGradient { samples, of }
            | Warning::UnusableGradient { samples, of } => many(*samples, *of),
            Warning::Probabilities { .. } | Warning::ConstantLogits { .. } => true,
            _ => false,
        };
        let random = |warning: &Warning| matches!(warning, Warning::NonDeterministic { .. });
        Self {
            remarks: warnings.iter().map(Warning::to_string).collect(),
            without_gradient: warnings.iter().any(without),
            is_random: warnings.iter().any(random),
        }
    }
}

impl Masking {
    fn read(found: &Value) -> Option<Self> {
        let count = |name: &str| usize::try_from(found.get(name)?.as_u64()?).ok();
        Some(Self {
            n: count("n")?,
            only_by_spsa: count("only_by_spsa")?,
            below: count("below_the_line")?,
            is_suspected: found["is_suspected"].as_bool()?,
            is_undetermined: found["is_undetermined"].as_bool()?,
        })
    }
}

/// How many classes of all these labels are not among the first ones.
fn missing(labels: &[usize], first: usize) -> usize {
    let classes = |labels: &[usize]| labels.iter().copied().collect::<BTreeSet<usize>>();
    let (all, some) = (classes(labels), classes(&labels[..first.min(labels.len())]));
    // By chance alone some are missing of few images.
    if first < 5 * all.len() { 0 } else { all.difference(&some).count() }
}

fn is_standing(verdict: &str) -> bool {
    ["robust", "undecided"].contains(&verdict)
}

/// The share of images that stand.
pub(super) fn accuracy(standing: &[bool]) -> Measured {
    let (n, count) = (standing.len(), standing.iter().filter(|stands| **stands).count());
    Measured { value: count as f64 / n.max(1) as f64, ci95: wilson95(count, n), n }
}

fn counts(evaluation: &Value, name: &str) -> Vec<usize> {
    let attacks = evaluation["attacks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let count = |attack: &Value| usize::try_from(attack[name].as_u64().unwrap_or(0)).unwrap_or(0);
    attacks.iter().map(count).collect()
}

fn warnings(evaluation: &Value) -> Vec<String> {
    let found = evaluation["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    found.iter().filter_map(|warning| Some(warning.as_str()?.to_owned())).collect()
}

fn members(evaluation: &Value) -> Vec<Member> {
    let members = evaluation["attacks"][0]["members"].as_array();
    let member = |member: &Value| Member {
        name: member["name"].as_str().unwrap_or_default().to_owned(),
        attacked: counted(&member["attacked"]),
        solved: counted(&member["solved"]),
    };
    members.map(Vec::as_slice).unwrap_or_default().iter().map(member).collect()
}

fn counted(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or(0)).unwrap_or(0)
}

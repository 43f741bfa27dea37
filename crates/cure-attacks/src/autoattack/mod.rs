//! AutoAttack (Croce and Hein 2020): several attacks, each on what those before it left.

mod version;
mod worst;

use std::fmt;

use cure_network::Classifier;
use cure_tensor::{Tensor, ops};

use crate::adversarial::{Adversarial, MemberTally};
use crate::attack::{Attack, AttackSpec, Member};
use crate::check;
use crate::epsilon::{Epsilon, Norm};
use crate::error::{AttackError, Result};
use crate::options::usual;
use crate::parameters::{Parameter, Parameters};
use crate::region::Region;
use crate::registry::{Entry, Kind, Knowledge};
use crate::streams::Streams;

pub(crate) use version::Names;
pub use version::Version;
use worst::Worst;

pub(crate) const ENTRY: Entry = Entry {
    name: "autoattack",
    title: "AutoAttack, several attacks one after the other",
    knowledge: Knowledge::Everything,
    kind: Kind::Budget,
    norms: &[Norm::Linf, Norm::L2],
    reference: "Croce and Hein 2020",
    cost: "that of its members, on the images still standing",
    parameters: &[
        Parameter::new("norm", "linf", "linf or l2"),
        Parameter::new("eps", "–", "radius in pixels of [0, 1]; must be given"),
        Parameter::new("version", "standard", "standard, plus, rand or custom"),
        Parameter::new(
            "members",
            "–",
            "of custom: attacks joined by +, each with a parameter or none, as apgd-ce:steps=20+square",
        ),
    ],
    parse,
};

fn parse(given: &Parameters<'_>) -> Result<AttackSpec> {
    let default = AutoAttackOptions::new(given.or("norm", Norm::Linf)?, given.epsilon()?);
    let names: Option<Names> = given.get("members")?;
    let version = match (given.or("version", default.version)?, names) {
        (Version::Custom(_), Some(names)) => Version::Custom(names.0),
        (version, None) => version,
        (version, Some(_)) => {
            return refuse("version", version.to_string(), "members are those of version=custom");
        }
    };
    Ok(AttackSpec::new(AutoAttackOptions { version, ..default }))
}

fn refuse<T>(parameter: &'static str, value: String, reason: impl Into<String>) -> Result<T> {
    Err(AttackError::Parameter { attack: ENTRY.name, parameter, value, reason: reason.into() })
}

/// The parameters of [`autoattack`].
#[derive(Clone, Debug, PartialEq)]
pub struct AutoAttackOptions {
    /// The norm of the ball: ℓ∞ or ℓ2. Default ℓ∞.
    pub norm: Norm,
    /// ε, the radius of the ball in pixels.
    pub epsilon: Epsilon,
    /// Which attacks are run. Default [`Version::Standard`].
    pub version: Version,
    /// Pixels that may change, or a radius for each sample. Not part of the specification. Default
    /// none: all pixels, ε.
    pub region: Option<Region>,
}

impl AutoAttackOptions {
    /// The standard version at a norm and a radius.
    pub fn new(norm: Norm, epsilon: Epsilon) -> Self {
        Self { norm, epsilon, version: Version::default(), region: None }
    }
}

impl Attack for AutoAttackOptions {
    usual!(autoattack: name, norm, epsilon, at, region, run);

    fn check(&self, dimension: Option<usize>, classes: Option<usize>) -> Result<()> {
        ENTRY.check_norm(self.norm)?;
        self.epsilon.check_within("ε", self.norm, dimension)?;
        if let Version::Custom(names) = &self.version {
            check_names(names)?;
        } else if classes.is_none() {
            // Nothing that is known yet can be wrong about the members of the other versions.
            return Ok(());
        }
        let (least, remedy) = self.version.classes();
        if let Some(classes) = classes.filter(|&classes| classes < least) {
            let reason = format!("it needs {least} classes, the network has {classes}; {remedy}");
            return refuse("version", self.version.to_string(), reason);
        }
        let members = self.members()?;
        let is_repeated = |(at, member): (usize, &AttackSpec)| members[..at].contains(member);
        if members.iter().enumerate().any(is_repeated) {
            let reason = "the same attack again finds the same; name it once";
            return refuse("members", self.version.to_string(), reason);
        }
        members.iter().try_for_each(|member| member.check(dimension, classes))
    }

    fn members(&self) -> Result<Vec<AttackSpec>> {
        self.version.members(self.norm, self.epsilon)
    }

    fn run_telling(
        &self,
        classifier: &dyn Classifier,
        images: &Tensor,
        labels: &[usize],
        streams: &Streams<'_>,
        tell: &mut dyn FnMut(Member),
    ) -> Result<Adversarial> {
        run(classifier, images, labels, self, streams, tell)
    }
}

fn check_names(names: &[String]) -> Result<()> {
    let value = names.join("+");
    if names.iter().all(String::is_empty) {
        return refuse("members", value, "version=custom needs them; write members=apgd+square");
    }
    if names.iter().any(|name| name == ENTRY.name) {
        return refuse("members", value, "an AutoAttack cannot be a member of one");
    }
    Ok(())
}

impl fmt::Display for AutoAttackOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { norm, epsilon, version, .. } = self;
        write!(out, "autoattack:norm={norm},eps={},version={version}", epsilon.notation())
    }
}

/// Runs the members one after the other, each on the samples that none before it solved: of every
/// sample the worst case. A member finds what it would find alone, with the same random numbers.
///
/// What a member claims counts if a fresh forward pass confirms it within ε·(1 + 1e-6). A sample that
/// none solves keeps what the first member returned. It is undecided if no member that follows
/// gradients had any there; where no member does, if all say so.
///
/// Source: Croce and Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
/// diverse parameter-free attacks". Cost: that of the members on the samples they are run on, and a
/// forward for each success that they claim.
///
/// # Shapes
/// `images`: `[N, C, H, W]`, pixels in [0, 1]; `labels` and the indices of `streams`: `N`.
///
/// # Errors
/// If images, labels or indices do not fit, or the options are refused by [`Attack::check`].
pub fn autoattack(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &AutoAttackOptions,
    streams: &Streams<'_>,
) -> Result<Adversarial> {
    run(classifier, images, labels, options, streams, &mut |_| ())
}

fn run(
    classifier: &dyn Classifier,
    images: &Tensor,
    labels: &[usize],
    options: &AutoAttackOptions,
    streams: &Streams<'_>,
    tell: &mut dyn FnMut(Member),
) -> Result<Adversarial> {
    let images = check::attack(options, classifier, images, labels, streams)?;
    let members = options.members()?;
    let follows_gradients = |member: &AttackSpec| {
        member.entry().is_some_and(|entry| entry.knowledge == Knowledge::Gradients)
    };
    let any_follows = members.iter().any(follows_gradients);
    let length = images.shape().iter().skip(1).product();
    let mut worst = Worst::new(&images, options, labels.len());
    for (position, member) in members.iter().enumerate() {
        let rows: Vec<usize> =
            (0..labels.len()).filter(|&row| worst.solved_by[row].is_none()).collect();
        if rows.is_empty() {
            worst.tallies.push(MemberTally::default());
            continue;
        }
        let (name, standing) = (member.name(), rows.len());
        tell(Member { name, position, members: members.len(), standing });
        let some_labels: Vec<usize> = rows.iter().map(|&row| labels[row]).collect();
        let indices = streams.indices_of(&rows);
        let some_images = ops::select(&images, &rows)?;
        let inside = options.region.as_ref().map(|region| region.select(&rows, length));
        let member = inside.map_or_else(|| Ok(member.clone()), |inside| member.within(inside))?;
        let found = member.run(classifier, &some_images, &some_labels, &streams.of(&indices))?;
        let confirmed = confirm(classifier, &found, &some_labels)?;
        let decides = follows_gradients(&member) || !any_follows;
        worst.add(position, &rows, &found, &confirmed, decides);
    }
    worst.finish(images.shape())
}

/// Which of the successes that an attack claims a fresh forward pass confirms.
fn confirm(
    classifier: &dyn Classifier,
    found: &Adversarial,
    labels: &[usize],
) -> Result<Vec<bool>> {
    let mut confirmed = found.solved.clone();
    let claimed: Vec<usize> = (0..labels.len()).filter(|&slot| found.solved[slot]).collect();
    if claimed.is_empty() {
        return Ok(confirmed);
    }
    let logits = check::logits_of(classifier, &ops::select(&found.images, &claimed)?)?;
    for (&slot, prediction) in claimed.iter().zip(check::predictions(&logits)) {
        confirmed[slot] = prediction != Some(labels[slot]);
    }
    Ok(confirmed)
}

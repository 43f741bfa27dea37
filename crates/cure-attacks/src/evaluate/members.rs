//! What the members of an attack made of several did, over a whole set.

use serde::Serialize;

use crate::adversarial::MemberTally;
use crate::attack::AttackSpec;
use crate::error::Result;
use crate::registry::Knowledge;
use crate::warning::Warning;

/// What one member of an attack did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberResult {
    /// The member's name.
    pub name: String,
    /// Its complete specification.
    pub spec: String,
    /// Samples it was run on: those that no member before it solved.
    pub attacked: usize,
    /// Those of them that it solved.
    pub solved: usize,
    /// Images it sent forward, a fresh pass for each of its successes included.
    pub forward: u64,
    /// Images it pulled back.
    pub backward: u64,
    #[serde(skip)]
    knowledge: Option<Knowledge>,
}

/// Adds what the members did to one batch.
pub(super) fn add(sums: &mut Vec<MemberTally>, batch: &[MemberTally]) {
    if sums.len() < batch.len() {
        sums.resize(batch.len(), MemberTally::default());
    }
    for (sum, tally) in sums.iter_mut().zip(batch) {
        sum.attacked += tally.attacked;
        sum.solved += tally.solved;
        sum.forward += tally.forward;
        sum.backward += tally.backward;
    }
}

/// None for an attack of its own. Where no image was attacked all counts are 0.
pub(super) fn results(spec: &AttackSpec, tallies: &[MemberTally]) -> Result<Vec<MemberResult>> {
    let members = spec.members()?;
    let tallies = tallies.iter().copied().chain(std::iter::repeat(MemberTally::default()));
    let result = |(member, tally): (&AttackSpec, MemberTally)| MemberResult {
        name: member.name().into(),
        spec: member.to_string(),
        attacked: tally.attacked,
        solved: tally.solved,
        forward: tally.forward,
        backward: tally.backward,
        knowledge: member.entry().map(|entry| entry.knowledge),
    };
    Ok(members.iter().zip(tallies).map(result).collect())
}

/// Whether members that see logits alone solved more than AutoAttack's 0.2 % of all `of` samples
/// after members with gradients had failed on them.
pub(super) fn masking(spec: &AttackSpec, members: &[MemberResult], of: usize) -> Vec<Warning> {
    const SHARE: f64 = 0.002;
    let is = |member: &MemberResult, knowledge| member.knowledge == Some(knowledge);
    let first = members.iter().position(|member| is(member, Knowledge::Gradients));
    let after = members.iter().skip(first.unwrap_or(members.len()));
    after
        .filter(|member| is(member, Knowledge::Logits) && member.solved as f64 > SHARE * of as f64)
        .map(|member| Warning::GradientMasking {
            attack: spec.to_string(),
            member: member.name.clone(),
            samples: member.solved,
            of,
        })
        .collect()
}

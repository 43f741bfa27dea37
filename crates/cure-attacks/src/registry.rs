//! The table of attacks: whatever can be named on the command line, in the order it is listed.

use crate::attack::Entry;
use crate::{apgd, autoattack, carlini_wagner, ddn, deepfool, fab, fgsm, noise, pgd, spsa, square};

pub(crate) const ATTACKS: &[Entry] = &[
    fgsm::ENTRY,
    pgd::ENTRY,
    apgd::ENTRY,
    apgd::TARGETED_ENTRY,
    square::ENTRY,
    spsa::ENTRY,
    noise::ENTRY,
    deepfool::ENTRY,
    fab::ENTRY,
    fab::TARGETED_ENTRY,
    ddn::ENTRY,
    carlini_wagner::ENTRY,
    autoattack::ENTRY,
];

/// The attacks that a specification can name.
pub fn attacks() -> &'static [Entry] {
    ATTACKS
}

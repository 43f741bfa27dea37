//! The table of attacks: whatever can be named on the command line, in the order it is listed.

use crate::attack::Entry;
use crate::{carlini_wagner, ddn, deepfool, fab, fgsm, pgd};

pub(crate) const ATTACKS: &[Entry] = &[
    fgsm::ENTRY,
    pgd::ENTRY,
    deepfool::ENTRY,
    fab::ENTRY,
    fab::TARGETED_ENTRY,
    ddn::ENTRY,
    carlini_wagner::ENTRY,
];

/// The attacks that a specification can name.
pub fn attacks() -> &'static [Entry] {
    ATTACKS
}

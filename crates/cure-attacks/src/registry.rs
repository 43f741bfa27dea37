//! The table of attacks: whatever can be named on the command line, in the order it is listed.

use crate::attack::Entry;
use crate::{fgsm, noise, pgd, spsa};

pub(crate) const ATTACKS: &[Entry] = &[fgsm::ENTRY, pgd::ENTRY, spsa::ENTRY, noise::ENTRY];

/// The attacks that a specification can name.
pub fn attacks() -> &'static [Entry] {
    ATTACKS
}

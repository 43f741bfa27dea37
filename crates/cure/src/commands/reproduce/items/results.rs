//! What an item reads of its steps' files.

use std::ops::Deref;

use crate::commands::pipeline::Files;
use crate::commands::reproduce::scale::{Role, Setting};
use crate::failure::Outcome;
use crate::paired::Pairs;

/// The files of an item's steps.
pub(in super::super) struct Results<'a> {
    pub(in super::super) files: Files<'a>,
    pub(in super::super) setting: &'a Setting,
    /// Its own steps, in the order in which its plan named them.
    pub(in super::super) steps: &'a [String],
}

impl<'a> Deref for Results<'a> {
    type Target = Files<'a>;

    fn deref(&self) -> &Files<'a> {
        &self.files
    }
}

impl Results<'_> {
    /// A value of each image in two networks.
    pub(super) fn of_both(
        &self,
        step: &str,
        what: &str,
        roles: [Role; 2],
        column: &str,
    ) -> Outcome<Pairs> {
        self.pairs(step, what, roles.map(Role::name), column)
    }
}

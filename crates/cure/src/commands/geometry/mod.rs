//! `cure geometry`: curvature of the loss around images, and what follows from it.

mod alignment;
mod arguments;
mod bounds;
mod frobenius;
mod gallery;
mod manifest;
mod measure;
mod merge;
mod operator;
mod profile;
mod report;
mod sections;
mod study;

use clap::{Args, Subcommand};
use sections::{boundary, surface};

use crate::arguments::General;
use crate::failure::Outcome;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// The curvature profile: all eigenvalues of the Hessian, its ends, or how they are distributed.
    Profile(profile::Options),
    /// ‖H‖_F, and ‖Hz‖ along the gradient's signs.
    Frobenius(frobenius::Options),
    /// How far the gradient points along the direction of largest curvature.
    Alignment(alignment::Options),
    /// Theorem 1's bounds beside the distances that an attack finds.
    Bounds(bounds::Options),
    /// Loss surfaces: −ℓ in the plane of the boundary's normal and a random direction.
    Surface(surface::Options),
    /// Decision boundaries: the classes' regions in that plane, and how the boundary bends.
    Boundary(boundary::Options),
    /// Images, what an attack adds to them, and what networks say of both.
    Gallery(gallery::Options),
    /// Join the parts that --shard measured into the results of the whole.
    Merge(merge::Options),
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    match &options.command {
        Command::Profile(options) => profile::run(general, options),
        Command::Frobenius(options) => frobenius::run(general, options),
        Command::Alignment(options) => alignment::run(general, options),
        Command::Bounds(options) => bounds::run(general, options),
        Command::Surface(options) => surface::run(general, options),
        Command::Boundary(options) => boundary::run(general, options),
        Command::Gallery(options) => gallery::run(general, options),
        Command::Merge(options) => merge::run(options),
    }
}

//! One file a command; each reads as a paragraph: parse, validate, run, write.

pub(crate) mod attacks;
pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod convert;
pub(crate) mod curve;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod derivatives;
pub(crate) mod evaluate;
pub(crate) mod finetune;
pub(crate) mod geometry;
pub(crate) mod masking;
pub(crate) mod method;
pub(crate) mod objectives;
mod pipeline;
mod prepared;
pub(crate) mod recipes;
pub(crate) mod reproduce;
pub(crate) mod run;
mod run_config;
pub(crate) mod runs;
mod session;
mod steps;
pub(crate) mod train;
mod watcher;

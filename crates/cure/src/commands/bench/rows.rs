//! The rows of the benchmark, and who else computes each.

use crate::failure::{Failure, Outcome};

/// What a row needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A pass or a training step on a batch.
    Step,
    /// An attack on images that the network classifies correctly.
    Attack,
    /// A curvature profile of one image; the batch is of directions.
    Profile,
    /// A data set from disk to memory.
    Data,
    /// A checkpoint from disk to a network.
    Checkpoint,
    /// The wall time of a process that classifies one image.
    Classify,
    /// The wall time of a process that does nothing.
    Help,
    /// A table of ours alone, or about the machine.
    Table,
}

/// A way in which the rival computes a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    pub(super) form: &'static str,
    /// Measured in NCHW and in channels-last.
    pub(super) layouts: bool,
    /// Measured under `torch.compile` too.
    pub(super) compile: bool,
    /// Measured in every round, be it the fastest or not.
    pub(super) always: bool,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Passes of the convolutions over the batch, where they are known beforehand.
    pub(super) passes: Option<f64>,
    pub(super) rivals: &'static [Rival],
    /// Measured with one thread too.
    pub(super) threads: bool,
    /// Measured at several batch sizes too.
    pub(super) batches: bool,
}

const EAGER: Rival = Rival { form: "", layouts: true, compile: false, always: false };
const PLAIN: Rival = Rival { form: "", layouts: false, compile: false, always: false };

const ROW: Row =
    Row { name: "", kind: Kind::Step, passes: None, rivals: &[], threads: false, batches: false };

pub(super) const ROWS: [Row; 17] = [
    Row {
        name: "forward",
        passes: Some(1.0),
        rivals: &[
            Rival { form: "forward", compile: true, ..EAGER },
            Rival { form: "fused", compile: true, ..EAGER },
        ],
        threads: true,
        batches: true,
        ..ROW
    },
    Row {
        name: "input-gradient",
        passes: Some(2.0),
        rivals: &[
            Rival { form: "input-gradient", compile: true, ..EAGER },
            Rival { form: "fused", compile: true, ..EAGER },
        ],
        threads: true,
        batches: true,
        ..ROW
    },
    Row {
        name: "standard-step",
        passes: Some(3.0),
        rivals: &[Rival { form: "standard-step", compile: true, ..EAGER }],
        ..ROW
    },
    Row {
        name: "cure-step",
        passes: Some(15.0),
        rivals: &[
            Rival { form: "authors", always: true, ..EAGER },
            Rival { form: "careful", ..EAGER },
            Rival { form: "folded", ..EAGER },
        ],
        threads: true,
        batches: true,
        ..ROW
    },
    Row {
        name: "cure-step-frozen",
        passes: Some(12.0),
        rivals: &[
            Rival { form: "careful-frozen", ..EAGER },
            Rival { form: "folded-frozen", ..EAGER },
        ],
        threads: true,
        ..ROW
    },
    Row {
        name: "pgd-20",
        kind: Kind::Attack,
        rivals: &[
            Rival { form: "loop", compile: true, ..EAGER },
            Rival { form: "foolbox", ..EAGER },
            Rival { form: "torchattacks", ..EAGER },
        ],
        ..ROW
    },
    Row {
        name: "deepfool",
        kind: Kind::Attack,
        rivals: &[Rival { form: "loop", ..EAGER }, Rival { form: "foolbox", ..EAGER }],
        ..ROW
    },
    Row {
        name: "profile",
        kind: Kind::Profile,
        rivals: &[
            Rival { form: "batched", ..EAGER },
            Rival { form: "one direction at a time", ..PLAIN },
        ],
        ..ROW
    },
    Row {
        name: "exact-profile",
        kind: Kind::Profile,
        rivals: &[Rival { form: "class gradients", ..PLAIN }],
        ..ROW
    },
    Row {
        name: "data-loading",
        kind: Kind::Data,
        rivals: &[
            Rival { form: "as torchvision", always: true, ..PLAIN },
            Rival { form: "without checksums", ..PLAIN },
        ],
        ..ROW
    },
    Row {
        name: "model-loading",
        kind: Kind::Checkpoint,
        rivals: &[
            Rival { form: "torch.load", ..PLAIN },
            Rival { form: "torch.load, built on meta", ..PLAIN },
        ],
        ..ROW
    },
    Row {
        name: "first-image",
        kind: Kind::Classify,
        rivals: &[Rival { form: "process", ..PLAIN }],
        ..ROW
    },
    Row { name: "help", kind: Kind::Help, ..ROW },
    Row { name: "threads", kind: Kind::Table, ..ROW },
    Row { name: "batch", kind: Kind::Table, ..ROW },
    Row { name: "floors", kind: Kind::Table, ..ROW },
    Row { name: "agreement", kind: Kind::Table, ..ROW },
];

/// The attack of a row, as `cure evaluate --attack` reads it.
pub(super) fn attack_of(row: &str) -> &'static str {
    match row {
        "deepfool" => "deepfool:norm=l2,preset=foolbox",
        _ => "pgd:norm=linf,eps=8/255,steps=20,random-start=false,early-stop=false",
    }
}

pub(super) fn named(name: &str) -> Outcome<&'static Row> {
    ROWS.iter().find(|row| row.name == name).ok_or_else(|| {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        Failure::Input(format!("--rows `{name}`: known are {}", known.join(", ")))
    })
}

/// The rows of `--rows`, in the table's order; all of them where none is named.
pub(super) fn chosen(names: &[String]) -> Outcome<Vec<&'static Row>> {
    for name in names {
        named(name)?;
    }
    let wanted = |row: &&Row| names.is_empty() || names.iter().any(|name| name == row.name);
    Ok(ROWS.iter().filter(wanted).collect())
}

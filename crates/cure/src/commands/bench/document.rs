//! The report: `docs/benchmarks.md`, the same as text, and everything as JSON.

use cure_report::Table;
use serde_json::{Value, json};

use super::agreement::Agreement;
use super::job::Versions;
use super::plan::{Ground, Place};
use super::rounds::Results;
use super::tables::{self, Source};
use crate::machine::Machine;

const INTRODUCTION: &str = "\
Written whole by `cure bench`; do not edit. Every measurement is a process of its own, and all \
were taken in one run. Steps are everything up to the parameter gradients, without the optimiser.";

const SIDE_BY_SIDE: &str = "\
Milliseconds are the median over all steps of all rounds, with the least and the most. Ratios are \
of medians, round by round: their median, with the least and the most; over 1, cure takes less \
time. The rival shown is the fastest of its forms, whose times are below; CURE steps are compared \
with the authors' procedure too.";

const MEMORY: &str = "\
The most memory each process had (VmHWM). What it has before its first step (libraries, network and \
images) is part of it, and shown apart; the last column compares what steps add. PyTorch as PyPI \
has it for Linux comes with CUDA's libraries, which its process holds too. Under `torch.compile` the \
peak is counted from the end of the first step, so that what compiling takes is left out.";

const FORMS: &str = "\
What the rows mean. `forward`: logits without gradients. `input-gradient`: ∇ₓ of the summed \
cross-entropy, BatchNorm frozen. `standard-step`: gradients of the mean cross-entropy. \
`cure-step`: the clean loss with BatchNorm over the batch, the regulariser with running \
statistics; `cure-step-frozen`: everything with running statistics. Of the rivals, `authors` is \
the published procedure (18 passes), `careful` does double backward without waste (15), `folded` \
is the same with BatchNorm folded into the convolutions (15), and `-frozen` are those with \
running statistics (12). None of them can be compiled: `torch.compile` says that it \"does not \
currently support double backward\".\n\n\
`pgd-20`: ℓ∞, ε = 8/255, 20 steps of 2/255, no random start; every image takes all 20 steps, in \
every program (ours would by default drop images that are fooled; `early-stop=false` keeps \
them), which is 20 gradients an image. Ours judges the last iterate with one forward more, as do \
the loop and Foolbox; torchattacks does not. `deepfool`: ℓ2, at most 50 steps towards the 9 likeliest other \
classes; ours and the loop let images go that are fooled, Foolbox keeps them all until the last. \
torchattacks' DeepFool takes one image at a time and is left out. Attacked are the first images \
that the network classifies correctly; `fooled` counts them afterwards.\n\n\
`profile`: all 3072 eigenvalues of one image's Hessian from forward differences (h = 0.1) along every \
pixel, made symmetric, in float64; the batch is of directions. The rival computes as many in a pass \
with BatchNorm folded, or one after another. `exact-profile`: those eigenvalues of the exact Hessian that \
are not 0, from one pass and a pull back for each class; both do the same. Neither warms up.\n\n\
`data-loading`: both splits of CIFAR-10 to memory; ours checks sizes, labels and every file's SHA-256 \
against that of the file with the published md5 sum, `as torchvision` checks md5 sums. \
`model-loading`: a checkpoint to a network ready to classify; ours checks that every value is \
finite. Its SHA-256, which names the file in results and decides nothing, is taken by a thread beside \
whatever comes next, and not counted; a form of its own waits for it. `built on meta` spares PyTorch its \
random initialisation. Files are in the system's cache. `first-image`: wall time of a whole process that \
loads the checkpoint and classifies one image. `help`: `cure --help`.";

const FLOORS: &str = "\
A floor is what the passes of a row would take at the machine's peaks: two operations a \
multiply-add of plain sums at the speed of a large matrix product, plus each convolution's output \
written once and read once (8 bytes a value) at the speed of memory. The shares are floor ÷ time. \
They can exceed 1: Winograd's transforms need fewer products than plain sums, and activations \
stay in cache where the model sends them to memory. The last column is no model: the share of our time \
that the multiplications which are really taken would need at the speed of the matrix product. What remains are \
transforms, memory, and all that is no convolution.";

const AGREEMENT: &str = "\
Before anything is timed, both programs compute the parameter gradients of one step from the same \
weights on the same 8 images, PyTorch in double precision too. Shown is ‖found − exact‖ ÷ ‖exact‖ \
against the same form in double precision: the largest of a parameter tensor, and of all \
parameters as one vector. Where a network is very sure of an image, PyTorch's float32 loses p − y, \
and with it the direction z (see decisions); ours keeps it. Transformed tiles round twice as much as \
plain sums, which in a network of ReLUs can put a pixel of a channel on the other side of zero: a jump \
of the gradient, up to 1e-2 in a small network. With plain sums (`--plain-sums`) the same program shows what \
is rounding and what is such a jump. (For this comparison alone PyTorch's running statistics stand still, since the \
authors' procedure moves them before it reads them and ours after.)";

struct Section {
    heading: &'static str,
    text: String,
    table: Table,
}

pub(super) struct Report<'a> {
    source: Source<'a>,
    agreements: &'a [Agreement],
    machine: &'a Machine,
    rounds: usize,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        ground: &'a Ground<'a>,
        results: &'a Results,
        agreements: &'a [Agreement],
        machine: &'a Machine,
        rounds: usize,
    ) -> Self {
        Self { source: Source { ground, results }, agreements, machine, rounds }
    }

    fn sections(&self) -> Vec<Section> {
        let source = self.source;
        let (gflops, gbytes) = source.peaks();
        let floors = format!(
            "{FLOORS} Measured here: {gflops:.0} GFLOP/s (`gemm`, all threads, best of several \
             sizes and rounds) and {gbytes:.1} GB/s (a triad over 3 × 128 MiB, reads and writes \
             counted)."
        );
        let floors_table = if gflops.is_finite() { source.floors() } else { Table::default() };
        let section = |heading, text: &str, table| Section { heading, text: text.into(), table };
        let all = vec![
            section("Side by side", SIDE_BY_SIDE, source.side_by_side()),
            section("Peak memory", MEMORY, source.memory()),
            section("Distance to the machine's floors", &floors, floors_table),
            section("Where the time goes", "Ours, milliseconds of one step.", source.breakdown()),
            section("Reading files", "", source.throughput()),
            section("Threads", "Ours.", source.threads()),
            section("Batch sizes", "Ours, milliseconds an image.", source.batches()),
            section("Do they compute the same?", AGREEMENT, tables::agreements(self.agreements)),
            section("Every form, first round", FORMS, source.first_round()),
        ];
        all.into_iter().filter(|section| !section.table.rows.is_empty()).collect()
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let (ground, machine) = (self.source.ground, self.machine);
        let mut facts = vec![
            ("Machine", machine.to_string()),
            ("Ours", format!("cure {}, {} threads", env!("CARGO_PKG_VERSION"), ground.threads)),
        ];
        if cure_tensor::device().is_torch() {
            let precision = cure_tensor::precision();
            facts.push(("Device", format!("{}, {precision} for both", cure_tensor::device())));
        }
        if let Some(versions) = ground.rival {
            if !versions.gpus.is_empty() {
                facts.push(("GPUs", versions.gpus.join(", ")));
            }
            facts.push(("Rivals", rivals(versions, ground.threads)));
        }
        let networks = ground.subjects.iter().map(|subject| {
            let given = subject.checkpoint.is_some();
            let weights = if given { "weights from a file" } else { "random weights" };
            format!("{} ({weights})", subject.model)
        });
        let images = if ground.data.is_some() { "CIFAR-10's test set" } else { "a fixed pattern" };
        let networks = networks.collect::<Vec<_>>().join(", ");
        facts.push(("Networks and images", format!("{networks}; {images}")));
        let done = self.source.results.product.len();
        facts.push((
            "Method",
            format!(
                "{done} of {} rounds, {} repeats in each process after one that warms up (half as \
                 many for attacks and networks of more than 2·10⁹ multiply-adds); after \
                 the first round ours and the rival's two fastest forms in turn",
                self.rounds, ground.repeats
            ),
        ));
        if let Some(load) = machine.load {
            facts.push(("Load before the first measurement", format!("{load:.2}")));
        }
        facts
    }

    pub(super) fn to_markdown(&self) -> String {
        let mut text = format!("# Benchmarks\n\n{}\n\n    {}\n\n", wrap(INTRODUCTION), command());
        for (name, fact) in self.facts() {
            text += &format!("- {name}: {fact}.\n");
        }
        for section in self.sections() {
            text += &format!("\n## {}\n", section.heading);
            for paragraph in section.text.split("\n\n").filter(|part| !part.is_empty()) {
                text += &format!("\n{}\n", wrap(paragraph));
            }
            text += &format!("\n{}", markdown(&section.table));
        }
        text
    }

    pub(super) fn to_text(&self) -> String {
        let facts = self.facts().into_iter().map(|(name, fact)| format!("{name}: {fact}\n"));
        let sections = self.sections().into_iter().map(|section| {
            let caption = section.heading.to_owned();
            format!("\n{}", Table { caption, ..section.table }.to_text())
        });
        facts.chain(sections).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let Source { ground, results } = self.source;
        let races = results.races.iter().zip(&results.records).map(|(race, records)| {
            let contenders = race.contenders.iter().zip(records).map(|(contender, record)| {
                json!({
                    "name": contender.name,
                    "program": contender.job.program,
                    "threads": contender.job.threads,
                    "rounds": record.rounds,
                    "failure": record.failure,
                })
            });
            json!({
                "row": race.row.name,
                "table": if race.place == Place::Main { "main" } else { "batch" },
                "model": race.subject.map(|at| &ground.subjects[at].model),
                "batch": race.batch,
                "contenders": contenders.collect::<Vec<_>>(),
            })
        });
        json!({
            "tool": concat!("cure ", env!("CARGO_PKG_VERSION")),
            "command": command(),
            "machine": self.machine,
            "rival": ground.rival,
            "threads": ground.threads,
            "repeats": ground.repeats,
            "product_gflops": results.product,
            "triad_gbytes": results.triad,
            "agreement": self.agreements,
            "races": races.collect::<Vec<_>>(),
        })
    }
}

fn rivals(versions: &Versions, threads: usize) -> String {
    let library = |name: &str, version: &Option<String>| match version {
        Some(version) => format!("{name} {version}"),
        None => format!("no {name}"),
    };
    let compiler = match &versions.compiler {
        Some(compiler) => format!("`torch.compile` with {compiler}"),
        None => "no C++ compiler, so no `torch.compile`".into(),
    };
    format!(
        "PyTorch {}, {}, {}, Python {}, {threads} threads, glibc keeping freed memory; {compiler}",
        versions.torch,
        library("Foolbox", &versions.foolbox),
        library("torchattacks", &versions.torchattacks),
        versions.python,
    )
}

/// The command line that is running.
fn command() -> String {
    let quote = |argument: String| {
        if argument.contains(char::is_whitespace) { format!("'{argument}'") } else { argument }
    };
    let arguments = std::env::args().skip(1).map(quote);
    std::iter::once("cure".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Lines of at most 110 characters.
fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + word.chars().count() > 109 {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines.join("\n")
}

fn markdown(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let width = table.columns.len();
    let mut text = line(table.columns.clone()) + &format!("|{}\n", "---|".repeat(width));
    for row in &table.rows {
        let shown = row.iter().map(|cell| cell.shown().replace('|', "\\|"));
        let missing = std::iter::repeat_n("–".to_owned(), width.saturating_sub(row.len()));
        text += &line(shown.chain(missing).collect());
    }
    text
}

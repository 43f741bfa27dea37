//! The command line, and what its arguments mean.

mod model;
mod region;
mod source;

use std::io::IsTerminal;

use clap::{Args, Parser, Subcommand};
use cure_network::Ranks;
use cure_tensor::{Device, Precision, ops};
pub(crate) use model::{Model, ModelArguments};
pub(crate) use region::{Confinement, MaskArguments, RegionArguments};
pub(crate) use source::{DataArguments, load_data, remark_on, whole};

use crate::commands;
use crate::failure::{Blame, Failure, Outcome};
use crate::job::Job;

const EXAMPLES: &str = "\
Start here:
  cure demo                                  the whole story on built-in data, in about a minute
With CIFAR-10 in a folder and a network from PyTorch:
  cure evaluate --data cifar10:DIR --weights net.pt --normalize cifar10 \\
      --attack pgd:norm=linf,eps=8/255,steps=20
  cure finetune --method cure --batch-norm frozen --gamma 0.4 --h linear:0.02..0.6@6 \\
      --data cifar10:DIR --weights net.pt --normalize cifar10 --out runs/a

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted.";

/// More threads than any machine has cores for.
const MOST_THREADS: usize = 1024;

/// Train, attack and study robust image classifiers through curvature.
#[derive(Parser, Debug)]
#[command(name = "cure", version = env!("CURE_VERSION"), after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) general: General,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Debug, Clone)]
pub(crate) struct General {
    /// Where to compute: cpu, or torch:cpu and torch:cuda[:INDEX] where built with `libtorch` [default:
    /// what CURE_DEVICE names, or cpu].
    #[arg(long, global = true, value_name = "DEVICE", help_heading = "General options")]
    device: Option<Device>,
    /// What libtorch's convolutions multiply in: f32, bf16, or on GPUs tf32 [default: f32].
    #[arg(long, global = true, value_name = "KIND", help_heading = "General options")]
    precision: Option<Precision>,
    /// Threads; every number of them gives the same result on `cpu` [default: all cores].
    #[arg(long, global = true, value_name = "N", help_heading = "General options")]
    pub(crate) threads: Option<usize>,
    /// Seed of everything random [default: 0].
    #[arg(long, global = true, value_name = "SEED", help_heading = "General options")]
    pub(crate) seed: Option<u64>,
    /// Vector instructions: widest, avx512, avx2, neon or scalar; all give the same bits.
    #[arg(long, global = true, value_name = "KIND", default_value = "widest", hide = true)]
    pub(crate) vectors: String,
    /// Plain sums in every convolution: half the rounding error, up to four times the work.
    #[arg(long, global = true, help_heading = "General options")]
    pub(crate) plain_sums: bool,
    /// No progress, only results and errors.
    #[arg(short, long, global = true, help_heading = "General options")]
    pub(crate) quiet: bool,
    /// Say more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "General options")]
    pub(crate) verbose: u8,
    /// The processes that work together (`mpirun`).
    #[arg(skip)]
    pub(crate) ranks: Ranks,
    /// Threads where none were asked for; 0 for all cores.
    #[arg(skip)]
    pub(crate) default_threads: usize,
}

impl Arguments {
    /// Checks the device, starts the thread pool and the log.
    pub(crate) fn prepare(&self) -> Outcome {
        let shares =
            matches!(self.command, Command::Train(_) | Command::Finetune(_) | Command::Evaluate(_));
        if self.general.ranks.size() > 1 && !shares {
            return Err(Failure::Input(format!(
                "this is one of {} processes, and they can share train, finetune and evaluate alone; \
                 start one process",
                self.general.ranks.size()
            )));
        }
        self.general.prepare()
    }
}

impl General {
    /// Makes this process one of a job's; only the first one talks.
    pub(crate) fn join(&mut self, job: &Job) {
        self.ranks = job.ranks();
        self.default_threads = job.threads();
        self.quiet |= !self.ranks.is_first();
    }

    fn prepare(&self) -> Outcome {
        if let Some(threads) = self.threads
            && !(1..=MOST_THREADS).contains(&threads)
        {
            return Err(Failure::Input(format!(
                "--threads is {threads}; accepted is 1 to {MOST_THREADS}"
            )));
        }
        let vectors =
            commands::derivatives::parse_word("vectors", &self.vectors, &ops::Vectors::ALL)?;
        ops::use_vectors(vectors).input()?;
        ops::use_plain_sums(self.plain_sums);
        let threads = self.threads.unwrap_or(self.default_threads);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().failed()?;
        let device = match self.device {
            Some(device) => Some(device),
            None => cure_tensor::named_by_environment().input()?,
        };
        let (device, precision) = (device.unwrap_or_default(), self.precision.unwrap_or_default());
        cure_tensor::use_device(device, precision, rayon::current_num_threads()).input()?;
        let level = match (self.quiet, self.verbose) {
            (true, _) => tracing::Level::ERROR,
            (_, 0) => tracing::Level::WARN,
            (_, 1) => tracing::Level::INFO,
            _ => tracing::Level::DEBUG,
        };
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .without_time()
            .with_target(false)
            .init();
        Ok(())
    }

    /// What a command that starts others hands on to them: everything but the seed.
    pub(crate) fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            flags.extend(value.map(|value| format!("--{name}={value}")));
        };
        option("device", self.device.map(|device| device.to_string()));
        option("precision", self.precision.map(|precision| precision.to_string()));
        option("threads", self.threads.map(|threads| threads.to_string()));
        option("vectors", Some(self.vectors.clone()));
        flags.extend(self.plain_sums.then(|| "--plain-sums".to_owned()));
        flags.extend(self.quiet.then(|| "--quiet".to_owned()));
        flags.extend((0..self.verbose).map(|_| "--verbose".to_owned()));
        flags
    }

    /// The seed, 0 where none was given.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Train, attack, fine-tune with CURE and attack again, on built-in data; writes a report.
    Demo(commands::demo::Options),
    /// Whether somebody's network is robust, and whether that can be believed: one report with a verdict.
    Audit(commands::audit::Options),
    /// The paper's tables and figures, its numbers beside ours, in one report.
    Reproduce(commands::reproduce::Options),
    /// What data there is, and what a dataset holds.
    Data(commands::data::Options),
    /// Train a network from random weights.
    Train(commands::train::Options),
    /// Fine-tune a trained network, with CURE or another objective.
    Finetune(commands::finetune::Options),
    /// The training recipes in this program, by name, for --config.
    Recipes(commands::recipes::Options),
    /// Training runs side by side: what there is, how they differ, what they came to.
    Runs(commands::runs::Options),
    /// Clean accuracy and robust accuracy under attacks.
    Evaluate(commands::evaluate::Options),
    /// The attacks there are, and their parameters.
    Attacks(commands::attacks::Options),
    /// What training can minimise, what it costs, and the parameters.
    Objectives(commands::objectives::Options),
    /// Robust accuracy against ε, for one network or several, as a figure.
    Curve(commands::curve::Options),
    /// Curvature of the loss around images: profiles, norms, alignment, bounds, sections.
    Geometry(commands::geometry::Options),
    /// Whether gradients hide something: margins under PGD against margins under SPSA.
    Masking(commands::masking::Options),
    /// Write the derivatives CURE is made of, to check them against any other program.
    Derivatives(commands::derivatives::Options),
    /// Turn a weights file of PyTorch into safetensors with architecture and normalisation.
    Convert(commands::convert::Options),
    /// Whether this build computes what it should on this machine and device, in seconds.
    Selftest(commands::selftest::Options),
    /// What a shell needs to complete command lines of cure.
    Completions(commands::completions::Options),
    /// Manual pages, one for each command.
    Man(commands::man::Options),
    /// Speed and memory, beside PyTorch and the libraries on top of it.
    Bench(commands::bench::Options),
}

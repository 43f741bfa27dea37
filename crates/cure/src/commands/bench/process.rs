//! Runs a job in a process of its own, so that peak memory is its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use super::job::{Job, Measurement, Program, Versions};
use super::rows::{self, Kind};
use crate::failure::{Blame, Failure, Outcome};

/// A Python with PyTorch, and the script that it runs.
#[derive(Clone, Debug)]
pub(super) struct Python {
    pub(super) program: PathBuf,
    pub(super) script: PathBuf,
}

impl Python {
    pub(super) fn versions(&self) -> Outcome<Versions> {
        let mut command = Command::new(&self.program);
        let output = finish(command.arg(&self.script).arg("--versions"));
        let output = output.map_err(|reason| {
            Failure::Input(format!("{} cannot be a rival: {reason}", self.program.display()))
        })?;
        serde_json::from_slice(&output.stdout).input()
    }

    fn command(&self, threads: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.env("OMP_NUM_THREADS", threads.to_string());
        // glibc returns big blocks to the kernel at once and faults them in again every step. Large pages, which
        // our own allocator asks for, slow PyTorch down (`docs/decisions.md`).
        command
            .env("MALLOC_MMAP_MAX_", "0")
            .env("MALLOC_TRIM_THRESHOLD_", (1u64 << 40).to_string());
        command
    }
}

/// The measurement, or why there is none.
pub(super) fn measure(job: &Job, python: Option<&Python>) -> Outcome<Result<Measurement, String>> {
    let kind = rows::named(&job.row)?.kind;
    let start = || command(job, kind, python);
    if matches!(kind, Kind::Help | Kind::Classify) {
        return whole_processes(job, kind, start);
    }
    match finish(&mut start()?) {
        Ok(output) => Ok(Ok(read(&output)?)),
        Err(reason) => Ok(Err(reason)),
    }
}

/// The wall time of processes from start to end.
fn whole_processes(
    job: &Job,
    kind: Kind,
    start: impl Fn() -> Outcome<Command>,
) -> Outcome<Result<Measurement, String>> {
    let mut found = Measurement::default();
    for repeat in 0..=job.repeats {
        let mut command = start()?;
        let begun = Instant::now();
        let output = match finish(&mut command) {
            Ok(output) => output,
            Err(reason) => return Ok(Err(reason)),
        };
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        if repeat > 0 {
            found.ms.push(ms);
        }
        if kind == Kind::Classify {
            let peak = read(&output)?.peak_mib.unwrap_or(f64::NAN);
            found.peak_mib = Some(found.peak_mib.unwrap_or(0.0).max(peak));
        }
    }
    Ok(Ok(found))
}

fn command(job: &Job, kind: Kind, python: Option<&Python>) -> Outcome<Command> {
    let text = serde_json::to_string(job).failed()?;
    let command = match (job.program, python) {
        (Program::Cure, _) => {
            let mut command = Command::new(std::env::current_exe().failed()?);
            match kind {
                Kind::Help => command.arg("--help"),
                _ => {
                    let (threads, device) = (job.threads.to_string(), &job.device);
                    let common = ["--threads", &threads, "--device", device, "--precision"];
                    command.arg("bench").args(common).args([&job.precision, "--job", &text])
                }
            };
            if job.plain_sums {
                command.arg("--plain-sums");
            }
            command
        }
        (Program::PyTorch, Some(python)) => {
            let mut command = python.command(job.threads);
            command.arg(&python.script).args(["--job", &text]);
            command
        }
        (Program::PyTorch, None) => {
            return Err(Failure::Input("without --against there is no rival to measure".into()));
        }
    };
    Ok(command)
}

/// Runs to the end; of a failure the last line that was said.
fn finish(command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(said.map_or_else(|| output.status.to_string(), str::to_owned))
}

/// The last line of what was printed: libraries may print before.
fn read(output: &Output) -> Outcome<Measurement> {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).failed()
}

//! `cure bench step`: how long the passes of training take, beside PyTorch in the same run.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Instant;

use clap::{Args, Subcommand};
use cure_network::{Architecture, Classifier as _, Network, Normalization};
use cure_report::{Cell, Table};
use cure_tensor::Tensor;
use cure_tensor::ops;
use cure_training::{BatchNormMode, CureOptions, EpochValues, Objective, SampleStreams};
use serde::{Deserialize, Serialize};

use crate::arguments::General;
use crate::failure::{Blame, Failure, Outcome};
use crate::output::{check_outputs, print, write_json};

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Forward, input gradient and training steps; milliseconds, GFLOP/s and peak memory.
    Step(Step),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Beside PyTorch, in one run, on an otherwise idle machine:
  cure bench step --against python3 --script benchmarks/pytorch_step.py

A step is everything up to the parameter gradients. C is one pass of the convolutions over the
batch: forward C, pull back to the input C, weight gradient C; GFLOP/s count two operations a
multiply-add of the passes a form needs.")]
struct Step {
    /// The architecture.
    #[arg(long, default_value = "resnet18")]
    model: String,
    /// Images a step.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Steps measured; one more warms up.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// A Python with PyTorch, to measure the rival with in the same run.
    #[arg(long, value_name = "PYTHON")]
    against: Option<PathBuf>,
    /// The rival's script.
    #[arg(long, value_name = "FILE", default_value = "benchmarks/pytorch_step.py")]
    script: PathBuf,
    /// Write the measurements here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure one form and print it as JSON (used by the program itself).
    #[arg(long, hide = true)]
    form: Option<String>,
}

/// A form of a step, with the passes it needs.
const FORMS: [(&str, f64); 5] = [
    ("forward", 1.0),
    ("input-gradient", 2.0),
    ("standard-step", 3.0),
    ("cure-step", 15.0),
    ("cure-step-frozen", 12.0),
];

#[derive(Serialize, Deserialize)]
struct Row {
    form: String,
    #[serde(default, alias = "memory_format")]
    layout: String,
    median_ms: f64,
    min_ms: f64,
    gflops: f64,
    peak_mib: f64,
}

#[derive(Deserialize)]
struct Rival {
    torch: String,
    rows: Vec<Row>,
}

pub(crate) fn run(general: &General, options: &Options) -> Outcome {
    let Command::Step(step) = &options.command;
    if !(1..=65_536).contains(&step.batch) || !(1..=100_000).contains(&step.repeats) {
        return Err(Failure::Input("--batch accepts 1 to 65536, --repeats 1 to 100000".into()));
    }
    if let Some(form) = &step.form {
        let row = measure(step, form)?;
        return print(&(serde_json::to_string(&row).failed()? + "\n"));
    }
    Architecture::named(&step.model, 10, [3, 32, 32]).input()?;
    step.json.as_deref().map_or(Ok(()), |path| check_outputs(&[path], &[]))?;
    if step.against.is_some() && !step.script.is_file() {
        return Err(Failure::Input(format!(
            "{} is not here; name the rival's script with --script",
            step.script.display()
        )));
    }
    let threads = rayon::current_num_threads();
    print(&format!(
        "{} × {} images, {threads} threads, median of {} steps\n",
        step.model, step.batch, step.repeats
    ))?;
    let ours = FORMS
        .iter()
        .map(|(form, _)| measure_apart(general, step, form))
        .collect::<Outcome<Vec<Row>>>()?;
    print(&table("cure", &ours).to_text())?;
    let theirs = match &step.against {
        Some(python) => {
            let rival = measure_rival(python, step, threads)?;
            print(&format!(
                "\n{}",
                table(&format!("PyTorch {}", rival.torch), &rival.rows).to_text()
            ))?;
            print(&format!("\n{}", ratios(&ours, &rival.rows).to_text()))?;
            rival.rows
        }
        None => Vec::new(),
    };
    match &step.json {
        Some(path) => write_json(
            path,
            &serde_json::json!({
                "model": step.model, "batch": step.batch, "threads": threads,
                "repeats": step.repeats, "cure": ours, "pytorch": theirs,
            }),
        ),
        None => Ok(()),
    }
}

fn table(caption: &str, rows: &[Row]) -> Table {
    let columns = ["form", "layout", "median ms", "min ms", "GFLOP/s", "peak MiB"];
    rows.iter().fold(Table::new(caption, columns), |table, row| {
        table.row([
            Cell::from(row.form.as_str()),
            Cell::from(row.layout.as_str()),
            Cell::Number(row.median_ms, 1),
            Cell::Number(row.min_ms, 1),
            Cell::Number(row.gflops, 0),
            Cell::Number(row.peak_mib, 0),
        ])
    })
}

/// Each of our forms against the rival's forms that compute the same, each at its best layout.
fn ratios(ours: &[Row], theirs: &[Row]) -> Table {
    let pairs: [(&str, &[&str]); 5] = [
        ("forward", &["forward"]),
        ("input-gradient", &["input-gradient"]),
        ("standard-step", &["standard-step"]),
        ("cure-step", &["authors", "authors-train", "careful", "folded"]),
        ("cure-step-frozen", &["careful-frozen", "folded-frozen"]),
    ];
    let columns = ["cure", "PyTorch", "time ratio", "memory ratio"];
    let caption = "PyTorch ÷ cure (over 1: cure takes less), PyTorch in its best memory format";
    let mut table = Table::new(caption, columns);
    for (form, rivals) in pairs {
        let Some(our) = ours.iter().find(|row| row.form == form) else { continue };
        for rival in rivals {
            let best = theirs
                .iter()
                .filter(|row| row.form == *rival)
                .min_by(|a, b| a.median_ms.total_cmp(&b.median_ms));
            if let Some(best) = best {
                table = table.row([
                    Cell::from(form),
                    Cell::from(format!("{} {}", best.form, best.layout)),
                    Cell::Number(best.median_ms / our.median_ms, 2),
                    Cell::Number(best.peak_mib / our.peak_mib, 2),
                ]);
            }
        }
    }
    table
}

/// Runs one form in a process of its own, so that peak memory is its own.
fn measure_apart(general: &General, step: &Step, form: &str) -> Outcome<Row> {
    let program = std::env::current_exe().failed()?;
    let mut process = Process::new(program);
    process.args(["bench", "step", "--model", &step.model, "--form", form]);
    process.args(["--batch", &step.batch.to_string(), "--repeats", &step.repeats.to_string()]);
    if let Some(threads) = general.threads {
        process.args(["--threads", &threads.to_string()]);
    }
    let output = process.output().failed()?;
    if !output.status.success() {
        return Err(Failure::Failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    serde_json::from_slice(&output.stdout).failed()
}

fn measure_rival(python: &Path, step: &Step, threads: usize) -> Outcome<Rival> {
    let file = std::env::temp_dir().join(format!("cure-bench-{}.json", std::process::id()));
    let status = Process::new(python)
        .arg(&step.script)
        .args(["--model", &step.model, "--memory-format", "both", "--keep-memory"])
        .args(["--batch", &step.batch.to_string(), "--repeats", &step.repeats.to_string()])
        .args(["--threads", &threads.to_string(), "--json"])
        .arg(&file)
        .stdout(std::process::Stdio::null())
        .status()
        .failed()?;
    if !status.success() {
        return Err(Failure::Failed(format!("{} did not finish: {status}", step.script.display())));
    }
    let text = std::fs::read_to_string(&file).failed()?;
    // Whether it can be removed or not, the measurement stands.
    let _ = std::fs::remove_file(&file);
    serde_json::from_str(&text).failed()
}

fn measure(step: &Step, form: &str) -> Outcome<Row> {
    let Some(&(_, passes)) = FORMS.iter().find(|(name, _)| *name == form) else {
        return Err(Failure::Input(format!("unknown form `{form}`")));
    };
    let shape = [3, 32, 32];
    let architecture = Architecture::named(&step.model, 10, shape).input()?;
    let normalization = Normalization::parse("cifar10", 3).input()?;
    let mut network = Network::random(architecture, normalization, 0).input()?;
    let length = step.batch * shape.iter().product::<usize>();
    // A fixed pattern that is not flat: gradients must not vanish.
    let pixels = (0..length).map(|i| ((i * 7919) % 256) as f32 / 255.0).collect();
    let images = Tensor::new(&[step.batch, 3, 32, 32], pixels).failed()?;
    let labels: Vec<usize> = (0..step.batch).map(|i| i % 10).collect();
    let indices: Vec<usize> = (0..step.batch).collect();

    let frozen = network.frozen().failed()?;
    let cure = |loss_mode| Objective::Cure(CureOptions { loss_mode, ..CureOptions::default() });
    let objective = match form {
        "standard-step" => Objective::Standard {},
        "cure-step" => cure(BatchNormMode::Train),
        _ => cure(BatchNormMode::Eval),
    };
    let at = EpochValues { h: 0.6, gamma: 0.8 };
    let streams = SampleStreams { seed: 0, epoch: 0, indices: &indices };
    let mut once = || -> Outcome {
        match form {
            "forward" => drop(frozen.logits(&images).failed()?),
            "input-gradient" => {
                let pass = frozen.linearize(&images).failed()?;
                let loss = ops::cross_entropy(pass.logits(), &labels).failed()?;
                drop(pass.pullback(&loss.residual).failed()?);
            }
            _ => drop(objective.step(&mut network, &images, &labels, &at, &streams).failed()?),
        }
        Ok(())
    };
    once()?;
    let mut times = Vec::with_capacity(step.repeats);
    for _ in 0..step.repeats {
        let start = Instant::now();
        once()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let median_ms = times[times.len() / 2];
    let operations = 2.0 * passes * network.multiply_adds() as f64 * step.batch as f64;
    Ok(Row {
        form: form.to_owned(),
        layout: "channel-major".into(),
        median_ms,
        min_ms: times[0],
        gflops: operations / (median_ms * 1e6),
        peak_mib: peak_memory_mib().unwrap_or(f64::NAN),
    })
}

/// The most memory this process has had, where the system tells (Linux).
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}

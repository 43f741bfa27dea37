//! Ours, measured in a process of its own: reads a job, prints a measurement.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use cure_attacks::{AttackSpec, Streams};
use cure_data::{DataSpec, Split};
use cure_network::weights::{self, Metadata};
use cure_network::{Classifier, LoadOptions, Loaded, Network};
use cure_tensor::{Tensor, meter, ops};
use cure_training::{
    BatchNormMode, CureOptions, EpochValues, Objective, SampleStreams, StepOutcome,
};

use super::job::{Job, Measurement};
use super::plan::WITH_DIGEST;
use super::profile::profile;
use super::rows::{self, Kind};
use super::{floors, prepare};
use crate::failure::{Blame, Failure, Outcome};
use crate::machine::peak_memory_mib;

/// The authors' λ = 4 and h = 3 over inputs normalised by CIFAR-10's std, in pixels of [0, 1].
const VALUES: EpochValues = EpochValues { h: 0.6, gamma: 0.8 };

/// Measures what `text`, a [`Job`], says; the answer as JSON.
pub(super) fn answer(text: &str) -> Outcome<String> {
    let job: Job = serde_json::from_str(text).input()?;
    let mut found = match (job.row.as_str(), rows::named(&job.row)?.kind) {
        ("floors", _) if job.form == "product" => floors::product(),
        ("floors", _) => floors::triad(),
        (_, Kind::Step) => step(&job)?,
        (_, Kind::Attack) => attack(&job)?,
        (_, Kind::Profile) => {
            let (images, labels) = images_of(&job)?;
            profile(&job, &network_of(&job)?, &images, &labels)?
        }
        (_, Kind::Data) => data(&job)?,
        (_, Kind::Checkpoint) => checkpoint(&job)?,
        (_, Kind::Classify) => classify(&job)?,
        (_, Kind::Help | Kind::Table) => {
            return Err(Failure::Input(format!("`{}` is not measured in a process", job.row)));
        }
    };
    found.peak_mib = peak_memory_mib();
    serde_json::to_string(&found).failed()
}

/// Runs `once` to warm up and then `repeats` times.
fn times(repeats: usize, mut once: impl FnMut() -> Outcome) -> Outcome<Vec<f64>> {
    once()?;
    cure_tensor::wait().failed()?;
    let mut ms = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let start = Instant::now();
        once()?;
        cure_tensor::wait().failed()?;
        ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(ms)
}

fn given<'a, T: ?Sized>(part: Option<&'a T>, job: &Job) -> Outcome<&'a T> {
    part.ok_or_else(|| Failure::Input(format!("the job of `{}` is not complete", job.row)))
}

fn network_of(job: &Job) -> Outcome<Network> {
    Ok(load(given(job.network.as_deref(), job)?, job)?.network)
}

fn load(path: &Path, job: &Job) -> Outcome<Loaded> {
    let list = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let options = LoadOptions {
        model: Some(job.model.clone()),
        normalization: Some(format!("{}/{}", list(&job.mean), list(&job.std))),
        classes: prepare::CLASSES,
        input: prepare::SHAPE,
    };
    cure_network::load(path, &options).input()
}

fn images_of(job: &Job) -> Outcome<(Tensor, Vec<usize>)> {
    let file = weights::read(given(job.images.as_deref(), job)?).input()?;
    let tensor = |name: &str| {
        let found = file.tensors.iter().find(|(key, _)| key == name);
        found
            .map(|(_, tensor)| tensor.clone())
            .ok_or_else(|| Failure::Input(format!("the images of `{}` have no `{name}`", job.row)))
    };
    let labels = tensor("labels")?.host().iter().map(|&label| label as usize).collect();
    Ok((tensor("images")?, labels))
}

fn step(job: &Job) -> Outcome<Measurement> {
    let mut network = network_of(job)?;
    let (images, labels) = images_of(job)?;
    let indices: Vec<usize> = (0..labels.len()).collect();
    let streams = SampleStreams { seed: 0, epoch: 0, indices: &indices };
    // A step makes its own.
    let is_pass = matches!(job.row.as_str(), "forward" | "input-gradient");
    let frozen = is_pass.then(|| network.frozen().failed()).transpose()?;
    let objective = objective(&job.row);
    let train = |network: &mut Network| -> Outcome<StepOutcome> {
        objective.step(network, &images, &labels, &VALUES, &streams).failed()
    };
    if let Some(path) = &job.gradients {
        let gradients = train(&mut network)?.gradients;
        let named = network.parameters().iter().zip(gradients.tensors());
        let found: Vec<(String, Tensor)> = named
            .filter_map(|(spec, gradient)| Some((spec.name.clone(), gradient.clone()?)))
            .collect();
        weights::write(path, &found, &Metadata::default()).failed()?;
        return Ok(Measurement::default());
    }
    let baseline_mib = peak_memory_mib();
    let mut once = || -> Outcome {
        match &frozen {
            Some(frozen) if job.row == "forward" => {
                drop(black_box(frozen.logits(&images).failed()?));
            }
            Some(frozen) => {
                let pass = Classifier::linearize(frozen, &images).failed()?;
                let loss = ops::cross_entropy(pass.logits(), &labels).failed()?;
                drop(black_box(pass.pullback(&loss.residual).failed()?));
            }
            None => drop(black_box(train(&mut network)?)),
        }
        Ok(())
    };
    let ms = times(job.repeats, &mut once)?;
    Ok(Measurement { ms, baseline_mib, ..breakdown(once)? })
}

fn objective(row: &str) -> Objective {
    let cure = |loss_mode| Objective::Cure(CureOptions { loss_mode, ..CureOptions::default() });
    match row {
        "standard-step" => Objective::default(),
        "cure-step" => cure(BatchNormMode::Train),
        _ => cure(BatchNormMode::Eval),
    }
}

/// Milliseconds of one more step by kind of operation, and the products it takes. What threads do side by side
/// counts by the share of the time it takes.
fn breakdown(mut once: impl FnMut() -> Outcome) -> Outcome<Measurement> {
    let start = Instant::now();
    let (result, record) = meter::record(&mut once);
    let mut rest = start.elapsed().as_secs_f64() * 1e3;
    result?;
    let threads = rayon::current_num_threads().max(1) as f64;
    let mut kinds: Vec<(String, f64)> = Vec::new();
    for entry in &record.entries {
        let share = if entry.is_alone { 1.0 / threads } else { 1.0 };
        let ms = entry.time.as_secs_f64() * 1e3 * share;
        rest -= ms;
        let kind = match (entry.operation, entry.path) {
            ("convolution", path) => format!("convolution, {path}"),
            ("convolution_input_gradient", path) => format!("pull back, {path}"),
            ("convolution_weight_gradient", path) => format!("weight gradient, {path}"),
            (name, _)
                if name.starts_with("batch_norm")
                    || name.starts_with("channel_") && name != "channel_major" =>
            {
                "per channel".into()
            }
            _ => "element by element, layout, loss".into(),
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, sum)) => *sum += ms,
            None => kinds.push((kind, ms)),
        }
    }
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Below zero where threads were busier than their share.
    kinds.push(("packing weights, waiting, the rest".into(), rest));
    let products = Some(record.products());
    Ok(Measurement { breakdown: kinds, products, ..Measurement::default() })
}

fn attack(job: &Job) -> Outcome<Measurement> {
    let frozen = network_of(job)?.frozen().failed()?;
    let (images, labels) = images_of(job)?;
    let indices: Vec<usize> = (0..labels.len()).collect();
    let spec: AttackSpec = rows::attack_of(&job.row).parse().failed()?;
    let baseline_mib = peak_memory_mib();
    let (mut passes, mut fooled) = (0.0, 0);
    let ms = times(job.repeats, || {
        let streams = Streams::new(0, &indices);
        let found = spec.run(&frozen, &images, &labels, &streams).failed()?;
        passes = (found.forward + found.backward) as f64 / labels.len().max(1) as f64;
        fooled = found.solved.iter().filter(|&&solved| solved).count();
        Ok(())
    })?;
    let (passes, fooled) = (Some(passes), Some(fooled));
    Ok(Measurement { ms, baseline_mib, passes, fooled, ..Measurement::default() })
}

fn data(job: &Job) -> Outcome<Measurement> {
    let folder = given(job.source.as_deref(), job)?;
    let spec: DataSpec = format!("cifar10:{}", folder.display()).parse().input()?;
    let mut bytes = 0;
    let ms = times(job.repeats, || {
        let both = (spec.load(Split::Train).input()?, spec.load(Split::Test).input()?);
        let (train, test) = black_box(&both);
        bytes = (train.len() + test.len()) * prepare::SHAPE.iter().product::<usize>();
        Ok(())
    })?;
    Ok(Measurement { ms, bytes: Some(bytes as u64), ..Measurement::default() })
}

fn checkpoint(job: &Job) -> Outcome<Measurement> {
    let path = given(job.source.as_deref(), job)?;
    let ms = times(job.repeats, || {
        let loaded = load(path, job)?;
        drop(black_box(loaded.network.frozen().failed()?));
        if job.form == WITH_DIGEST {
            black_box(loaded.sha256.hexadecimal());
        }
        Ok(())
    })?;
    let bytes = std::fs::metadata(path).failed()?.len();
    Ok(Measurement { ms, bytes: Some(bytes), ..Measurement::default() })
}

/// The process itself is what is timed, by who started it.
fn classify(job: &Job) -> Outcome<Measurement> {
    let frozen = load(given(job.source.as_deref(), job)?, job)?.network.frozen().failed()?;
    let (images, _) = images_of(job)?;
    black_box(frozen.logits(&images).failed()?);
    Ok(Measurement::default())
}

//! Whether the steps that are timed compute the same: parameter gradients of ours against each of
//! the rival's forms, on the same network and images.

use std::path::Path;

use cure_network::weights;
use cure_tensor::Tensor;
use serde::Serialize;

use super::job::{Job, Program};
use super::plan::Ground;
use super::prepare;
use super::process::{Python, measure};
use super::rounds::stop_if_asked;
use crate::failure::{Blame, Failure, Outcome};

/// Images whose gradients are compared.
const IMAGES: usize = 8;

/// One form of a step against ours.
#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    pub(super) row: String,
    pub(super) model: String,
    pub(super) form: String,
    pub(super) parameters: usize,
    /// The largest ‖a − b‖/‖b‖ over the parameter tensors, and whose it is.
    pub(super) worst: f64,
    pub(super) tensor: String,
}

/// Every training step of every network.
pub(super) fn compare(ground: &Ground<'_>, python: &Python) -> Outcome<Vec<Agreement>> {
    let mut found = Vec::new();
    let trains = ["standard-step", "cure-step", "cure-step-frozen"];
    let images = prepare::images(ground.scratch, ground.data, IMAGES)?;
    for (at, subject) in ground.subjects.iter().enumerate() {
        for row in ground.rows.iter().filter(|row| trains.contains(&row.name)) {
            let write = |job: Job, name: &str| -> Outcome<_> {
                let path = ground.scratch.path(&format!("gradients-{name}.safetensors"));
                let job = Job { gradients: Some(path.clone()), ..job };
                measure(&job, Some(python))?.map_err(Failure::Failed)?;
                stop_if_asked()?;
                read(&path)
            };
            let job = ground.job(row, Some(at), Some(images.clone()));
            let ours = write(Job { batch: IMAGES, ..job.clone() }, "cure")?;
            for rival in row.rivals {
                let job = Job {
                    program: Program::PyTorch,
                    form: rival.form.into(),
                    layout: "nchw".into(),
                    batch: IMAGES,
                    ..job.clone()
                };
                let theirs = write(job, "pytorch")?;
                let (worst, tensor) = worst(&ours, &theirs)?;
                found.push(Agreement {
                    row: row.name.into(),
                    model: subject.model.clone(),
                    form: rival.form.into(),
                    parameters: ours.len(),
                    worst,
                    tensor,
                });
            }
        }
    }
    Ok(found)
}

type Named = Vec<(String, Tensor)>;

fn read(path: &Path) -> Outcome<Named> {
    Ok(weights::read(path).failed()?.tensors)
}

fn worst(ours: &Named, theirs: &Named) -> Outcome<(f64, String)> {
    if ours.len() != theirs.len() {
        let (a, b) = (ours.len(), theirs.len());
        return Err(Failure::Failed(format!("{a} gradients of ours, {b} of the rival's")));
    }
    let mut worst = (0.0, String::new());
    for (name, ours) in ours {
        let theirs = theirs.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor);
        let theirs = theirs.filter(|theirs| theirs.shape() == ours.shape()).ok_or_else(|| {
            Failure::Failed(format!("the rival has no gradient of `{name}` of our shape"))
        })?;
        let (ours, theirs) = (ours.host(), theirs.host());
        let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let apart = squares(&mut ours.iter().zip(&*theirs).map(|(a, b)| f64::from(a - b)));
        let size = squares(&mut theirs.iter().map(|&b| f64::from(b)));
        let error = (apart / size.max(f64::MIN_POSITIVE)).sqrt();
        if error >= worst.0 {
            worst = (error, name.clone());
        }
    }
    Ok(worst)
}

//! Whether the steps that are timed compute the same: parameter gradients of ours, and of each of
//! the rival's forms in single precision, against that form in double precision.

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

/// One form of a step.
#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    pub(super) row: String,
    pub(super) model: String,
    pub(super) form: String,
    pub(super) ours: Distance,
    /// Ours with plain sums in every convolution.
    pub(super) plain: Distance,
    /// The rival's own single precision.
    pub(super) theirs: Distance,
}

/// How far gradients are from those in double precision, relative to these.
#[derive(Debug, Serialize)]
pub(super) struct Distance {
    /// The largest of a parameter tensor.
    pub(super) worst: f64,
    pub(super) tensor: String,
    /// Over all parameters.
    pub(super) whole: f64,
}

/// Every training step of every network that is not heavy.
pub(super) fn compare(ground: &Ground<'_>, python: &Python) -> Outcome<Vec<Agreement>> {
    let mut found = Vec::new();
    let images = prepare::images(ground.scratch, ground.data, IMAGES)?;
    let trains = ["standard-step", "cure-step", "cure-step-frozen"];
    for row in ground.rows.iter().filter(|row| trains.contains(&row.name)) {
        for (at, subject) in ground.subjects.iter().enumerate() {
            // Double precision through a wide network would take as long as all of the benchmark.
            if ground.is_heavy(at) {
                continue;
            }
            let path = ground.scratch.path("gradients.safetensors");
            let (images, gradients) = (Some(images.clone()), Some(path.clone()));
            let job = Job { batch: IMAGES, gradients, ..ground.job(row, Some(at), images) };
            let ours = gradients_of(&job, python, &path)?.map_err(Failure::Failed)?;
            let plain = Job { plain_sums: true, ..job.clone() };
            let plain = gradients_of(&plain, python, &path)?.map_err(Failure::Failed)?;
            for rival in row.rivals {
                let (form, layout) = (rival.form.to_owned(), "nchw".to_owned());
                let job = Job { program: Program::PyTorch, form, layout, ..job.clone() };
                let double = Job { double: true, ..job.clone() };
                let theirs = gradients_of(&job, python, &path)?;
                let exact = gradients_of(&double, python, &path)?;
                let (theirs, exact) = match (theirs, exact) {
                    (Ok(theirs), Ok(exact)) => (theirs, exact),
                    (Err(reason), _) | (_, Err(reason)) => {
                        tracing::warn!("{} of {}: {reason}", rival.form, subject.model);
                        continue;
                    }
                };
                found.push(Agreement {
                    row: row.name.into(),
                    model: subject.model.clone(),
                    form: rival.form.into(),
                    ours: distance(&ours, &exact)?,
                    plain: distance(&plain, &exact)?,
                    theirs: distance(&theirs, &exact)?,
                });
            }
        }
    }
    Ok(found)
}

type Named = Vec<(String, Tensor)>;

fn gradients_of(job: &Job, python: &Python, path: &Path) -> Outcome<Result<Named, String>> {
    let done = measure(job, Some(python))?;
    stop_if_asked()?;
    match done {
        Ok(_) => Ok(Ok(weights::read(path).failed()?.tensors)),
        Err(reason) => Ok(Err(reason)),
    }
}

fn distance(found: &Named, exact: &Named) -> Outcome<Distance> {
    if found.len() != exact.len() {
        let (a, b) = (found.len(), exact.len());
        return Err(Failure::Failed(format!("{a} parameter gradients against {b}")));
    }
    let mut distance = Distance { worst: 0.0, tensor: String::new(), whole: 0.0 };
    let (mut apart, mut size) = (0.0, 0.0);
    for (name, found) in found {
        let exact = exact.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor);
        let exact = exact.filter(|exact| exact.shape() == found.shape()).ok_or_else(|| {
            Failure::Failed(format!("there is no other gradient of `{name}` of its shape"))
        })?;
        let (found, exact) = (found.host(), exact.host());
        let square = |a: f32, b: f32| (f64::from(a) - f64::from(b)).powi(2);
        let here: f64 = found.iter().zip(&*exact).map(|(&a, &b)| square(a, b)).sum();
        let norm: f64 = exact.iter().map(|&b| square(b, 0.0)).sum();
        let error = (here / norm.max(f64::MIN_POSITIVE)).sqrt();
        if error >= distance.worst {
            (distance.worst, distance.tensor) = (error, name.clone());
        }
        apart += here;
        size += norm;
    }
    distance.whole = (apart / size.max(f64::MIN_POSITIVE)).sqrt();
    Ok(distance)
}

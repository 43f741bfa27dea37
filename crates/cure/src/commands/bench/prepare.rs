//! What both programs are given: networks and images in files of a temporary folder.

use std::path::{Path, PathBuf};

use cure_data::Dataset;
use cure_network::weights::{self, Metadata};
use cure_network::{Architecture, Classifier as _, Network, Normalization};
use cure_tensor::Tensor;

use super::floors::Work;
use crate::failure::{Blame, Failure, Outcome};

pub(super) const SHAPE: [usize; 3] = [3, 32, 32];
pub(super) const CLASSES: usize = 10;
/// Images classified at once while those classified correctly are looked for.
const SEARCHED: usize = 64;

/// A network of the benchmark.
pub(super) struct Subject {
    pub(super) model: String,
    pub(super) network: Network,
    /// The weights that the user gave.
    pub(super) checkpoint: Option<PathBuf>,
    /// The same, or random ones, as safetensors.
    pub(super) file: PathBuf,
}

impl Subject {
    pub(super) fn work(&self) -> Work {
        let multiply_adds = self.network.multiply_adds();
        Work { multiply_adds, outputs: self.network.layer_outputs() }
    }
}

/// A folder that is removed when it is no longer needed.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Outcome<Self> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).failed()?;
        let name = format!("cure-bench-{}-{}", std::process::id(), now.as_nanos());
        let folder = std::env::temp_dir().join(name);
        // Not one that is there: what it holds would be measured.
        std::fs::create_dir(&folder).failed()?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it being gone.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The network called `model`, from `checkpoint` or random, written for both programs.
pub(super) fn subject(
    scratch: &Scratch,
    model: &str,
    checkpoint: Option<PathBuf>,
    normalize: Option<&str>,
) -> Outcome<Subject> {
    let network = match &checkpoint {
        Some(path) => {
            let options = cure_network::LoadOptions {
                model: Some(model.to_owned()),
                normalization: Some(normalize.unwrap_or("none").to_owned()),
                classes: CLASSES,
                input: SHAPE,
            };
            cure_network::load(path, &options).input()?.network
        }
        None => {
            let architecture = Architecture::named(model, CLASSES, SHAPE).input()?;
            let normalization = Normalization::parse(normalize.unwrap_or("cifar10"), 3).input()?;
            Network::random(architecture, normalization, 0).input()?
        }
    };
    let file = scratch.path(&format!("{model}.safetensors"));
    cure_network::save(&file, &network, None).failed()?;
    Ok(Subject { model: model.to_owned(), network, checkpoint, file })
}

/// The first `count` images, or a fixed pattern where there are no data.
pub(super) fn images(scratch: &Scratch, data: Option<&Dataset>, count: usize) -> Outcome<PathBuf> {
    let path = scratch.path(&format!("images-{count}.safetensors"));
    if !path.exists() {
        let (images, labels) = first(data, 0, count)?;
        write(&path, images, &labels)?;
    }
    Ok(path)
}

/// The first `count` images that the network classifies correctly. A network or images that mean
/// nothing have no correct class: then what the network says is the label.
pub(super) fn correct_images(
    scratch: &Scratch,
    data: Option<&Dataset>,
    subject: &Subject,
    count: usize,
) -> Outcome<PathBuf> {
    let path = scratch.path(&format!("correct-{}-{count}.safetensors", subject.model));
    if path.exists() {
        return Ok(path);
    }
    let frozen = subject.network.frozen().failed()?;
    let meaningless = data.is_none() || subject.checkpoint.is_none();
    let length: usize = SHAPE.iter().product();
    let (mut pixels, mut found, mut at) = (Vec::new(), Vec::new(), 0);
    while found.len() < count {
        if data.is_some_and(|data| at >= data.len()) {
            return Err(Failure::Input(format!(
                "{} classifies only {} images of the data correctly; {count} are attacked",
                subject.model,
                found.len()
            )));
        }
        let size = data.map_or(SEARCHED, |data| SEARCHED.min(data.len() - at));
        let (images, labels) = first(data, at, size)?;
        let logits = frozen.logits(&images).failed()?;
        let rows = logits.host();
        let values = images.host();
        for (row, &label) in labels.iter().enumerate() {
            let scores = &rows[row * CLASSES..(row + 1) * CLASSES];
            let said = (0..CLASSES).max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let said = said.unwrap_or(label);
            if found.len() < count && (meaningless || said == label) {
                found.push(said);
                pixels.extend_from_slice(&values[row * length..(row + 1) * length]);
            }
        }
        at += size;
    }
    let shape = [count, SHAPE[0], SHAPE[1], SHAPE[2]];
    write(&path, Tensor::new(&shape, pixels).failed()?, &found)?;
    Ok(path)
}

fn first(data: Option<&Dataset>, at: usize, count: usize) -> Outcome<(Tensor, Vec<usize>)> {
    let Some(data) = data else {
        return pattern(at, count);
    };
    if at + count > data.len() {
        return Err(Failure::Input(format!(
            "the data have {} images; a batch of {count} is asked for",
            data.len()
        )));
    }
    let positions: Vec<usize> = (at..at + count).collect();
    let batch = data.batch(&positions).input()?;
    Ok((batch.images, batch.labels))
}

/// Pixels that are not flat, so that gradients do not vanish, and differ from image to image.
fn pattern(at: usize, count: usize) -> Outcome<(Tensor, Vec<usize>)> {
    let length: usize = SHAPE.iter().product();
    let pixel = |i: usize| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as f32 / 255.0;
    let pixels = (at * length..(at + count) * length).map(pixel).collect();
    let images = Tensor::new(&[count, SHAPE[0], SHAPE[1], SHAPE[2]], pixels).failed()?;
    Ok((images, (at..at + count).map(|i| i % CLASSES).collect()))
}

fn write(path: &Path, images: Tensor, labels: &[usize]) -> Outcome {
    let labels = labels.iter().map(|&label| label as f32).collect::<Vec<f32>>();
    let labels = Tensor::new(&[labels.len()], labels).failed()?;
    let tensors = [("images".to_owned(), images), ("labels".to_owned(), labels)];
    weights::write(path, &tensors, &Metadata::default()).failed()
}

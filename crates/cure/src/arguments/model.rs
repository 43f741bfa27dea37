//! Where networks come from.

use std::path::{Path, PathBuf};

use clap::Args;
use cure_data::Dataset;
use cure_network::{Classifier, LoadOptions, Loaded, Normalization};
#[cfg(feature = "libtorch")]
use sha2::{Digest, Sha256};

use crate::failure::{Blame, Failure, Outcome};

/// What `--model` calls a module that `torch.jit.save` wrote.
const TORCHSCRIPT: &str = "torchscript";

/// The network of a command.
#[derive(Args, Debug, Clone)]
pub(crate) struct ModelArguments {
    /// The network's weights: safetensors, or PyTorch's .pt, .pth, .th, .pkl. No code in the
    /// file is run.
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    pub(crate) weights: Option<PathBuf>,
    /// The architecture: resnet20, resnet20-conv, resnet18, preact18, wrn-28-10, …; `auto`
    /// recognises it from the weights; torchscript:FILE is any network that torch.jit.save wrote.
    #[arg(long, value_name = "NAME", default_value = "auto", help_heading = "Network")]
    pub(crate) model: String,
    /// What is done to pixels first, if the file does not say: none, imagenet, cifar10 or
    /// M,M,M/S,S,S.
    #[arg(long, value_name = "HOW", help_heading = "Network")]
    pub(crate) normalize: Option<String>,
}

impl ModelArguments {
    /// The file that the network is read from.
    pub(crate) fn file(&self) -> Outcome<&Path> {
        let named = self.model.strip_prefix(TORCHSCRIPT).and_then(|rest| rest.strip_prefix(':'));
        match (named.map(Path::new), self.weights.as_deref()) {
            (Some(file), None) | (None, Some(file)) if !file.as_os_str().is_empty() => Ok(file),
            (Some(_), Some(weights)) => Err(Failure::Input(format!(
                "--model {} names its file; leave out --weights {}",
                self.model,
                weights.display()
            ))),
            _ => Err(Failure::Input(
                "no network is named; give --weights FILE, or --model torchscript:FILE".into(),
            )),
        }
    }

    /// Reads a network to be attacked or measured, for images like those of `data`.
    pub(crate) fn load(&self, data: &Dataset) -> Outcome<Model> {
        let is_script = self.model.split(':').next() == Some(TORCHSCRIPT);
        if is_script { self.script(data) } else { self.ours(data).map(Model::Ours) }
    }

    /// Reads a network of an architecture that this program knows.
    pub(crate) fn ours(&self, data: &Dataset) -> Outcome<Loaded> {
        self.ours_for(data.classes(), data.shape())
    }

    /// The same for images of `shape`.
    pub(crate) fn ours_for(&self, classes: usize, shape: [usize; 3]) -> Outcome<Loaded> {
        let loaded = cure_network::load(
            self.file()?,
            &LoadOptions {
                model: Some(self.model.clone()),
                normalization: self.normalize.clone(),
                classes,
                input: shape,
            },
        )
        .input()?;
        let input = loaded.network.architecture().input;
        if input != shape {
            return Err(Failure::Input(format!(
                "the network takes images of {input:?} (channels, height, width), the data has \
                 {shape:?}"
            )));
        }
        check_classes(loaded.network.architecture().classes, classes)?;
        for remark in &loaded.remarks {
            tracing::warn!("{remark}");
        }
        Ok(loaded)
    }

    #[cfg(feature = "libtorch")]
    fn script(&self, data: &Dataset) -> Outcome<Model> {
        if cure_tensor::precision() == cure_tensor::Precision::Bf16 {
            return Err(Failure::Input(
                "--precision bf16 is for networks that cure builds itself; a module multiplies in what it was \
                 saved with, so leave it out"
                    .into(),
            ));
        }
        let file = self.file()?;
        let shape = data.shape();
        let normalize = self.normalize.as_deref();
        let normalize =
            normalize.map(|text| Normalization::parse(text, shape[0])).transpose().input()?;
        let contents = std::fs::read(file)
            .map_err(|error| Failure::Input(format!("{}: {error}", file.display())))?;
        let digest = Sha256::digest(&contents);
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let script = cure_torchscript::Script::load(file, normalize, shape).input()?;
        check_classes(script.classes(), data.classes())?;
        if !script.has_gradient() {
            tracing::warn!(
                "{}: the module's logits have no gradient in the pixels; attacks by gradients find nothing there, and \
                 its robust accuracy says something under attacks without: square, spsa",
                file.display()
            );
        }
        if !script.is_exact() {
            tracing::warn!(
                "{}: an operation of the module has no second derivative; J v and H v are central differences",
                file.display()
            );
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        Ok(Model::Script { name: format!("{TORCHSCRIPT}:{name}"), sha256, script })
    }

    #[cfg(not(feature = "libtorch"))]
    fn script(&self, _: &Dataset) -> Outcome<Model> {
        Err(Failure::Input(format!(
            "--model {}: this build has no libtorch; build with --features libtorch",
            self.model
        )))
    }
}

fn check_classes(known: usize, classes: usize) -> Outcome {
    if known < classes {
        return Err(Failure::Input(format!(
            "the network knows {known} classes, the data has {classes}"
        )));
    }
    Ok(())
}

/// A network to be attacked or measured.
#[allow(clippy::large_enum_variant)] // There are few.
pub(crate) enum Model {
    /// Of an architecture that this program knows.
    Ours(Loaded),
    /// A TorchScript module.
    #[cfg(feature = "libtorch")]
    Script { name: String, sha256: String, script: cure_torchscript::Script },
}

impl Model {
    /// The architecture's name, or the module's file.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Ours(loaded) => loaded.network.architecture().name(),
            #[cfg(feature = "libtorch")]
            Self::Script { name, .. } => name.clone(),
        }
    }

    /// The SHA-256 of its file.
    pub(crate) fn sha256(&self) -> &str {
        match self {
            Self::Ours(loaded) => loaded.sha256.hexadecimal(),
            #[cfg(feature = "libtorch")]
            Self::Script { sha256, .. } => sha256,
        }
    }

    /// What is done to pixels first, as far as is known.
    pub(crate) fn normalization(&self) -> &Normalization {
        match self {
            Self::Ours(loaded) => loaded.network.normalization(),
            #[cfg(feature = "libtorch")]
            Self::Script { script, .. } => script.normalization(),
        }
    }

    pub(crate) fn classes(&self) -> usize {
        match self {
            Self::Ours(loaded) => loaded.network.architecture().classes,
            #[cfg(feature = "libtorch")]
            Self::Script { script, .. } => script.classes(),
        }
    }

    /// What attacks and measurements see of it.
    pub(crate) fn classifier(&self) -> Outcome<Box<dyn Classifier + '_>> {
        Ok(match self {
            Self::Ours(loaded) => Box::new(loaded.network.frozen().failed()?),
            #[cfg(feature = "libtorch")]
            Self::Script { script, .. } => Box::new(script),
        })
    }
}

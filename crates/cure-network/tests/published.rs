//! The published weights that people hand us, and our own files read back.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use cure_network::{
    Architecture, Classifier as _, LoadOptions, Network, Normalization, load, save,
};
use cure_tensor::Tensor;

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/weights").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
    }
    path.exists().then_some(path)
}

fn options() -> LoadOptions {
    LoadOptions { model: None, normalization: None, classes: 10, input: [3, 32, 32] }
}

#[test]
fn published_files_become_networks() {
    for (file, architecture) in [
        ("resnet20-akamaster.th", "resnet20"),
        ("resnet20-pyhessian.pkl", "resnet20-conv"),
        ("resnet18-pyautoattack.pt", "resnet18"),
        ("resnet2b-abcrown.pth", "resnet2b"),
    ] {
        let Some(path) = shared(file) else { continue };
        let loaded = load(&path, &options()).unwrap();
        assert_eq!(loaded.network.architecture().name(), architecture);
        let logits =
            loaded.network.frozen().unwrap().logits(&Tensor::full(&[2, 3, 32, 32], 0.5)).unwrap();
        assert!(logits.is_finite());
    }
}

#[test]
fn weights_of_another_network_are_refused_by_key() {
    let Some(path) = shared("resnet20-akamaster.th") else { return };
    let options = LoadOptions { model: Some("resnet18".into()), ..options() };
    let error = load(&path, &options).err().unwrap().to_string();
    assert!(error.contains("missing") && error.contains("layer2.0.shortcut.0.weight"), "{error}");
    assert!(error.contains("wrong shape: conv1.weight is [16, 3, 3, 3], not [64, 3, 3, 3]"));
}

#[test]
fn a_saved_network_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let architecture = Architecture::named("cnn+softplus=4", 10, [1, 8, 8]).unwrap();
    let normalization = Normalization::parse("0.3/0.5", 1).unwrap();
    let network = Network::random(architecture, normalization, 7).unwrap();
    save(&path, &network, Some("{\"by\":\"a test\"}")).unwrap();
    let back = load(&path, &options()).unwrap();
    assert_eq!(back.network.architecture(), network.architecture());
    assert_eq!(back.network.normalization(), network.normalization());
    assert_eq!(back.network.state(), network.state());
    assert_eq!(back.provenance.as_deref(), Some("{\"by\":\"a test\"}"));
}

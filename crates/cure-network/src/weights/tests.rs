#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use cure_tensor::Tensor;
use tempfile::tempdir;

use super::*;

fn file(shapes: &[(&str, &[usize])]) -> WeightFile {
    let tensors =
        shapes.iter().map(|(name, shape)| ((*name).to_owned(), Tensor::full(shape, 0.5))).collect();
    WeightFile { tensors, metadata: None, sha256: FileDigest::of(Arc::default()), wrapper: None }
}

fn names(tensors: &[(String, Tensor)]) -> Vec<&str> {
    tensors.iter().map(|(name, _)| name.as_str()).collect()
}

fn published(name: &str) -> Option<WeightFile> {
    let path = format!("{}/../../../shared/weights/{name}", env!("CARGO_MANIFEST_DIR"));
    if !Path::new(&path).exists() {
        eprintln!("skipped: {path} is absent");
        return None;
    }
    Some(read(Path::new(&path)).unwrap())
}

fn norm(name: &str) -> [String; 4] {
    ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{name}.{part}"))
}

/// The names of a residual network of ours, sorted.
fn residual_names(blocks: &[usize], convolution_shortcuts: bool) -> Vec<String> {
    let mut names = vec!["conv1.weight".into(), "linear.weight".into(), "linear.bias".into()];
    names.extend(norm("bn1"));
    for (stage, &blocks) in blocks.iter().enumerate() {
        for block in 0..blocks {
            let prefix = format!("layer{}.{block}", stage + 1);
            for layer in ["1", "2"] {
                names.push(format!("{prefix}.conv{layer}.weight"));
                names.extend(norm(&format!("{prefix}.bn{layer}")));
            }
            if convolution_shortcuts && stage > 0 && block == 0 {
                names.push(format!("{prefix}.shortcut.0.weight"));
                names.extend(norm(&format!("{prefix}.shortcut.1")));
            }
        }
    }
    names.sort();
    names
}

#[test]
fn the_four_published_files_have_our_names_and_are_recognised() {
    let resnet2b: Vec<String> = ["conv1", "linear1", "linear2"]
        .into_iter()
        .map(str::to_owned)
        .chain(
            ["conv1", "conv2"]
                .into_iter()
                .flat_map(|layer| [0, 1].map(|block| format!("layer1.{block}.{layer}"))),
        )
        .chain(["layer1.0.shortcut.0".to_owned()])
        .flat_map(|layer| [format!("{layer}.bias"), format!("{layer}.weight")])
        .collect();
    for (name, architecture, wrapper, sha256, mut expected) in [
        (
            "resnet20-akamaster.th",
            "resnet20",
            Some("state_dict"),
            "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
            residual_names(&[3, 3, 3], false),
        ),
        (
            "resnet20-pyhessian.pkl",
            "resnet20-conv",
            None,
            "540b6fa4571068396e1e95c9159b14449dc2d18fa120476b209834b38214a719",
            residual_names(&[3, 3, 3], true),
        ),
        (
            "resnet18-pyautoattack.pt",
            "resnet18",
            None,
            "399f52da9f914c323fa5a6096d60f460a3449a59b64a6405200c1e629f8425a7",
            residual_names(&[2, 2, 2, 2], true),
        ),
        (
            "resnet2b-abcrown.pth",
            "resnet2b",
            Some("state_dict"),
            "ef824b47175668e924d7fd409b5ef7e239012b8f0c31fefa66c643efda1eb05b",
            resnet2b,
        ),
    ] {
        let Some(file) = published(name) else { continue };
        assert_eq!(file.wrapper.as_deref(), wrapper, "{name}");
        assert_eq!(file.sha256.hexadecimal(), sha256, "{name}");
        let canonical = canonical(&file).unwrap();
        assert_eq!(canonical.normalization, None);
        assert!(canonical.dropped.iter().all(|name| name.ends_with("num_batches_tracked")));
        let mut found = names(&canonical.tensors);
        found.sort_unstable();
        expected.sort();
        assert_eq!(found, expected, "{name}");
        let architecture = architecture.to_owned();
        let expected = Recognised { architecture, classes: 10, channels: 3 };
        assert_eq!(recognise(&file), Some(expected), "{name}");
    }
}

#[test]
fn safetensors_keep_every_bit_and_are_the_same_each_time() {
    let folder = tempdir().unwrap();
    let values = vec![0.1, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX, -1.5e-30, 3.0];
    let tensors = vec![
        ("z \"quoted\" ✓".to_owned(), Tensor::new(&[2, 3], values.clone()).unwrap()),
        ("a".to_owned(), Tensor::new(&[], vec![7.0]).unwrap()),
        ("empty".to_owned(), Tensor::zeros(&[0, 4])),
    ];
    let metadata = Metadata {
        architecture: Some(r#"{"name":"resnet20"}"#.to_owned()),
        normalization: None,
        provenance: Some("{}".to_owned()),
    };
    let paths = ["first", "second"].map(|name| folder.path().join(name));
    for path in &paths {
        write(path, &tensors, &metadata).unwrap();
        let back = read(path).unwrap();
        assert_eq!(back.metadata.as_ref(), Some(&metadata));
        assert_eq!(names(&back.tensors), names(&tensors));
        for ((_, back), (_, tensor)) in back.tensors.iter().zip(&tensors) {
            assert_eq!(back.shape(), tensor.shape());
            let bits =
                |tensor: &Tensor| tensor.host().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(back), bits(tensor));
        }
        // A file of ours is not translated.
        assert_eq!(names(&canonical(&back).unwrap().tensors), names(&tensors));
    }
    assert_eq!(std::fs::read(&paths[0]).unwrap(), std::fs::read(&paths[1]).unwrap());

    let plain = folder.path().join("plain");
    write(&plain, &tensors, &Metadata::default()).unwrap();
    assert_eq!(read(&plain).unwrap().metadata, None);
}

#[test]
fn a_refused_write_leaves_what_was_there() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let good = vec![("w".to_owned(), Tensor::full(&[2], 1.0))];
    write(&path, &good, &Metadata::default()).unwrap();
    let before = std::fs::read(&path).unwrap();

    let mut values = vec![0.0; 24];
    values[17] = f32::NAN;
    let bad = vec![("w".to_owned(), Tensor::new(&[2, 3, 4], values).unwrap())];
    let message = write(&path, &bad, &Metadata::default()).unwrap_err().to_string();
    assert!(message.contains("`w`[1, 1, 1] is NaN"), "{message}");
    let twice = [good.clone(), good.clone()].concat();
    let message = write(&path, &twice, &Metadata::default()).unwrap_err().to_string();
    assert!(message.contains("`w` is there twice"), "{message}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    // The rename fails: a folder is in the way.
    let in_the_way = folder.path().join("folder");
    std::fs::create_dir_all(in_the_way.join("inside")).unwrap();
    assert!(matches!(
        write(&in_the_way, &good, &Metadata::default()),
        Err(WeightsError::Io { .. })
    ));
    let nowhere = folder.path().join("missing").join("file");
    assert!(matches!(write(&nowhere, &good, &Metadata::default()), Err(WeightsError::Io { .. })));
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["folder", "weights.safetensors"]);
}

fn refusal(contents: &[u8]) -> String {
    let folder = tempdir().unwrap();
    let path: PathBuf = folder.path().join("weights.pt");
    std::fs::write(&path, contents).unwrap();
    let message = read(&path).unwrap_err().to_string();
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    message
}

#[test]
fn files_that_are_not_weights_are_refused_by_name_and_reason() {
    assert!(refusal(b"").contains("empty"));
    assert!(refusal(b"hello, world").contains("begins with [68, 65"));
    assert!(refusal(b"PK\x03\x04 and no more").contains("zip"));
    assert!(refusal(b"\x80\x02cposix\nsystem\nX\x01\x00\x00\x00a\x85R.").contains("neither"));
    let mut harmful = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    harmful.extend_from_slice(b"\x80\x02cposix\nsystem\nX\x01\x00\x00\x00a\x85R.");
    assert!(refusal(&harmful).contains("refuses to call `posix.system`"));

    let header = |text: &str, data: &[u8]| {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), data].concat()
    };
    assert!(refusal(&header("{}", &[])).contains("no tensors"));
    assert!(refusal(&header("{ not JSON", &[])).contains("safetensors: "));
    let tensor = |dtype: &str, end: usize| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{end}]}}}}"#)
    };
    assert!(refusal(&header(&tensor("F32", 8), &[0; 7])).contains("safetensors: "));
    assert!(refusal(&header(&tensor("F32", 4), &[0; 4])).contains("safetensors: "));
    assert!(
        refusal(&header(&tensor("U64", 16), &[0; 16])).contains("`w` has elements of type U64")
    );
    let infinite = [0f32.to_le_bytes(), f32::INFINITY.to_le_bytes()].concat();
    assert!(refusal(&header(&tensor("F32", 8), &infinite)).contains("`w`[1] is inf"));
    // A header said to be longer than the file.
    assert!(refusal(b"\xff\xff\x00\x00\x00\x00\x00\x00{}").contains("safetensors: "));

    let missing = read(Path::new("no/such/file.pt")).unwrap_err();
    assert!(matches!(missing, WeightsError::Io { .. }), "{missing}");
}

#[test]
fn a_normalisation_before_the_network_is_a_hint() {
    for (mean, std, prefix) in [
        ("0.mean", "0.std", "1."),
        ("normalize.mean", "normalize.std", "model."),
        ("mu", "sigma", "net."),
        ("mu", "sigma", ""),
        ("module.normalizer.new_mean", "module.normalizer.new_std", "module.model."),
        ("module.0._mean", "module.0._std", "module.1.module."),
    ] {
        let [conv, bn] = ["conv1.weight", "bn1.running_mean"].map(|name| format!("{prefix}{name}"));
        let file = file(&[
            (mean, &[1, 3, 1, 1]),
            (std, &[1, 3, 1, 1]),
            (&conv, &[16, 3, 3, 3]),
            (&bn, &[3]),
            ("module.attacker.model.conv1.weight", &[16, 3, 3, 3]),
        ]);
        let canonical = canonical(&file).unwrap();
        let hint = NormalizationHint { mean: vec![0.5; 3], std: vec![0.5; 3] };
        assert_eq!(canonical.normalization, Some(hint), "{mean}");
        assert_eq!(names(&canonical.tensors), ["conv1.weight", "bn1.running_mean"], "{mean}");
        assert_eq!(canonical.dropped, ["module.attacker.model.conv1.weight"]);
    }
    // A mean alone is no normalisation, nor are two tensors of many values.
    for shapes in [[("mean", &[3][..]), ("x.w", &[1])], [("a.mean", &[64]), ("a.std", &[64])]] {
        let file = file(&shapes);
        let canonical = canonical(&file).unwrap();
        assert_eq!(canonical.normalization, None);
        assert_eq!(names(&canonical.tensors), shapes.map(|(name, _)| name));
    }
    let mut zero = file(&[("mean", &[3])]);
    zero.tensors.push(("std".to_owned(), Tensor::zeros(&[3])));
    assert!(canonical(&zero).unwrap_err().to_string().contains("`std` is [0.0, 0.0, 0.0]"));
}

/// A pre-activation network's shapes: `stage(1)` is a stage's name.
fn pre_activation(
    stage: impl Fn(usize) -> String,
    shortcut: &str,
    [first, width, blocks, stages]: [usize; 4],
    [last_norm, classifier]: [&str; 2],
) -> WeightFile {
    let mut shapes = vec![("conv1.weight".to_owned(), vec![first, 3, 3, 3])];
    let mut input = first;
    for index in 0..stages {
        let output = width << index;
        for block in 0..blocks {
            let prefix = format!("{}{block}", stage(index + 1));
            shapes.push((format!("{prefix}.bn1.weight"), vec![input]));
            shapes.push((format!("{prefix}.conv1.weight"), vec![output, input, 3, 3]));
            shapes.push((format!("{prefix}.bn2.weight"), vec![output]));
            shapes.push((format!("{prefix}.conv2.weight"), vec![output, output, 3, 3]));
            if input != output {
                shapes.push((format!("{prefix}.{shortcut}.weight"), vec![output, input, 1, 1]));
            }
            input = output;
        }
    }
    shapes.push((format!("{last_norm}.weight"), vec![input]));
    shapes.push((format!("{classifier}.weight"), vec![100, input]));
    let shapes: Vec<(&str, &[usize])> =
        shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect();
    file(&shapes)
}

#[test]
fn wide_networks_of_three_code_bases_are_the_same_network() {
    let size = [16, 160, 4, 3];
    let ours = pre_activation(|s| format!("block{s}.layer."), "convShortcut", size, ["bn1", "fc"]);
    let staged = pre_activation(|s| format!("layer{s}."), "shortcut.0", size, ["bn1", "linear"]);
    let mut trades =
        pre_activation(|s| format!("block{s}.layer."), "convShortcut", size, ["bn1", "fc"]);
    trades.tensors.push(("sub_block1.layer.0.conv1.weight".to_owned(), Tensor::zeros(&[1])));
    let expected = canonical(&ours).unwrap();
    assert_eq!(names(&expected.tensors), names(&ours.tensors));
    let recognised = Recognised { architecture: "wrn-28-10".to_owned(), classes: 100, channels: 3 };
    for file in [&ours, &staged, &trades] {
        let found = canonical(file).unwrap();
        assert_eq!(names(&found.tensors), names(&expected.tensors));
        assert_eq!(recognise(file).as_ref(), Some(&recognised));
    }
}

#[test]
fn pre_activation_networks_keep_their_names() {
    let size = [64, 64, 2, 4];
    let ours = pre_activation(|s| format!("layer{s}."), "shortcut.0", size, ["bn", "linear"]);
    assert_eq!(names(&canonical(&ours).unwrap().tensors), names(&ours.tensors));
    let other = pre_activation(|s| format!("layer{s}."), "downsample.0", size, ["bn1", "fc"]);
    assert_eq!(names(&canonical(&other).unwrap().tensors), names(&ours.tensors));
    for file in [&ours, &other] {
        assert_eq!(recognise(file).unwrap().architecture, "preact18");
    }
}

#[test]
fn residual_functions_are_layers() {
    let file = file(&[
        ("conv1.0.weight", &[64, 3, 3, 3]),
        ("conv1.1.weight", &[64]),
        ("conv2_x.0.residual_function.0.weight", &[64, 64, 3, 3]),
        ("conv2_x.0.residual_function.1.bias", &[64]),
        ("conv3_x.1.residual_function.3.weight", &[128, 128, 3, 3]),
        ("conv5_x.1.residual_function.4.bias", &[512]),
        ("conv3_x.0.shortcut.0.weight", &[128, 64, 1, 1]),
        ("fc.weight", &[100, 512]),
    ]);
    let expected = [
        "conv1.weight",
        "bn1.weight",
        "layer1.0.conv1.weight",
        "layer1.0.bn1.bias",
        "layer2.1.conv2.weight",
        "layer4.1.bn2.bias",
        "layer2.0.shortcut.0.weight",
        "linear.weight",
    ];
    assert_eq!(names(&canonical(&file).unwrap().tensors), expected);
}

#[test]
fn two_names_for_one_parameter_are_refused() {
    let file = file(&[
        ("layer2.0.bn1.weight", &[32]),
        ("layer2.0.conv1.weight", &[32, 16, 3, 3]),
        ("fc.weight", &[10, 64]),
        ("linear.weight", &[10, 64]),
    ]);
    let message = canonical(&file).unwrap_err().to_string();
    assert_eq!(message, "`fc.weight` and `linear.weight` are both the parameter `linear.weight`");
}

#[test]
fn networks_that_only_resemble_ours_are_not_recognised() {
    // The ImageNet form begins with a 7×7 convolution; bottleneck blocks have a third.
    for (name, shape) in [
        ("conv1.weight", &[64, 3, 7, 7][..]),
        ("layer1.0.conv3.weight", &[256, 64, 1, 1]),
        ("linear.weight", &[10, 256]),
        ("layer3.0.conv2.weight", &[64, 64, 3, 3]),
    ] {
        let Some(mut file) = published("resnet18-pyautoattack.pt") else { return };
        file.tensors.retain(|(existing, _)| existing != name);
        file.tensors.push((name.to_owned(), Tensor::zeros(shape)));
        assert_eq!(recognise(&file), None, "{name}");
    }
    assert_eq!(recognise(&file(&[("weight", &[10, 3])])), None);
}

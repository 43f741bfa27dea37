//! Files written by Python, NumPy and PyTorch (`make_fixtures.py`), read back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cure_pickle::{DType, Kind, Value, numpy, read, torch};

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const VALUES: cure_pickle::Allowed<'static> = &[
    ("_codecs", "encode"),
    ("__builtin__", "set"),
    ("builtins", "set"),
    ("__builtin__", "object"),
    ("copy_reg", "_reconstructor"),
    ("argparse", "Namespace"),
    ("collections", "OrderedDict"),
];

fn bytes_of(value: Value<'_>) -> Vec<u8> {
    match value.kind() {
        Kind::Bytes(bytes) => bytes.to_vec(),
        // Protocols below 3 have no bytes; Python writes a call that makes them.
        Kind::Object(object) if object.name == "encode" => {
            object.args.get(0).unwrap().as_str().unwrap().chars().map(|c| c as u8).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_values_in_every_protocol() {
    for protocol in 0..=5 {
        let bytes = fixture(&format!("values-{protocol}.pkl"));
        let pickle = read(&bytes, VALUES).unwrap();
        let root = pickle.root();
        let get = |key| root.get(key).unwrap();
        let items = |key| get(key).as_items().unwrap();

        assert!(matches!(get("none").kind(), Kind::None));
        assert!(matches!(items("bools").get(0).unwrap().kind(), Kind::Bool(true)));
        assert!(matches!(items("bools").get(1).unwrap().kind(), Kind::Bool(false)));

        let integers: Vec<_> = items("integers").iter().map(Value::as_int).collect();
        let expected = [0, 255, 65535, -1, 1 << 31, -(1 << 40)].map(Some);
        assert_eq!(integers[..6], expected, "protocol {protocol}");
        let Kind::BigInt(big) = items("integers").get(6).unwrap().kind() else { panic!("2**70") };
        assert_eq!(big[..9], [0, 0, 0, 0, 0, 0, 0, 0, 64]);

        let floats: Vec<_> = items("floats")
            .iter()
            .map(|value| if let Kind::Float(float) = value.kind() { float } else { f64::NAN })
            .collect();
        assert_eq!(floats, [0.5, -1e300, f64::INFINITY]);

        for half in items("shared").iter() {
            let half = half.as_items().unwrap();
            assert_eq!(half.get(1).unwrap().as_str(), Some("naïve ✓"));
            assert_eq!(bytes_of(half.get(2).unwrap()), [0, 255]);
        }

        let (one, inner) = get("nested").as_dict().unwrap().iter().next().unwrap();
        assert_eq!(one.as_int(), Some(1));
        let (key, deep) = inner.as_dict().unwrap().iter().next().unwrap();
        assert!(matches!(key.kind(), Kind::Float(2.5)));
        let deep = deep.as_items().unwrap().get(0).unwrap().as_items().unwrap().get(0).unwrap();
        assert_eq!(deep.as_str(), Some("deep"));

        let seven = match get("set").kind() {
            Kind::Set(items) => items.get(0),
            Kind::Object(object) => object.args.get(0).unwrap().as_items().unwrap().get(0),
            other => panic!("{other:?}"),
        };
        assert_eq!(seven.unwrap().as_int(), Some(7));

        let namespace = get("namespace").as_object().unwrap();
        assert_eq!(namespace.state.unwrap().get("epochs").unwrap().as_int(), Some(3));

        let ordered = get("ordered");
        match protocol {
            // Protocols 0 and 1 write an ordered dictionary as a call with a list of pairs.
            0 | 1 => assert_eq!(ordered.as_object().unwrap().name, "OrderedDict"),
            _ => {
                let keys: Vec<_> =
                    ordered.as_dict().unwrap().iter().map(|(key, _)| key.as_str()).collect();
                assert_eq!(keys, [Some("b"), Some("a")]);
            }
        }
    }
}

#[test]
fn numpy_arrays_in_every_protocol_and_under_both_names() {
    for protocol in 0..=5 {
        let bytes = fixture(&format!("arrays-{protocol}.pkl"));
        let mut versions = vec![bytes.clone()];
        if protocol <= 3 {
            // NumPy 1 had its core elsewhere; text lines carry no length to correct.
            let text: Vec<u8> = bytes.clone();
            let old = String::from_utf8_lossy(b"numpy._core").into_owned();
            let mut renamed = Vec::new();
            let mut rest = &text[..];
            while let Some(at) = rest.windows(old.len()).position(|w| w == old.as_bytes()) {
                renamed.extend_from_slice(&rest[..at]);
                renamed.extend_from_slice(b"numpy.core");
                rest = &rest[at + old.len()..];
            }
            renamed.extend_from_slice(rest);
            assert!(renamed.len() < bytes.len());
            versions.push(renamed);
        }
        for bytes in versions {
            let pickle = read(&bytes, numpy::GLOBALS).unwrap();
            let array = |key| numpy::array(pickle.root().get(key).unwrap()).unwrap();

            let data = array("data");
            assert_eq!((data.shape.as_slice(), data.dtype), ([2, 3, 4].as_slice(), DType::U8));
            let expected: Vec<u8> = (0..24).map(|i| (i * 11 % 256) as u8).collect();
            assert_eq!(data.bytes, expected, "protocol {protocol}");

            let fortran = array("fortran");
            assert_eq!((fortran.shape.as_slice(), fortran.dtype), ([2, 3].as_slice(), DType::F32));
            let values: Vec<f32> = fortran.dtype.decode(&fortran.bytes).collect();
            assert_eq!(values, [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]);

            let labels = array("labels");
            assert_eq!((labels.shape.as_slice(), labels.dtype), ([3].as_slice(), DType::I64));
            let last = i64::from_le_bytes(labels.bytes[16..].try_into().unwrap());
            assert_eq!(last, 1 << 40);

            let error = numpy::array(pickle.root().get("scalar").unwrap()).unwrap_err();
            assert!(error.to_string().contains("a NumPy array"), "{error}");
        }
    }
}

/// A batch as CIFAR's authors wrote theirs: Python 2, strings without an encoding.
#[test]
fn a_python_2_batch() {
    let mut bytes = b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03\
        cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06\
        U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        .to_vec();
    bytes.extend_from_slice(&6u32.to_le_bytes());
    bytes.extend_from_slice(&[1, 2, 3, 253, 254, 255]);
    bytes.extend_from_slice(b"tbU\x06labelsq\x08]q\x09(K\x06K\x09eu.");
    let pickle = read(&bytes, numpy::GLOBALS).unwrap();
    let data = numpy::array(pickle.root().get("data").unwrap()).unwrap();
    assert_eq!(data.shape, [2, 3]);
    assert_eq!(*data.bytes, [1, 2, 3, 253, 254, 255]);
    let labels = pickle.root().get("labels").unwrap().as_items().unwrap();
    assert_eq!(labels.iter().map(Value::as_int).collect::<Vec<_>>(), [Some(6), Some(9)]);
}

#[test]
fn both_checkpoint_formats() {
    let base: Vec<f32> = (0..24).map(|i| i as f32 / 8.0 - 1.0).collect();
    let mut transposed = Vec::new();
    for third in 0..4 {
        for first in 0..2 {
            for second in 0..3 {
                transposed.push(base[first * 12 + second * 4 + third]);
            }
        }
    }
    let steps = vec![0.0, 1.0, 2.0, 3.0, 4.0];
    let expected: [(&str, &[usize], DType, Vec<f32>); 15] = [
        ("float32", &[2, 3, 4], DType::F32, base.clone()),
        ("transposed", &[4, 2, 3], DType::F32, transposed),
        ("slice", &[4], DType::F32, vec![base[5], base[8], base[11], base[14]]),
        ("float64", &[5], DType::F64, base[..5].to_vec()),
        ("float16", &[5], DType::F16, base[..5].to_vec()),
        ("bfloat16", &[5], DType::BF16, base[..5].to_vec()),
        ("int64", &[5], DType::I64, steps.clone()),
        ("int32", &[5], DType::I32, steps.clone()),
        ("int16", &[5], DType::I16, steps.clone()),
        ("int8", &[5], DType::I8, steps.clone()),
        ("uint8", &[5], DType::U8, steps),
        ("bool", &[5], DType::Bool, vec![0.0, 1.0, 1.0, 1.0, 1.0]),
        ("scalar", &[], DType::I64, vec![7.0]),
        ("empty", &[0, 3], DType::F32, vec![]),
        ("parameter", &[2], DType::F32, vec![1.5, -2.5]),
    ];
    for (name, format) in
        [("checkpoint-zip.pt", torch::Format::Zip), ("checkpoint-legacy.pt", torch::Format::Legacy)]
    {
        let bytes = fixture(name);
        assert_eq!(torch::Format::of(&bytes), Some(format));
        let checkpoint = torch::read(bytes).unwrap();
        assert_eq!(checkpoint.root().get("epoch").unwrap().as_int(), Some(3));
        let state = checkpoint.state_dict().unwrap();
        assert_eq!(state.wrapper.as_deref(), Some("state_dict"));
        assert_eq!(state.skipped, [""; 0]);
        assert_eq!(state.tensors.len(), expected.len());
        for ((name, tensor), (expected_name, shape, dtype, values)) in
            state.tensors.iter().zip(&expected)
        {
            assert_eq!(name, expected_name);
            assert_eq!((tensor.shape.as_slice(), tensor.dtype), (*shape, *dtype), "{name}");
            assert_eq!(&tensor.values, values, "{name}");
        }
    }
}

#[test]
fn a_whole_module_is_refused_with_the_remedy() {
    for name in ["module-zip.pt", "module-legacy.pt"] {
        let error = torch::read(fixture(name)).err().unwrap().to_string();
        assert!(error.contains("torch.nn.modules.linear.Linear"), "{error}");
        assert!(error.contains("state_dict()"), "{error}");
    }
}

/// Every proper prefix of a file is refused, in words, whatever it was.
#[test]
fn truncated_files_are_refused() {
    for name in ["checkpoint-zip.pt", "checkpoint-legacy.pt"] {
        let bytes = fixture(name);
        for length in 0..bytes.len() {
            let outcome = torch::read(bytes[..length].to_vec());
            assert!(outcome.is_err(), "{name} cut to {length} of {} bytes", bytes.len());
        }
    }
    let bytes = fixture("values-4.pkl");
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], VALUES).is_err(), "cut to {length}");
    }
}

//! Trained networks that other people published. Skipped where they are absent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cure_pickle::torch::{self, StateDict};

fn published(name: &str) -> Option<StateDict> {
    let path = format!("{}/../../../shared/weights/{name}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read(&path) {
        Ok(bytes) => Some(torch::read(bytes).unwrap().state_dict().unwrap()),
        Err(error) => {
            eprintln!("skipped: {path}: {error}");
            None
        }
    }
}

/// Entries, wrapper, last name, and the sum of all values but the counters, as PyTorch has it.
#[test]
fn the_four_published_files() {
    for (name, entries, wrapper, last, elements, sum) in [
        (
            "resnet20-akamaster.th",
            97,
            Some("state_dict"),
            "linear.bias",
            271_098,
            139.782_649_559_820_8,
        ),
        ("resnet20-pyhessian.pkl", 128, None, "fc.bias", 274_042, -458.114_694_896_528_36),
        ("resnet18-pyautoattack.pt", 122, None, "linear.bias", 11_183_562, -10_936.277_560_373_066),
        (
            "resnet2b-abcrown.pth",
            16,
            Some("state_dict"),
            "linear2.bias",
            112_006,
            -183.029_799_888_492_62,
        ),
    ] {
        let Some(state) = published(name) else { continue };
        assert_eq!(state.tensors.len(), entries, "{name}");
        assert_eq!(state.wrapper.as_deref(), wrapper, "{name}");
        assert_eq!(state.tensors.last().unwrap().0, last, "{name}");
        assert!(state.skipped.is_empty(), "{name}: {:?}", state.skipped);
        let values = || {
            let tensors = state.tensors.iter();
            let learnt = tensors.filter(|(name, _)| !name.ends_with("num_batches_tracked"));
            learnt.flat_map(|(_, tensor)| tensor.values.iter().copied().map(f64::from))
        };
        assert_eq!(values().count(), elements, "{name}");
        let found: f64 = values().sum();
        assert!(
            (found - sum).abs() < 1e-6 * values().map(f64::abs).sum::<f64>(),
            "{name}: {found}"
        );
    }
}
